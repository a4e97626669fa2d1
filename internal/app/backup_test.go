// Not under the race detector: backup and restore are single commands, one
// after the other.

//go:build !race

package app_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// archiveConfig returns a configuration for backup and restore: a database, and
// the master key that the server has.
func archiveConfig(t *testing.T, database, master string) config.Config {
	t.Helper()
	cfg, err := config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_DATABASE_URL=" + database,
		"SVCAUTH_MASTER_KEY_FILE=" + master}})
	require.NoError(t, err)
	return cfg
}

func sqliteURL(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db") }

func TestABackupIsRestoredToEitherKindOfDatabase(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to func(*testing.T) string
	}{
		{"sqlite to sqlite", sqliteURL, sqliteURL},
		{"sqlite to postgresql", sqliteURL, func(t *testing.T) string { return pgtest.URL(t) }},
		{"postgresql to sqlite", func(t *testing.T) string { return pgtest.URL(t) }, sqliteURL},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to, master := c.from(t), c.to(t), filepath.Join(t.TempDir(), "master.key")
			own := []string{"SVCAUTH_MASTER_KEY_FILE=" + master, svctest.ClaimsCatalog(t)}
			s := svctest.New(t, svctest.Options{DatabaseURL: from, Environ: own})
			account := s.Account("ci", "clusters:view")
			claims := map[string]any{"tier": map[string]any{"level": 3.0, "of": []any{"a", nil}}}
			_, err := s.Admin().UpdateServiceAccount(t.Context(), account.ID, 0, svcauth.ServiceAccountPatch{
				Claims: &claims, DefaultResource: new(svctest.CloudAPI),
			}, 0)
			require.NoError(t, err)
			published, err := s.Admin().CreateKey(t.Context(), account.ID, svcauth.NewKey{
				JWKSURI: "https://ci.example.com/keys.json", AcceptTokenURLAudience: true, Description: "its own",
			})
			require.NoError(t, err)
			old := s.Token(account.ClientID, account.ClientSecret, "")
			var archive bytes.Buffer
			rows, err := app.Backup(t.Context(), archiveConfig(t, from, master), &archive)
			require.NoError(t, err)
			require.Greater(t, rows, int64(20))
			for _, text := range []string{account.ClientID, "organization", svctest.AdminEmail} {
				require.NotContains(t, archive.String(), text, "the archive tells nothing by itself")
			}
			s.Stop()

			restored, err := app.Restore(t.Context(), archiveConfig(t, to, master), bytes.NewReader(archive.Bytes()),
				false)
			require.NoError(t, err)
			require.Equal(t, rows, restored)
			again := svctest.New(t, svctest.Options{DatabaseURL: to, Empty: true,
				Environ: append(own, "SVCAUTH_ISSUER="+s.Issuer)})
			require.False(t, again.Active(account.ClientID, account.ClientSecret, old),
				"a token from before the restore is dead: its revocation may be lost")
			fresh := again.Token(account.ClientID, account.ClientSecret, "")
			require.True(t, again.Active(account.ClientID, account.ClientSecret, fresh))
			again.Tenant = s.Tenant
			keys, err := again.Admin().Keys(t.Context(), account.ID)
			require.NoError(t, err)
			require.Equal(t, []svcauth.Key{published}, keys.Items)
			got, err := again.Admin().ServiceAccount(t.Context(), account.ID)
			require.NoError(t, err)
			require.Equal(t, claims, got.Claims)
			require.Equal(t, svctest.CloudAPI, got.DefaultResource)

			_, err = app.Restore(t.Context(), archiveConfig(t, to, master), bytes.NewReader(archive.Bytes()), false)
			require.ErrorContains(t, err, "not empty")
		})
	}
}

