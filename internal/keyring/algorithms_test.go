package keyring

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// catalog makes the database's catalogue one whose profiles name these
// algorithms, as the start of a node does.
func catalog(t *testing.T, db *store.Store, algorithms ...string) {
	t.Helper()
	apis := []svcauth.API{{Audience: "https://usual.example"}}
	for _, algorithm := range algorithms {
		apis = append(apis, svcauth.API{Audience: "https://" + algorithm,
			Profile: &svcauth.Profile{SigningAlgorithm: algorithm}})
	}
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
		if err := q.ReplaceCatalog(t.Context(), apis, nil); err != nil {
			return err
		}
		_, err := q.AddChange(t.Context(),
			store.Change{Kind: store.ChangeCatalog, ExpiresAt: time.Now().Add(time.Hour)})
		return err
	}))
}

// hears tells nodes of a changed catalogue, as the change log does, and lets
// each do what Run then does.
func hears(t *testing.T, nodes ...*Keyring) {
	t.Helper()
	for _, k := range nodes {
		k.Apply(t.Context(), []store.Change{{Kind: store.ChangeCatalog}})
		require.Len(t, k.catalogChanged, 1, "Run wakes up")
		<-k.catalogChanged
		require.NoError(t, k.Advance(t.Context()))
	}
	for _, k := range nodes {
		k.Apply(t.Context(), []store.Change{{Kind: store.ChangeKeys}})
		require.Empty(t, k.catalogChanged)
	}
}

// signed returns which algorithm and key sign in one's place.
func signed(t *testing.T, k *Keyring, algorithm string) (alg, kid string) {
	t.Helper()
	form := Form{Algorithm: algorithm}
	token, err := k.Sign(form, []byte(payload))
	require.NoError(t, err)
	kid, err = verifies(t, k, token)
	require.NoError(t, err)
	require.True(t, k.SignedByActive(form, token))
	head, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	require.NoError(t, err)
	return head.Method.Alg(), kid
}

func signedWith(t *testing.T, k *Keyring, algorithm string) string {
	t.Helper()
	alg, _ := signed(t, k, algorithm)
	return alg
}

// layout lists the keys as "ES256 active", sorted.
func layout(t *testing.T, k *Keyring) []string {
	t.Helper()
	all, err := k.List(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, len(all), svcauth.MaxPublishedKeys)
	require.Len(t, published(t, k), len(all), "all are in the set that verifiers fetch")
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = one.Algorithm + " " + one.State
	}
	slices.Sort(out)
	return out
}

func kidOf(t *testing.T, k *Keyring, algorithm, state string) string {
	t.Helper()
	all, err := k.List(t.Context())
	require.NoError(t, err)
	for _, one := range all {
		if one.Algorithm == algorithm && one.State == state {
			return one.KID
		}
	}
	t.Fatalf("no key of %s is %s", algorithm, state)
	return ""
}

