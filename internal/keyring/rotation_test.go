package keyring

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// commits counts the transactions that wrote to the change log.
type commits struct{ atomic.Int64 }

func (c *commits) OnCommitted(context.Context, []store.Change) { c.Add(1) }

func TestRotationByTheClock(t *testing.T) {
	databases(t, func(t *testing.T, _ func() *store.Store, url string) {
		c := newClock()
		var committed commits
		db, err := store.Open(store.Config{URL: url, Patience: schema.Patience})
		require.NoError(t, err)
		defer db.Close()
		db.Listen(&committed)
		cfg := config(db, c)
		k := loaded(t, cfg)
		require.EqualValues(t, 1, committed.Load())
		first := states(t, k)
		require.Len(t, published(t, k), 2, "the next key is published before it signs")
		oldToken, kid := sign(t, k)
		require.Equal(t, first[svcauth.KeyActive][0], kid)

		c.Advance(rotateEvery - time.Millisecond)
		require.NoError(t, k.Advance(t.Context()))
		require.Equal(t, first, states(t, k), "not before its time")
		c.Advance(time.Millisecond)
		require.NoError(t, k.Advance(t.Context()))
		second := states(t, k)
		require.Equal(t, first[svcauth.KeyNext], second[svcauth.KeyActive])
		require.Equal(t, first[svcauth.KeyActive], second[svcauth.KeyRetired])
		require.EqualValues(t, 2, committed.Load())
		_, kid = sign(t, k)
		require.Equal(t, first[svcauth.KeyNext][0], kid)
		_, err = verifies(t, k, oldToken)
		require.NoError(t, err, "what the retired key signed lives on")
		require.Len(t, published(t, k), 3)

		c.Advance(retiredFor - time.Millisecond)
		require.NoError(t, k.Advance(t.Context()))
		require.Len(t, published(t, k), 3)
		c.Advance(time.Millisecond)
		require.NoError(t, k.Advance(t.Context()))
		require.Len(t, published(t, k), 2, "when its last token has expired it goes")
		_, err = verifies(t, k, oldToken)
		require.ErrorIs(t, err, verify.ErrUnknownKey)
		for range 5 {
			require.NoError(t, k.Advance(t.Context()))
		}
		require.EqualValues(t, 3, committed.Load(), "nothing due, nothing written")
	})
}

// TestNextKeySignsOnlyAfterItWasPublished checks that a node that was off for a
// long time makes no unknown key sign.
func TestNextKeySignsOnlyAfterItWasPublished(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		k := loaded(t, config(open(), c))
		c.Advance(rotateEvery)
		require.NoError(t, k.Advance(t.Context()))
		before := states(t, k)
		rotateAll(t, k) // by hand, at the same moment: the new next key is an instant old
		rotated := states(t, k)
		require.Equal(t, before[svcauth.KeyNext], rotated[svcauth.KeyActive])
		cfg := config(open(), c)
		cfg.RotateEvery, cfg.PublishBefore = 2*time.Hour, time.Hour
		shorter := loaded(t, cfg)
		c.Advance(time.Hour)
		require.NoError(t, shorter.Advance(t.Context()))
		require.Equal(t, rotated, states(t, shorter))
		revoke(t, k, rotated[svcauth.KeyNext][0])
		c.Advance(time.Hour - time.Second) // active long enough soon, but the replaced next one is too young
		require.NoError(t, shorter.Reload(t.Context()))
		require.NoError(t, shorter.Advance(t.Context()))
		require.Equal(t, rotated[svcauth.KeyActive], states(t, shorter)[svcauth.KeyActive])
		c.Advance(time.Second)
		require.NoError(t, shorter.Advance(t.Context()))
		require.NotEqual(t, rotated[svcauth.KeyActive], states(t, shorter)[svcauth.KeyActive])
	})
}

func TestRevokedKeyIsGoneAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		k := loaded(t, config(open(), newClock()))
		rotateAll(t, k)
		for _, state := range []string{svcauth.KeyRetired, svcauth.KeyNext, svcauth.KeyActive} {
			before := states(t, k)
			kid := before[state][0]
			token, signer := sign(t, k)
			write(t, k, func(ctx context.Context, q *store.Q) error {
				gone, err := k.Revoke(ctx, q, kid)
				require.Equal(t, kid, gone.KID)
				require.Equal(t, state, gone.State)
				return err
			})
			require.NotContains(t, published(t, k), kid)
			_, fresh := sign(t, k)
			require.NotEqual(t, kid, fresh)
			_, err := verifies(t, k, token)
			require.Equal(t, signer == kid, errors.Is(err, verify.ErrUnknownKey))
			after := states(t, k)
			if state == svcauth.KeyActive {
				require.Equal(t, before[svcauth.KeyNext], after[svcauth.KeyActive])
			}
		}
		err := k.cfg.Store.Write(t.Context(),
			func(q *store.Q) error { _, err := k.Revoke(t.Context(), q, "unknown"); return err })
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

// TestNodesThatRotateAtOnceAgree checks that one rotation comes of it, whoever
// asks, and that everybody signs with the same key afterwards.
func TestNodesThatRotateAtOnceAgree(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		var nodes []*Keyring
		for range 4 {
			k, err := New(config(open(), c))
			require.NoError(t, err)
			nodes = append(nodes, k)
		}
		together := func(do func(*Keyring) error) {
			var all sync.WaitGroup
			errs := make([]error, 8)
			for i := range errs {
				all.Go(func() { errs[i] = do(nodes[i%len(nodes)]) })
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
		}
		agree := func() string {
			kids := map[string]bool{}
			for _, k := range nodes {
				require.NoError(t, k.Reload(t.Context()))
				_, kid := sign(t, k)
				kids[kid] = true
			}
			require.Len(t, kids, 1)
			for kid := range kids {
				return kid
			}
			return ""
		}
		together(func(k *Keyring) error { return k.Load(t.Context()) })
		first := agree()
		hash := nodes[0].HashSecret("svcs_x")
		for _, k := range nodes {
			require.Equal(t, hash, k.HashSecret("svcs_x"), "one key for secret hashes")
		}
		for range 3 {
			c.Advance(rotateEvery)
			together(func(k *Keyring) error { return k.Advance(t.Context()) })
			second := agree()
			require.NotEqual(t, first, second)
			first = second
		}
		changes, err := nodes[0].cfg.Store.Read().Changes(t.Context(), 0, 100)
		require.NoError(t, err)
		require.Len(t, changes, 4, "one entry for the start, one for each rotation, none for those who came too late")
	})
}

// A key signs from the moment that the list names, and not before, whether it
// is the first of its algorithm, follows another, or waits for room.
func TestTheListSaysWhenAKeySigns(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c, db := newClock(), open()
		cfg := config(db, c)
		k := loaded(t, cfg)
		catalog(t, db, rs256)
		hears(t, k)
		require.Equal(t, c.Now().Add(publishBefore), *signsFrom(t, k, rs256))
		require.Equal(t, c.Now().Add(rotateEvery), *signsFrom(t, k, es256))
		signsThen(t, k, c, rs256, 3)
		signsThen(t, k, c, es256, 3)
		catalog(t, db)
		hears(t, k)
		cfg.RotateEvery, cfg.PublishBefore = 2*time.Hour, time.Hour
		k = loaded(t, cfg)
		signsThen(t, k, c, es256, 20)
		require.Len(t, published(t, k), svcauth.MaxPublishedKeys, "it has waited for room")
	})
}

// signsThen goes on to the moments that are named, and just before each.
func signsThen(t *testing.T, k *Keyring, c *clock.Clock, algorithm string, times int) {
	t.Helper()
	for range times {
		kid, at := kidOf(t, k, algorithm, svcauth.KeyNext), signsFrom(t, k, algorithm)
		c.Advance(at.Sub(c.Now()) - time.Millisecond)
		require.NoError(t, k.Advance(t.Context()))
		require.Equal(t, kid, kidOf(t, k, algorithm, svcauth.KeyNext))
		c.Advance(time.Millisecond)
		require.NoError(t, k.Advance(t.Context()))
		require.Equal(t, kid, kidOf(t, k, algorithm, svcauth.KeyActive))
	}
}