// What a client has used once before the restore can't be used again, though no
// backup has it; a new assertion passes, if it says when it was made or that it
// is not from before.
func TestNoAssertionFromBeforeARestorePasses(t *testing.T) {
	for name, to := range map[string]func(*testing.T) string{
		"sqlite": sqliteURL, "postgresql": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			from, restored, master := sqliteURL(t), to(t), filepath.Join(t.TempDir(), "master.key")
			own := []string{"SVCAUTH_MASTER_KEY_FILE=" + master}
			s := svctest.New(t, svctest.Options{DatabaseURL: from, Environ: own})
			account := s.Account("ci", "clusters:view")
			_, key, err := ed25519.GenerateKey(rand.Reader)
			require.NoError(t, err)
			public, err := jwk.Of(key.Public())
			require.NoError(t, err)
			encoded, err := json.Marshal(public)
			require.NoError(t, err)
			_, err = s.Admin().CreateKey(t.Context(), account.ID, svcauth.NewKey{JWK: encoded})
			require.NoError(t, err)
			ahead := time.Duration(0)
			clock := func() time.Time { return time.Now().Add(ahead) }
			sign := func(lives time.Duration, began string) url.Values {
				now := clock()
				claims := jwt.MapClaims{"iss": account.ClientID, "sub": account.ClientID, "aud": s.Issuer,
					"jti": rand.Text(), "exp": now.Add(lives).Unix()}
				if began != "" {
					claims[began] = now.Unix()
				}
				text, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(key)
				require.NoError(t, err)
				return url.Values{"grant_type": {"client_credentials"}, "client_assertion": {text},
					"client_assertion_type": {clientauth.AssertionJWT}}
			}
			used := []url.Values{sign(time.Minute, "iat"), sign(5*time.Minute, ""), sign(23*time.Hour, ""),
				sign(23*time.Hour, "iat"), sign(23*time.Hour, "nbf")}
			for _, form := range used {
				require.Equal(t, 200, s.Post("/oauth2/token", "", "", form).Status)
			}
			var archive bytes.Buffer
			_, err = app.Backup(t.Context(), archiveConfig(t, from, master), &archive)
			require.NoError(t, err)
			s.Stop()
			_, err = app.Restore(t.Context(), archiveConfig(t, restored, master), &archive, true)
			require.NoError(t, err)
			ahead = 31 * time.Second // what a clock that was ahead has made is over
			again := svctest.New(t, svctest.Options{DatabaseURL: restored, Empty: true, Clock: clock,
				Environ: append(own, "SVCAUTH_ISSUER="+s.Issuer)})
			for i, form := range used {
				got := again.Post("/oauth2/token", "", "", form)
				require.Equal(t, 503, got.Status, "%d: %s", i, got.Text)
				wait, err := strconv.Atoi(got.Header.Get("Retry-After"))
				require.NoError(t, err)
				require.True(t, wait > 0 && wait <= 30, wait)
			}
			for _, began := range []string{"iat", "nbf"} {
				require.Eventually(t, func() bool {
					return again.Post("/oauth2/token", "", "", sign(time.Minute, began)).Status == 200
				}, patience, 50*time.Millisecond)
			}
			require.Contains(t, again.Post("/oauth2/token", "", "", sign(time.Minute, "")).Text, "with an iat")
		})
	}
}

func TestAMovedDatabaseKeepsItsTokens(t *testing.T) {
	from, to, master := sqliteURL(t), sqliteURL(t), filepath.Join(t.TempDir(), "master.key")
	own := []string{"SVCAUTH_MASTER_KEY_FILE=" + master}
	s := svctest.New(t, svctest.Options{DatabaseURL: from, Environ: own})
	account := s.Account("ci", "clusters:view")
	live, dead := s.Token(account.ClientID, account.ClientSecret, ""),
		s.Token(account.ClientID, account.ClientSecret, "")
	require.Equal(t, 200, s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret,
		url.Values{"token": {dead}}).Status)
	s.Stop()
	var archive bytes.Buffer
	_, err := app.Backup(t.Context(), archiveConfig(t, from, master), &archive)
	require.NoError(t, err)
	_, err = app.Restore(t.Context(), archiveConfig(t, to, master), &archive, true)
	require.NoError(t, err)
	moved := svctest.New(t, svctest.Options{DatabaseURL: to, Empty: true,
		Environ: append(own, "SVCAUTH_ISSUER="+s.Issuer)})
	require.True(t, moved.Active(account.ClientID, account.ClientSecret, live))
	require.False(t, moved.Active(account.ClientID, account.ClientSecret, dead), "a revoked token stays dead")
}