// A release back, or the nodes of one that are still up: the keys of algorithms
// that only the newer release knows are left out, and stay as they are.
func TestKeysOfANewerReleaseAreLeftAlone(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		db, c := open(), newClock()
		var said bytes.Buffer
		cfg := config(db, c)
		cfg.Logger = slog.New(slog.NewTextHandler(&said, nil))
		running := loaded(t, cfg)
		const newer = "ML-DSA-44"
		gone := c.Now().Add(time.Hour)
		require.NoError(t, db.Write(t.Context(), func(q *store.Q) (err error) {
			for i, state := range []string{svcauth.KeyNext, svcauth.KeyActive, svcauth.KeyRetired} {
				r := store.SigningKeyRow{PublicDER: []byte("public"), Sealed: running.Seal(state, []byte("private"))}
				r.KID, r.Algorithm, r.State = state, newer, state
				r.CreatedAt = c.Now().Add(time.Duration(i+1) * time.Second) // before the others in lists
				if state == svcauth.KeyRetired {
					r.DeleteAfter = &gone
				}
				err = errors.Join(err, q.InsertSigningKey(t.Context(), r))
			}
			return errors.Join(err, q.SetSigningAlgorithm(t.Context(), newer))
		}))
		foreign := func(k *Keyring) (found []string) {
			all, err := k.List(t.Context())
			require.NoError(t, err)
			for _, one := range all {
				if one.Algorithm == newer {
					found = append(found, one.KID)
				}
			}
			return found
		}
		require.NoError(t, running.Reload(t.Context()))
		require.NoError(t, running.Reload(t.Context()))
		require.Equal(t, 3, strings.Count(said.String(), "does not know its algorithm"), "once each: %s", said.String())
		inUse, err := running.InUse(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{jwk.ES256}, inUse, "what can be rotated by hand")
		_, kid := sign(t, running)
		for range 3 { // nothing is rotated by a node that does not know what with
			c.Advance(rotateEvery)
			require.NoError(t, running.Advance(t.Context()))
		}
		_, same := sign(t, running)
		require.Equal(t, kid, same)

		other := config(db, c) // a release back, with another master key at the same time
		other.MasterKey, other.PreviousMasterKey = otherMaster, oldMaster
		started := loadNew(t, other)
		require.NoError(t, started.Check(t.Context()))
		require.NoError(t, started.Load(t.Context()))
		sign(t, started)
		require.Len(t, foreign(started), 3)
		for range 3 {
			c.Advance(rotateEvery)
			require.NoError(t, started.Advance(t.Context()))
		}
		require.Len(t, foreign(started), 3)
		require.Len(t, published(t, started), 3, "what this release knows")
		plain, err := started.Open(svcauth.KeyActive, rowOf(t, db, svcauth.KeyActive).Sealed)
		require.NoError(t, err, "sealed anew with the others")
		require.Equal(t, "private", string(plain))
		revoke(t, started, svcauth.KeyActive)
		require.Len(t, foreign(started), 2, "by hand it can be ended")
	})
}

func rowOf(t *testing.T, db *store.Store, kid string) store.SigningKeyRow {
	t.Helper()
	rows, err := db.Read().SigningKeys(t.Context())
	require.NoError(t, err)
	at := slices.IndexFunc(rows, func(r store.SigningKeyRow) bool { return r.KID == kid })
	require.GreaterOrEqual(t, at, 0)
	return rows[at]
}

func TestAFreshDatabaseSignsInAllAlgorithmsAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		db := open()
		catalog(t, db, rs256, eddsa, es256)
		k := loaded(t, config(db, newClock()))
		require.Equal(t, []string{"ES256 active", "ES256 next", "EdDSA active", "EdDSA next",
			"RS256 active", "RS256 next"}, layout(t, k))
		for _, algorithm := range []string{es256, rs256, eddsa} {
			require.Equal(t, algorithm, signedWith(t, k, algorithm))
		}
		require.Equal(t, es256, signedWith(t, k, ""))
		require.Equal(t, []string{es256, eddsa, rs256}, k.Algorithms())
	})
}

