package store_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// before is a database as it was when secrets had a table of their own.
type before struct {
	*testing.T
	*store.Store
	keys *keyring.Keyring
	now  time.Time
}

func newBefore(t *testing.T, url string) *before {
	s, err := store.Open(store.Config{URL: url, Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	store.MigrateTo(t, s, 14)
	// The keys of now need the schema of now.
	of, err := store.Open(store.Config{URL: schema.SQLite(t), Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, of.Close()) })
	keys, err := keyring.New(keyring.Config{Store: of, MasterKey: make([]byte, 32), Algorithm: "ES256",
		RotateEvery: 24 * time.Hour, PublishBefore: time.Hour})
	require.NoError(t, err)
	require.NoError(t, keys.Load(t.Context()))
	return &before{T: t, Store: s, keys: keys, now: time.Now()}
}

// write runs one transaction that has to succeed.
func (b *before) write(do func(context.Context, *store.Q) error) {
	b.Helper()
	require.NoError(b, b.Write(b.Context(), func(q *store.Q) error { return do(b.Context(), q) }))
}

// client makes a client in the form of before, an application key if it has a
// member.
func (b *before) client(name string, member *string) string {
	b.Helper()
	id, kind, key := svcauth.NewID(svcauth.PrefixServiceAccount), store.ClientServiceAccount, &name
	if member != nil {
		id, kind, key = svcauth.NewID(svcauth.PrefixApplicationKey), store.ClientApplicationKey, nil
	}
	require.NoError(b, b.Exec(b.Context(), `INSERT INTO client (id, org_id, kind, member_id, name, name_key,
		description, disabled, ttl_s, epoch, created_at_ms, created_by_id, created_by_name, version)
		VALUES ($1, 'org_a', $2, $3, $4, $5, '', FALSE, 0, 0, $6, '', '', 1)`,
		id, kind, member, name, key, b.now.UnixMilli()))
	return id
}

// secret makes a secret in the form of before.
func (b *before) secret(client string, expires any) (string, svcauth.Secret) {
	b.Helper()
	id, secret := svcauth.NewID(svcauth.PrefixSecret), svcauth.NewSecret()
	hash, err := hex.DecodeString(strings.TrimPrefix(b.keys.HashSecret(secret), "$hmac-sha256-v1$"))
	require.NoError(b, err)
	require.NoError(b, b.Exec(b.Context(), `INSERT INTO secret (id, client_id, org_id, scheme, hash, hint, description,
		created_at_ms, expires_at_ms, last_used_ms, created_by_id, created_by_name)
		VALUES ($1, $2, 'org_a', 'hmac-sha256-v1', $3, $4, 'of before', $5, $6, 7, 'mem_a', 'a@example.com')`,
		id, client, hash, secret.Hint(), b.now.UnixMilli(), expires))
	return id, secret
}

// reason returns why a client is not let in with a secret; empty: it is.
func (b *before) reason(client string, secret svcauth.Secret) string {
	b.Helper()
	memory, err := cache.New(cache.Config{WrongPerClient: 1000, WrongPerAddress: 1000})
	require.NoError(b, err)
	clients := clientauth.NewClients(clientauth.ClientsConfig{Store: b.Store, ChangeLog: current{}, Clock: time.Now})
	_, refusal := clientauth.New(clientauth.Config{Methods: clientauth.Methods(b.keys), Clients: clients,
		Store: b.Store, Cache: memory, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)}).
		Authenticate(b.Context(), &clientauth.Request{ClientID: client, Secret: secret})
	if refusal == nil {
		return ""
	}
	return refusal.Reason
}

// current is a change log that is never behind.
type current struct{}

func (current) Behind() time.Duration { return 0 }

// Who was let in before secrets moved into the table of all credentials is let
// in after, and nobody else.
func TestSecretsOfBeforeAuthenticate(t *testing.T) {
	for kind, url := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(kind, func(t *testing.T) {
			b := newBefore(t, url(t))
			active, suspended := "mem_a", "mem_s"
			b.write(func(ctx context.Context, q *store.Q) error {
				err := q.InsertOrganization(ctx, svcauth.Organization{ID: "org_a", Name: "A", CreatedAt: b.now})
				for _, id := range []string{active, suspended} {
					if err == nil {
						err = q.InsertMember(ctx, store.MemberRow{ID: id, OrgID: "org_a", Email: id + "@example.com",
							CreatedAt: b.now, ActivatedAt: &b.now})
					}
				}
				return err
			})
			require.NoError(t, b.Exec(t.Context(), `UPDATE member SET suspended = TRUE WHERE id = 'mem_s'`))

			account, other := b.client("ci", nil), b.client("other", nil)
			later := b.now.Add(time.Hour).UnixMilli()
			id, live := b.secret(account, nil)
			_, second := b.secret(account, later)
			_, expired := b.secret(account, b.now.Add(-time.Hour).UnixMilli())
			gone, deleted := b.secret(account, nil)
			_, others := b.secret(other, nil)
			key, keyOfSuspended := b.client("", &active), b.client("", &suspended)
			_, ofKey := b.secret(key, nil)
			_, ofSuspended := b.secret(keyOfSuspended, nil)
			require.NoError(t, b.Exec(t.Context(), `DELETE FROM secret WHERE id = $1`, gone))
			require.NoError(t, b.Exec(t.Context(), `UPDATE change_counter SET seq = 50`))
			require.NoError(t, b.Exec(t.Context(), `INSERT INTO change
				(seq, org_id, kind, subject, payload, expires_at_ms, at_ms) VALUES (50, 'org_a', $1, $2, $3, $4, 0)`,
				store.ChangeRevocation, account, `{"client_id":"`+account+`","cred":"`+gone+`"}`, later))

			_, err := b.Migrate(t.Context())
			require.NoError(t, err)

			require.Empty(t, b.reason(account, live))
			require.Empty(t, b.reason(account, second))
			require.Empty(t, b.reason(key, ofKey))
			require.Equal(t, "expired_secret", b.reason(account, expired))
			require.Equal(t, "wrong_secret", b.reason(account, deleted))
			require.Equal(t, "wrong_secret", b.reason(account, others))
			require.Equal(t, "wrong_secret", b.reason(account, ofKey))
			require.Equal(t, "suspended", b.reason(keyOfSuspended, ofSuspended))

			info, err := b.Read().Secret(t.Context(), "org_a", account, id)
			require.NoError(t, err)
			require.Equal(t, svcauth.SecretInfo{ID: id, Hint: live.Hint(), Description: "of before",
				CreatedAt: b.now.Truncate(time.Millisecond).UTC(), LastUsedAt: new(time.UnixMilli(7).UTC()),
				CreatedBy: svcauth.Creator{ID: "mem_a", Email: "a@example.com"}}, info)
			revoked, err := b.Read().LiveRevocations(t.Context(), 0, 99, 10)
			require.NoError(t, err)
			require.Len(t, revoked, 1)
		})
	}
}
