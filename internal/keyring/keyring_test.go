package keyring

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/dbdump"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestEachAlgorithmSignsAndIsPublished(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		for i, c := range []struct{ algorithm, kty, crv string }{{es256, "EC", "P-256"}, {rs256, "RSA", ""},
			{eddsa, "OKP", "Ed25519"}} {
			cfg := config(open(), newClock())
			cfg.Algorithm = c.algorithm
			k := loaded(t, cfg)
			if i > 0 { // the configuration changed: the next key is of the new algorithm, and signs after a rotation
				require.Contains(t, k.Algorithms(), c.algorithm, "the next key is published already")
				require.NotEqual(t, c.algorithm, k.keys.Load().signer.Algorithm)
				require.Contains(t, k.Algorithms(), k.keys.Load().signer.Algorithm, "what signs now is among them")
				rotateAll(t, k)
			}
			require.Equal(t, c.algorithm, k.keys.Load().signer.Algorithm)
			token, kid := sign(t, k)
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			require.NoError(t, err)
			require.Equal(t, len(token), TokenSize(Form{Algorithm: c.algorithm}, len(payload)))
			require.Equal(t, len(token), k.TokenSize(Form{}, len(payload)))
			require.True(t, k.SignedByActive(Form{}, token))
			plain := Form{Algorithm: c.algorithm, Typ: TypJWT}
			require.False(t, k.SignedByActive(plain, token), "another form")
			asJWT, err := k.Sign(plain, payload)
			require.NoError(t, err)
			require.True(t, k.SignedByActive(plain, asJWT))
			require.Equal(t, len(asJWT), k.TokenSize(plain, len(payload)))
			requireHeader(t, asJWT, `{"alg":"`+c.algorithm+`","kid":"`+kid+`","typ":"JWT"}`)
			_, err = k.Sign(Form{Typ: "dpop+jwt"}, payload)
			require.ErrorContains(t, err, `type "dpop+jwt" of a token is unknown: expected at+jwt or JWT`)
			_, err = k.Sign(Form{Algorithm: "HS256"}, payload)
			require.ErrorContains(t, err, `signing algorithm "HS256" is unknown: expected ES256, RS256 or EdDSA`)
			require.Contains(t, published(t, k), kid)
			require.Equal(t, 2, strings.Count(token, "."))
			found := k.keys.Load().byKID[kid].jwk
			require.Equal(t, []string{c.kty, c.crv, c.algorithm}, []string{found.Kty, found.Crv, found.Alg})
			requireHeader(t, token, `{"alg":"`+c.algorithm+`","kid":"`+kid+`","typ":"at+jwt"}`)
			// One changed byte anywhere is refused.
			for _, at := range []int{strings.LastIndexByte(token, '.') - 10, len(token) - 20} {
				changed := []byte(token)
				changed[at] ^= 1
				_, err := verifies(t, k, string(changed))
				require.Error(t, err)
			}
		}
		_, _, err := loaded(t, config(open(), newClock())).Key(t.Context(), "unknown")
		require.ErrorIs(t, err, verify.ErrUnknownKey)
	})
}

func requireHeader(t *testing.T, token, want string) {
	t.Helper()
	header, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
	require.NoError(t, err)
	require.JSONEq(t, want, string(header))
}