// TestALaterAlgorithmIsPublishedBeforeItSigns checks what a changed catalogue
// brings and takes, at two nodes.
func TestALaterAlgorithmIsPublishedBeforeItSigns(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		var log bytes.Buffer
		cfg := config(open(), c)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		one, two := loaded(t, cfg), loaded(t, config(open(), c))
		require.Empty(t, log.String())
		catalog(t, cfg.Store, rs256)
		signsAt := c.Now().Add(publishBefore)
		waits := []Pending{{Algorithm: rs256, SignsAt: signsAt, StandIn: es256}}
		api := []svcauth.API{{Profile: &svcauth.Profile{SigningAlgorithm: rs256}}}
		would, err := one.Rehearse(t.Context(), api)
		require.NoError(t, err)
		require.Equal(t, waits, would, "as config check says before")
		hears(t, one, two)
		would, err = one.Rehearse(t.Context(), api)
		require.NoError(t, err)
		require.Equal(t, waits, would)
		require.Equal(t, []string{"ES256 active", "ES256 next", "RS256 next"}, layout(t, one))
		require.Equal(t, published(t, one), published(t, two), "two nodes make one key")
		for _, k := range []*Keyring{one, two} {
			require.Equal(t, es256, signedWith(t, k, rs256), "until it may have been fetched")
		}
		require.Equal(t, 1, strings.Count(log.String(), "waits for its first key to sign"), log.String())
		require.Contains(t, log.String(), signsAt.Format(time.RFC3339))
		require.NoError(t, one.Reload(t.Context()))
		require.Equal(t, 1, strings.Count(log.String(), "waits for its first key to sign"), "said once")

		c.Advance(publishBefore - time.Millisecond)
		require.NoError(t, two.Advance(t.Context()))
		require.Equal(t, es256, signedWith(t, two, rs256))
		c.Advance(time.Millisecond)
		require.NoError(t, two.Advance(t.Context()))
		require.NoError(t, one.Advance(t.Context()))
		require.Equal(t, []string{"ES256 active", "ES256 next", "RS256 active", "RS256 next"}, layout(t, one))
		_, kid := signed(t, one, rs256)
		_, same := signed(t, two, rs256)
		require.Equal(t, kid, same)
		require.Equal(t, rs256, signedWith(t, one, rs256))
		require.Equal(t, es256, signedWith(t, one, ""))

		token, err := one.Sign(Form{Algorithm: rs256}, []byte(payload))
		require.NoError(t, err)
		catalog(t, cfg.Store)
		hears(t, two, one)
		require.Equal(t, []string{"ES256 active", "ES256 next", "RS256 retired"}, layout(t, one))
		require.Equal(t, es256, signedWith(t, one, rs256), "a node that knows the old catalogue goes on")
		_, err = verifies(t, two, token)
		require.NoError(t, err, "what was signed lives on")
		c.Advance(retiredFor)
		require.NoError(t, one.Advance(t.Context()))
		require.Equal(t, []string{"ES256 active", "ES256 next"}, layout(t, one))
		_, err = verifies(t, one, token)
		require.ErrorIs(t, err, verify.ErrUnknownKey)
	})
}

func TestALaterAlgorithmSignsAtOnceByHand(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		k := loaded(t, config(open(), newClock()))
		catalog(t, k.cfg.Store, eddsa)
		hears(t, k)
		was := kidOf(t, k, es256, svcauth.KeyActive)
		require.NoError(t, rotate(t, k, eddsa))
		require.Equal(t, eddsa, signedWith(t, k, eddsa))
		_, kid := signed(t, k, "")
		require.Equal(t, was, kid, "the others' keys are not touched")
		var unused *NotInUseError
		require.ErrorAs(t, rotate(t, k, rs256), &unused)
		require.EqualError(t, unused, "No tokens are signed with RS256: expected one of the algorithms in use "+
			"(ES256, EdDSA). A further one comes into use by the profile of an API in the catalogue, or by "+
			"token.signing_algorithm.")

		active := kidOf(t, k, eddsa, svcauth.KeyActive)
		next := kidOf(t, k, eddsa, svcauth.KeyNext)
		revoke(t, k, active)
		_, kid = signed(t, k, eddsa)
		require.Equal(t, next, kid, "a revoked key is followed by the next one of its algorithm")
		require.Equal(t, []string{"ES256 active", "ES256 next", "EdDSA active", "EdDSA next"}, layout(t, k))
		_, kid = signed(t, k, "")
		require.Equal(t, was, kid)
	})
}

// TestEachAlgorithmRotatesByTheClock checks that each does so by its own age.
func TestEachAlgorithmRotatesByTheClock(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		db := open()
		catalog(t, db, eddsa)
		k := loaded(t, config(db, c))
		c.Advance(rotateEvery / 2)
		require.NoError(t, rotate(t, k, eddsa))
		_, usual := signed(t, k, "")
		_, other := signed(t, k, eddsa)
		c.Advance(rotateEvery / 2)
		require.NoError(t, k.Advance(t.Context()))
		_, usualAfter := signed(t, k, "")
		_, otherAfter := signed(t, k, eddsa)
		require.NotEqual(t, usual, usualAfter)
		require.Equal(t, other, otherAfter, "it was rotated half a period ago")
		c.Advance(rotateEvery / 2)
		require.NoError(t, k.Advance(t.Context()))
		_, otherAfter = signed(t, k, eddsa)
		require.NotEqual(t, other, otherAfter)
	})
}