// Demands for bound tokens from before a move go on denying the tokens that
// they ended, and no others: their entries are moved with what they spare, also
// those of which an account or a role knows no more.
func TestAMovedDatabaseSparesTheTokensThatAreBound(t *testing.T) {
	for name, to := range map[string]func(*testing.T) string{
		"sqlite": sqliteURL, "postgresql": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			from, to, master := sqliteURL(t), to(t), filepath.Join(t.TempDir(), "master.key")
			own := []string{"SVCAUTH_MASTER_KEY_FILE=" + master}
			s := svctest.New(t, svctest.Options{DatabaseURL: from, Environ: own})
			type issued struct {
				account      svcauth.ServiceAccount
				plain, bound string
			}
			all := map[string]issued{}
			for _, name := range []string{"demanded of the account", "demanded by the role", "nothing demanded"} {
				account := s.Account(name, "clusters:view")
				source, err := tokensource.New(tokensource.Config{TokenURL: s.Issuer + "/oauth2/token", DPoP: true,
					ClientID: account.ClientID, ClientSecret: account.ClientSecret, HTTPClient: s.HTTP})
				require.NoError(t, err)
				defer source.Close()
				bound, err := source.Token(t.Context())
				require.NoError(t, err)
				all[name] = issued{account, s.Token(account.ClientID, account.ClientSecret, ""), bound.AccessToken}
			}
			id := all["demanded of the account"].account.ID
			for _, binding := range []string{svcauth.TokenBindingDPoP, svcauth.TokenBindingNone} {
				_, err := s.Admin().UpdateServiceAccount(t.Context(), id, 0,
					svcauth.ServiceAccountPatch{TokenBinding: &binding}, 0)
				require.NoError(t, err)
			}
			role := all["demanded by the role"].account.Roles[0].ID
			for _, demanded := range []bool{true, false} {
				_, err := s.Admin().UpdateRole(t.Context(), role, 0, svcauth.RolePatch{RequiresBinding: &demanded}, 0)
				require.NoError(t, err)
			}
			check := func(s *svctest.Server) {
				t.Helper()
				for name, one := range all {
					active := func(token string) bool {
						return s.Active(one.account.ClientID, one.account.ClientSecret, token)
					}
					require.True(t, active(one.bound), name)
					require.Equal(t, name == "nothing demanded", active(one.plain), name)
				}
			}
			check(s)
			s.Stop()
			var archive bytes.Buffer
			_, err := app.Backup(t.Context(), archiveConfig(t, from, master), &archive)
			require.NoError(t, err)
			_, err = app.Restore(t.Context(), archiveConfig(t, to, master), &archive, true)
			require.NoError(t, err)
			check(svctest.New(t, svctest.Options{DatabaseURL: to, Empty: true,
				Environ: append(own, "SVCAUTH_ISSUER="+s.Issuer)}))
		})
	}
}

func TestADamagedBackupRestoresNothing(t *testing.T) {
	from, master := sqliteURL(t), filepath.Join(t.TempDir(), "master.key")
	s := svctest.New(t, svctest.Options{DatabaseURL: from, Environ: []string{"SVCAUTH_MASTER_KEY_FILE=" + master}})
	s.Account("ci", "clusters:view")
	var archive bytes.Buffer
	_, err := app.Backup(t.Context(), archiveConfig(t, from, master), &archive)
	require.NoError(t, err)
	whole := archive.Bytes()
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	other := filepath.Join(t.TempDir(), "master.key")
	svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_MASTER_KEY_FILE=" + other}}) // makes the other key
	for name, c := range map[string]struct {
		archive []byte
		master  string
		says    string
	}{
		"cut short":        {whole[:len(whole)-1], master, "not whole"},
		"changed":          {flipped, master, "damaged"},
		"something behind": {append(bytes.Clone(whole), 0), master, "damaged"},
		"no backup":        {[]byte(strings.Repeat("x", 1000)), master, "no backup"},
		"another key":      {whole, other, "master key"},
	} {
		t.Run(name, func(t *testing.T) {
			to := sqliteURL(t)
			_, err := app.Restore(t.Context(), archiveConfig(t, to, c.master), bytes.NewReader(c.archive), false)
			require.ErrorContains(t, err, c.says)
			_, err = app.Restore(t.Context(), archiveConfig(t, to, master), bytes.NewReader(whole), false)
			require.NoError(t, err, "the database is still empty")
		})
	}
}