func TestChangeOfTheMasterKey(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, url string) {
		c := newClock()
		k := loaded(t, config(open(), c))
		token, _ := sign(t, k)
		hash := k.HashSecret("svcs_secret")

		wrong := config(open(), c)
		wrong.MasterKey = otherMaster
		stranger, err := New(wrong)
		require.NoError(t, err)
		err = stranger.Load(t.Context())
		require.ErrorIs(t, err, ErrOtherMasterKey)
		require.ErrorContains(t, err, "configure the master key that belongs to this database")
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), string(otherMaster))
		require.Empty(t, stranger.HashSecret("svcs_secret"), "no hash fits before the keys are loaded")
		_, err = stranger.Sign(Form{}, []byte(payload))
		require.Error(t, err)
		before := dbdump.Rows(t, url)

		prepared := config(open(), c) // step 1: old seals, new can be opened
		prepared.PreviousMasterKey = otherMaster
		loaded(t, prepared)
		require.Equal(t, before, dbdump.Rows(t, url), "neither changed anything")

		changed := config(open(), c) // step 2
		changed.MasterKey, changed.PreviousMasterKey = otherMaster, oldMaster
		second := loaded(t, changed)
		_, err = verifies(t, second, token)
		require.NoError(t, err)
		require.Equal(t, hash, second.HashSecret("svcs_secret"), "secrets live on")
		require.NoError(t, loadNew(t, prepared).Reload(t.Context()), "a node of step 1 reads what step 2 sealed")

		final := config(open(), c) // step 3
		final.MasterKey = otherMaster
		third := loaded(t, final)
		_, err = verifies(t, third, token)
		require.NoError(t, err)
		require.Equal(t, hash, third.HashSecret("svcs_secret"))
		require.ErrorIs(t, loadNew(t, config(open(), c)).Load(t.Context()), ErrOtherMasterKey)
	})
}

func loadNew(t *testing.T, cfg Config) *Keyring {
	t.Helper()
	k, err := New(cfg)
	require.NoError(t, err)
	return k
}

// TestWhoCanWriteTheDatabaseBringsInNoKey checks that what is sealed is bound
// to its kid, and the public key to the private one.
func TestWhoCanWriteTheDatabaseBringsInNoKey(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		k := loaded(t, config(open(), newClock()))
		rows, err := k.cfg.Store.Read().SigningKeys(t.Context())
		require.NoError(t, err)
		require.Len(t, rows, 2)
		reseal := func(kid string, sealed []byte) {
			require.NoError(t,
				k.cfg.Store.Write(t.Context(),
					func(q *store.Q) error { return q.ResealSigningKey(t.Context(), kid, sealed) }))
		}
		refused := func(why string) {
			t.Helper()
			fresh := loadNew(t, config(open(), newClock()))
			err := fresh.Load(t.Context())
			require.ErrorIs(t, err, ErrDamaged, why)
			require.ErrorContains(t, err, "restore that row from a backup")
			require.NoError(t, k.Reload(t.Context()), "a node that runs goes on with the keys that it has opened")
			sign(t, k)
		}
		reseal(rows[0].KID, rows[1].Sealed)
		reseal(rows[1].KID, rows[0].Sealed)
		refused("swapped rows")
		flipped := bytes.Clone(rows[0].Sealed)
		flipped[len(flipped)-1] ^= 1
		reseal(rows[0].KID, flipped)
		reseal(rows[1].KID, rows[1].Sealed)
		refused("a flipped bit")
		reseal(rows[0].KID, rows[0].Sealed[:10])
		refused("a cut one")
		reseal(rows[0].KID, []byte{})
		refused("an empty one")

		// The attacker puts a public key of his own into the row. If it were
		// read from there, it would verify his tokens.
		private, err := generate(es256)
		require.NoError(t, err)
		foreign, err := newKey(private)
		require.NoError(t, err)
		require.NoError(t, k.cfg.Store.Write(t.Context(), func(q *store.Q) error {
			if err := q.DeleteSigningKey(t.Context(), rows[0].KID); err != nil {
				return err
			}
			planted := rows[0]
			planted.PublicDER = foreign.der
			return q.InsertSigningKey(t.Context(), planted)
		}))
		refused("another public key")
	})
}

