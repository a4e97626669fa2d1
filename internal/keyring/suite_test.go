package keyring

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// retiredFor is how long a retired key is published.
var retiredFor = verify.KeptUntil(verify.LastExpiry(time.Time{})).Sub(time.Time{})

const (
	rotateEvery   = 30 * 24 * time.Hour
	publishBefore = 24 * time.Hour
)

var (
	oldMaster   = []byte("0123456789abcdef0123456789abcdef")
	otherMaster = []byte("fedcba9876543210fedcba9876543210")
)

// databases runs test on SQLite and on PostgreSQL, each empty and with its
// schema. open returns a further connection to the same database, as another
// node has.
func databases(t *testing.T, test func(t *testing.T, open func() *store.Store, url string)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			copied := schema.SQLite
			if kind == "postgres" {
				copied = schema.Postgres
			}
			url := copied(t)
			open := func() *store.Store {
				db, err := store.Open(store.Config{URL: url, Patience: schema.Patience})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, db.Close()) })
				return db
			}
			test(t, open, url)
		})
	}
}

func newClock() *clock.Clock { return clock.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) }

func config(db *store.Store, c *clock.Clock) Config {
	return Config{Store: db, MasterKey: oldMaster, Algorithm: es256, RotateEvery: rotateEvery,
		PublishBefore: publishBefore, Clock: c.Now}
}

func loaded(t *testing.T, cfg Config) *Keyring {
	t.Helper()
	k, err := New(cfg)
	require.NoError(t, err)
	require.NoError(t, k.Load(t.Context()))
	return k
}

// states lists the kids by state, as the database has them.
func states(t *testing.T, k *Keyring) map[string][]string {
	t.Helper()
	all, err := k.List(t.Context())
	require.NoError(t, err)
	out := map[string][]string{}
	for _, one := range all {
		out[one.State] = append(out[one.State], one.KID)
	}
	require.Len(t, out[svcauth.KeyActive], 1)
	require.Len(t, out[svcauth.KeyNext], 1)
	return out
}

// published lists the kids in the JWKS.
func published(t *testing.T, k *Keyring) []string {
	t.Helper()
	body, etag := k.JWKS()
	require.Regexp(t, `^"[0-9A-Za-z_-]{22}"$`, etag)
	var doc struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal(body, &doc))
	var kids []string
	for _, one := range doc.Keys {
		kids = append(kids, one["kid"])
		require.Equal(t, "sig", one["use"])
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			require.NotContains(t, one, private)
		}
	}
	return kids
}

const payload = `{"iss":"https://a","x":"ü"}`

// verifies checks a token as a resource server does, and gives its kid.
func verifies(t *testing.T, k *Keyring, token string) (kid string, err error) {
	t.Helper()
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{es256, rs256, eddsa}), jwt.WithoutClaimsValidation(),
		jwt.WithStrictDecoding()).Parse(token, func(tok *jwt.Token) (any, error) {
		require.Equal(t, "at+jwt", tok.Header["typ"])
		require.Len(t, tok.Header, 3)
		kid, _ = tok.Header["kid"].(string)
		alg, public, err := k.Key(t.Context(), kid)
		if err == nil {
			require.Equal(t, alg, tok.Method.Alg(), "the algorithm is the key's, RFC 8725 §3.1")
		}
		return public, err
	})
	return kid, err
}

func sign(t *testing.T, k *Keyring) (token, kid string) {
	t.Helper()
	token, err := k.Sign(Form{}, []byte(payload))
	require.NoError(t, err)
	kid, err = verifies(t, k, token)
	require.NoError(t, err)
	return token, kid
}

// rotateAll rotates every algorithm by hand.
func rotateAll(t *testing.T, k *Keyring) {
	t.Helper()
	require.NoError(t, rotate(t, k, ""))
}

// rotate rotates one algorithm by hand, or all, and returns what refuses it.
func rotate(t *testing.T, k *Keyring, algorithm string) error {
	t.Helper()
	err := k.cfg.Store.Write(t.Context(), func(q *store.Q) error { return k.Rotate(t.Context(), q, algorithm) })
	require.NoError(t, k.Reload(t.Context()))
	return err
}

// revoke revokes a key by hand.
func revoke(t *testing.T, k *Keyring, kid string) {
	t.Helper()
	write(t, k, func(ctx context.Context, q *store.Q) error { _, err := k.Revoke(ctx, q, kid); return err })
}

// write runs one of the methods that work inside the caller's transaction, and
// takes the result into use.
func write(t *testing.T, k *Keyring, do func(context.Context, *store.Q) error) {
	t.Helper()
	require.NoError(t, k.cfg.Store.Write(t.Context(), func(q *store.Q) error { return do(t.Context(), q) }))
	require.NoError(t, k.Reload(t.Context()))
}