// TestAnotherConfiguredAlgorithm changes the server's algorithm with a rolling
// restart: the former one signs until the new one's key may have been fetched,
// and a node that has not been restarted undoes nothing.
func TestAnotherConfiguredAlgorithm(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		old := loaded(t, config(open(), c))
		token, _ := sign(t, old)
		cfg := config(open(), c)
		cfg.Algorithm = eddsa
		fresh := loaded(t, cfg)
		old.Apply(t.Context(), []store.Change{{Kind: store.ChangeKeys}})
		for _, k := range []*Keyring{old, fresh} {
			require.NoError(t, k.Advance(t.Context()))
			require.Equal(t, []string{"ES256 active", "EdDSA next"}, layout(t, k))
			require.Equal(t, es256, signedWith(t, k, ""), "until the new one may have been fetched")
			require.Equal(t, es256, signedWith(t, k, eddsa))
		}
		c.Advance(publishBefore)
		for _, k := range []*Keyring{old, fresh} {
			require.NoError(t, k.Advance(t.Context()))
			require.Equal(t, []string{"ES256 retired", "EdDSA active", "EdDSA next"}, layout(t, k))
			require.Equal(t, eddsa, signedWith(t, k, ""))
		}
		_, err := verifies(t, fresh, token)
		require.NoError(t, err, "what the former one signed lives on")

		// The one that signs in its place is revoked: the new one signs at
		// once.
		cfg.Algorithm = rs256
		third := loaded(t, cfg)
		require.Equal(t, eddsa, signedWith(t, third, ""))
		revoke(t, third, kidOf(t, third, eddsa, svcauth.KeyActive))
		require.Equal(t, rs256, signedWith(t, third, ""))
		require.Equal(t, []string{"ES256 retired", "RS256 active", "RS256 next"}, layout(t, third))
		require.Equal(t, rs256, signedWith(t, third, eddsa))
	})
}

// TestTheFormerAlgorithmStaysIfAProfileNamesIt checks a change of the server's
// algorithm to another one while the former one stays in use.
func TestTheFormerAlgorithmStaysIfAProfileNamesIt(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		db := open()
		catalog(t, db, es256)
		cfg := config(db, c)
		require.Equal(t, []string{"ES256 active", "ES256 next"}, layout(t, loaded(t, cfg)))
		cfg.Algorithm = rs256
		k := loaded(t, cfg)
		require.Equal(t, es256, signedWith(t, k, ""))
		require.NoError(t, rotate(t, k, rs256))
		require.Equal(t, []string{"ES256 active", "ES256 next", "RS256 active", "RS256 next"}, layout(t, k))
		require.Equal(t, rs256, signedWith(t, k, ""))
		require.Equal(t, es256, signedWith(t, k, es256))
	})
}

// TestRotationsOfSeveralAlgorithmsUpToTheLimit is a table of rotations one
// after another.
func TestRotationsOfSeveralAlgorithmsUpToTheLimit(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		db := open()
		catalog(t, db, eddsa, es256)
		cfg := config(db, c)
		cfg.Algorithm = es256
		k := loaded(t, cfg)
		began := c.Now()
		for i, step := range []struct {
			algorithm string
			keys      int // published afterwards
			freed     int // how many retired keys must go before it is possible; 0: it is
		}{
			{algorithm: "", keys: 6},
			{algorithm: es256, keys: 7},
			{algorithm: "", keys: 9},
			{algorithm: "", keys: 9, freed: 1},
			{algorithm: eddsa, keys: 10},
			{algorithm: eddsa, keys: 10, freed: 1},
			{algorithm: "", keys: 10, freed: 2},
		} {
			err := rotate(t, k, step.algorithm)
			require.Len(t, published(t, k), step.keys, i)
			c.Advance(time.Minute)
			if step.freed == 0 {
				require.NoError(t, err, i)
				continue
			}
			var full *FullError
			require.ErrorAs(t, err, &full, i)
			require.Equal(t, verify.KeptUntil(verify.LastExpiry(began)), full.Next,
				"%d: both keys that the first step retired go at once", i)
			require.Contains(t, full.Error(), full.Next.Format(time.RFC3339), i)
		}
		var full *FullError
		require.ErrorAs(t, rotate(t, k, ""), &full)
		require.Contains(t, full.Error(), "a rotation of all algorithms adds 2")
		require.Contains(t, full.Error(), "rotate one algorithm alone")

		// A further algorithm waits for room, and so does its rotation.
		catalog(t, db, eddsa, es256, rs256)
		hears(t, k)
		require.NotContains(t, layout(t, k), "RS256 next")
		require.Equal(t, es256, signedWith(t, k, rs256))
		would, err := k.Rehearse(t.Context(), []svcauth.API{{Profile: &svcauth.Profile{SigningAlgorithm: rs256}}})
		require.NoError(t, err)
		require.Equal(t, []Pending{{Algorithm: rs256, StandIn: es256}}, would)
		require.Contains(t, would[0].String(), "when fewer keys are published")
		require.ErrorAs(t, rotate(t, k, rs256), &full)
		c.Advance(full.Next.Sub(c.Now()))
		require.NoError(t, k.Advance(t.Context()))
		require.Contains(t, layout(t, k), "RS256 next")
		require.NoError(t, rotate(t, k, rs256))
		require.Equal(t, rs256, signedWith(t, k, rs256))
	})
}