// TestNothingPrivateRests searches all bytes of the database for every private
// key, in each way in which it could be written.
func TestNothingPrivateRests(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, url string) {
		for _, algorithm := range []string{es256, rs256, eddsa} {
			cfg := config(open(), newClock())
			cfg.Algorithm = algorithm
			k := loaded(t, cfg)
			rotateAll(t, k)
			content := dbdump.Read(t, url)
			require.Contains(t, content, k.keys.Load().signer.KID, "the dump holds what it should")
			for _, one := range k.keys.Load().byKID {
				der, err := x509.MarshalPKCS8PrivateKey(one.private)
				require.NoError(t, err)
				pieces := [][]byte{der, oldMaster}
				switch private := one.private.(type) {
				case *ecdsa.PrivateKey:
					scalar, err := private.Bytes()
					require.NoError(t, err)
					pieces = append(pieces, scalar)
				case *rsa.PrivateKey:
					pieces = append(pieces, private.D.Bytes(), private.Primes[0].Bytes(), private.Primes[1].Bytes())
				case ed25519.PrivateKey:
					pieces = append(pieces, private.Seed())
				}
				require.Greater(t, len(pieces), 2)
				for _, piece := range pieces {
					for _, text := range []string{string(piece), hex.EncodeToString(piece),
						base64.StdEncoding.EncodeToString(piece), base64.RawURLEncoding.EncodeToString(piece)} {
						require.False(t, strings.Contains(content, text), "a private key rests in clear")
					}
				}
			}
		}
	})
}

func TestSecretHashes(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		k := loaded(t, config(open(), newClock()))
		one, two := svcauth.NewSecret(), svcauth.NewSecret()
		hash := k.HashSecret(one)
		require.Regexp(t, `^\$hmac-sha256-v1\$[0-9a-f]{64}$`, hash)
		require.True(t, strings.HasPrefix(hash, k.SecretScheme()))
		require.Equal(t, hash, k.HashSecret(one))
		for _, wrong := range []svcauth.Secret{two, "", one + "x", one[:len(one)-1],
			svcauth.Secret(strings.Repeat("x", 100_000))} {
			require.NotEqual(t, hash, k.HashSecret(wrong))
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				secret := svcauth.Secret(fmt.Sprint("svcs_", i))
				own := k.HashSecret(secret)
				for range 500 {
					if k.HashSecret(secret) != own || k.HashSecret(one) != hash {
						t.Error("the pool mixes up its users")
					}
				}
			})
		}
		all.Wait()
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	db := &store.Store{}
	for want, change := range map[string]func(*Config){
		"it has 5 bytes, expected 32":              func(c *Config) { c.MasterKey = []byte("short") },
		"it has 0 bytes":                           func(c *Config) { c.MasterKey = nil },
		"the previous master key is unusable":      func(c *Config) { c.PreviousMasterKey = []byte("short") },
		"is the same as the master key":            func(c *Config) { c.PreviousMasterKey = oldMaster },
		"Store is missing":                         func(c *Config) { c.Store = nil },
		`signing algorithm "HS256" is unknown`:     func(c *Config) { c.Algorithm = "HS256" },
		`signing algorithm "none" is unknown`:      func(c *Config) { c.Algorithm = "none" },
		"expected the first above zero":            func(c *Config) { c.PublishBefore = c.RotateEvery },
		"published 0s before they sign and rotate": func(c *Config) { c.PublishBefore = 0 },
	} {
		cfg := config(db, newClock())
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "short")
	}
}

func TestNothingShowsAKey(t *testing.T) {
	cfg := config(&store.Store{}, newClock())
	k, err := New(cfg)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "k", k, "cfg", cfg)
	text := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		text += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, cfg) + fmt.Sprintf(verb, &cfg)
	}
	require.NotContains(t, text, string(oldMaster))
	require.NotContains(t, text, hex.EncodeToString(oldMaster))
	require.NotContains(t, text, fmt.Sprint(oldMaster)[1:20])
	require.Contains(t, text, redacted)
}

func FuzzOpen(f *testing.F) {
	k, err := New(config(&store.Store{}, newClock()))
	require.NoError(f, err)
	f.Add("kid", []byte{}, false)
	f.Add("kid", k.Seal("kid", []byte("plain")), false)
	f.Add("kid", k.Seal("other", []byte("plain")), false)
	f.Add("", bytes.Repeat([]byte{1}, 64), true)
	f.Fuzz(func(t *testing.T, name string, sealed []byte, seal bool) {
		if seal {
			plain, err := k.Open(name, k.Seal(name, sealed))
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, sealed))
			return
		}
		if plain, err := k.Open(name, sealed); err == nil {
			require.Equal(t, "kid", name)
			require.Equal(t, "plain", string(plain))
		}
	})
}