// signsFrom returns what the list says of the next key of an algorithm, and
// checks that it says so of no other.
func signsFrom(t *testing.T, k *Keyring, algorithm string) (at *time.Time) {
	t.Helper()
	all, err := k.List(t.Context())
	require.NoError(t, err)
	for _, one := range all {
		require.Equal(t, one.State == svcauth.KeyNext, one.SignsFrom != nil)
		if one.Algorithm == algorithm && one.SignsFrom != nil {
			at = one.SignsFrom
		}
	}
	require.NotNil(t, at)
	return at
}

func TestAgesOfKeys(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		k := loaded(t, config(open(), c))
		c.Advance(time.Hour)
		rotateAll(t, k)
		c.Advance(time.Minute)
		require.Equal(t, []KeyAge{
			{es256, svcauth.KeyNext, time.Minute}, {es256, svcauth.KeyActive, time.Minute},
			{es256, svcauth.KeyRetired, time.Minute},
			{rs256, svcauth.KeyNext, 0}, {rs256, svcauth.KeyActive, 0}, {rs256, svcauth.KeyRetired, 0},
			{eddsa, svcauth.KeyNext, 0}, {eddsa, svcauth.KeyActive, 0}, {eddsa, svcauth.KeyRetired, 0},
		}, k.Ages(c.Now()))
	})
}

func TestNoMoreKeysArePublishedThanMayBe(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		k := loaded(t, config(open(), c))
		first := c.Now()
		for range svcauth.MaxPublishedKeys - 2 {
			require.NoError(t, rotate(t, k, ""))
			c.Advance(time.Minute)
		}
		require.Len(t, published(t, k), svcauth.MaxPublishedKeys)
		var full *FullError
		require.ErrorAs(t, rotate(t, k, ""), &full)
		require.Equal(t, verify.KeptUntil(verify.LastExpiry(first)), full.Next, "when the first that retired goes")
		require.Contains(t, full.Error(), full.Next.Format(time.RFC3339))

		c.Advance(full.Next.Sub(c.Now()) - time.Millisecond)
		require.ErrorAs(t, rotate(t, k, ""), &full)
		c.Advance(time.Millisecond)
		require.NoError(t, rotate(t, k, ""), "at the moment that was named, nobody having tidied up")
		require.Len(t, published(t, k), svcauth.MaxPublishedKeys)

		require.ErrorAs(t, rotate(t, k, ""), &full)
		retired := states(t, k)[svcauth.KeyRetired][0]
		revoke(t, k, retired)
		require.NoError(t, rotate(t, k, ""), "a revoked key makes room")
		for _, state := range []string{svcauth.KeyActive, svcauth.KeyNext} { // others come in their place
			kid := states(t, k)[state][0]
			revoke(t, k, kid)
			require.Len(t, published(t, k), svcauth.MaxPublishedKeys)
		}
	})
}

func TestRotationByTheClockWaitsForRoom(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		c := newClock()
		cfg := config(open(), c)
		cfg.RotateEvery, cfg.PublishBefore = 2*time.Hour, time.Hour
		k := loaded(t, cfg)
		for range 80 { // 40 hours, far beyond a token's life
			c.Advance(30 * time.Minute)
			require.NoError(t, k.Advance(t.Context()))
			require.LessOrEqual(t, len(published(t, k)), svcauth.MaxPublishedKeys)
		}
		require.Len(t, published(t, k), svcauth.MaxPublishedKeys)
		active := states(t, k)[svcauth.KeyActive]
		c.Advance(retiredFor)
		require.NoError(t, k.Advance(t.Context()))
		require.NotEqual(t, active, states(t, k)[svcauth.KeyActive], "what was due is done once there is room")
	})
}