// TestTheFirstKeySignsAtItsMomentEvenWithoutRoom checks that the moment that
// was told is kept if all keys but the next one have been used up meanwhile.
func TestTheFirstKeySignsAtItsMomentEvenWithoutRoom(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		cfg := config(open(), c)
		cfg.PublishBefore = time.Hour
		k := loaded(t, cfg)
		catalog(t, cfg.Store, rs256)
		hears(t, k)
		for errors.As(rotate(t, k, es256), new(*FullError)) == false {
			c.Advance(time.Second)
		}
		require.Len(t, published(t, k), svcauth.MaxPublishedKeys)
		c.Advance(time.Hour)
		require.NoError(t, k.Advance(t.Context()))
		require.Equal(t, rs256, signedWith(t, k, rs256))
		require.Len(t, published(t, k), svcauth.MaxPublishedKeys)
		revoke(t, k, kidOf(t, k, rs256, svcauth.KeyActive))
		require.Equal(t, rs256, signedWith(t, k, rs256), "a revoked key is followed even so")
		c.Advance(retiredFor)
		require.NoError(t, k.Advance(t.Context()))
		require.Contains(t, layout(t, k), "RS256 next")
	})
}

// TestNodesThatHearOfACatalogueAtOnceAgree checks that the keys of an algorithm
// are made once.
func TestNodesThatHearOfACatalogueAtOnceAgree(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		var nodes []*Keyring
		for range 4 {
			nodes = append(nodes, loaded(t, config(open(), c)))
		}
		catalog(t, nodes[0].cfg.Store, eddsa, rs256)
		together := func() {
			var all sync.WaitGroup
			for _, k := range nodes {
				all.Go(func() {
					k.Apply(t.Context(), []store.Change{{Kind: store.ChangeCatalog}})
					if err := k.Advance(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			for _, k := range nodes {
				require.NoError(t, k.Reload(t.Context()))
				require.Equal(t, published(t, nodes[0]), published(t, k))
			}
		}
		together()
		require.Equal(t, []string{"ES256 active", "ES256 next", "EdDSA next", "RS256 next"}, layout(t, nodes[0]))
		c.Advance(publishBefore)
		together()
		require.Equal(t, []string{"ES256 active", "ES256 next", "EdDSA active", "EdDSA next", "RS256 active",
			"RS256 next"}, layout(t, nodes[0]))
		catalog(t, nodes[0].cfg.Store)
		together()
		require.Equal(t, []string{"ES256 active", "ES256 next", "EdDSA retired", "RS256 retired"}, layout(t, nodes[0]))
	})
}

// TestRunActsWhenTheCatalogueChanged checks that nobody waits for the clock.
func TestRunActsWhenTheCatalogueChanged(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		k := loaded(t, config(open(), newClock()))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		catalog(t, k.cfg.Store, eddsa)
		k.Apply(t.Context(), []store.Change{{Kind: store.ChangeCatalog}})
		require.Eventually(t, func() bool { return slices.Contains(k.Algorithms(), eddsa) }, time.Minute,
			5*time.Millisecond)
		stop()
		require.NoError(t, <-done)
	})
}
