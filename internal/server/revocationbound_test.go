package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// tokenClaims are those that a revocation goes by.
type tokenClaims struct {
	JTI   string `json:"jti"`
	Exp   int64  `json:"exp"`
	Epoch int64  `json:"epoch"`
	Pol   int64  `json:"pol"`
}

func revocable(t *testing.T, token string) (c tokenClaims) {
	t.Helper()
	require.NoError(t, json.Unmarshal(payload(t, token), &c))
	return c
}

func revocationsOf(t *testing.T, database, clientID string) (all []store.Change) {
	t.Helper()
	db, err := store.Open(store.Config{URL: database, Patience: schema.Patience})
	require.NoError(t, err)
	defer db.Close()
	rows, err := db.Read().LiveRevocations(t.Context(), 0, 1<<40, 10_000)
	require.NoError(t, err)
	for _, row := range rows {
		if row.Subject == clientID {
			all = append(all, row)
		}
	}
	return all
}

// doors are the ways in which tokens of an account, or of a member's key, are
// revoked.
var doors = map[string]func(t *testing.T, s *svctest.Server, v revokedBy) error{
	"its client, RFC 7009": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		answer := s.Post("/oauth2/revoke", v.account.ClientID, v.account.ClientSecret, url.Values{"token": {v.token}})
		require.Equal(t, http.StatusOK, answer.Status)
		return nil
	},
	"one token": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().RevokeToken(t.Context(), v.account.ID, revocable(t, v.token).JTI, 0)
		return err
	},
	"all tokens": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().RevokeTokens(t.Context(), v.account.ID, 0)
		return err
	},
	"secret": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().DeleteSecret(t.Context(), v.account.ID, v.account.Secrets[0].ID, true, 0)
		return err
	},
	"account disabled": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		yes := true
		_, err := s.Admin().UpdateServiceAccount(t.Context(), v.account.ID,
			0, svcauth.ServiceAccountPatch{Disabled: &yes}, 0)
		return err
	},
	"account removed": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().DeleteServiceAccount(t.Context(), v.account.ID, 0)
		return err
	},
	"grant": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().UnassignServiceAccountRole(t.Context(), v.account.ID, v.role.ID, "", 0)
		return err
	},
	"role's privilege": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().UpdateRole(t.Context(), v.role.ID, 0, svcauth.RolePatch{Privileges: &[]string{}}, 0)
		return err
	},
	"role renamed": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		name := v.role.Name + " renamed"
		_, err := s.Admin().UpdateRole(t.Context(), v.role.ID, 0, svcauth.RolePatch{Name: &name}, 0)
		return err
	},
	"role removed": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().DeleteRole(t.Context(), v.role.ID, 0)
		return err
	},
	"application key": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		key, err := s.Admin().CreateApplicationKey(t.Context(), svcauth.NewApplicationKey{Description: "key"})
		require.NoError(t, err)
		_, err = s.Admin().DeleteApplicationKey(t.Context(), key.ID, 0)
		return err
	},
	"organization removed": func(t *testing.T, s *svctest.Server, v revokedBy) error {
		_, err := s.Admin().DeleteOrganization(t.Context(), v.tenant.Organization.ID, 0)
		return err
	},
}

// revokedBy is what is taken away: an account's token and the role behind it,
// or a tenant.
type revokedBy struct {
	account svcauth.ServiceAccount
	role    svcauth.Role
	token   string
	tenant  people.Tenant
}

// By whichever door a token is revoked, the revocation is kept until nobody can
// take the token for live: an entry that names it goes by its expiry, any other
// by the last expiry that a token which it denies can have.
func TestARevocationLivesEquallyLongByEveryDoor(t *testing.T) {
	database := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	db, err := store.Open(store.Config{URL: database, Patience: schema.Patience})
	require.NoError(t, err)
	defer db.Close()
	n := 0
	for door, revoke := range doors {
		n++
		t.Run(door, func(t *testing.T) {
			v := revokedBy{tenant: s.NewTenant("tenant-" + strconv.Itoa(n))}
			v.role, err = s.Admin().CreateRole(t.Context(),
				svcauth.NewRole{Name: door, Privileges: []string{"clusters:view"}})
			require.NoError(t, err)
			v.account, err = s.Admin().CreateServiceAccount(t.Context(),
				svcauth.NewServiceAccount{Name: door, RoleIDs: []string{v.role.ID}})
			require.NoError(t, err)
			v.token = s.Token(v.account.ClientID, v.account.ClientSecret, "")
			after, err := db.Read().LastChange(t.Context())
			require.NoError(t, err)
			began := time.Now()
			require.NoError(t, revoke(t, s, v))
			ended := time.Now()
			rows, err := db.Read().LiveRevocations(t.Context(), after, 1<<40, 100)
			require.NoError(t, err)
			require.NotEmpty(t, rows)
			for _, row := range rows {
				var entry svcauth.Revocation
				require.NoError(t, json.Unmarshal([]byte(row.Payload), &entry))
				require.Equal(t, verify.KeptUntil(time.Unix(entry.Exp, 0)).UTC(), row.ExpiresAt, row.Payload)
				if entry.JTI != "" {
					require.Equal(t, revocable(t, v.token).Exp, entry.Exp)
					continue
				}
				require.GreaterOrEqual(t, entry.Exp, verify.LastExpiry(began).Unix(), row.Payload)
				require.LessOrEqual(t, entry.Exp, verify.LastExpiry(ended).Unix(), row.Payload)
			}
		})
	}
}

// The mark in Redis by which others may know a revoked token is kept as long as
// the revocation itself, by either door.
func TestTheMarkInRedisIsKeptAsLongAsTheRevocation(t *testing.T) {
	redis := redistest.Start(t)
	s := svctest.New(t, svctest.Options{RedisURL: redis.URL()})
	for _, door := range []string{"its client, RFC 7009", "one token"} {
		account := s.Account(door, "clusters:view")
		v := revokedBy{account: account, token: s.Token(account.ClientID, account.ClientSecret, "")}
		claims := revocable(t, v.token)
		require.Eventually(t, func() bool { // its record is carried there off the path
			list, err := s.Admin().Tokens(t.Context(), account.ID, svcauth.ListOptions{})
			return err == nil && len(list.Items) == 1
		}, 30*time.Second, 20*time.Millisecond)
		require.NoError(t, doors[door](t, s, v))
		var left string
		require.Eventually(t, func() bool {
			key, err := redis.Do("KEYS", "*{"+claims.JTI+"}:revoked")
			if err != nil || strings.TrimSpace(key) == "" {
				return false
			}
			left, err = redis.Do("PTTL", strings.TrimSpace(key))
			return err == nil
		}, 30*time.Second, 20*time.Millisecond)
		ms, err := strconv.ParseInt(strings.TrimSpace(left), 10, 64)
		require.NoError(t, err)
		require.WithinDuration(t, verify.KeptUntil(time.Unix(claims.Exp, 0)),
			time.Now().Add(time.Duration(ms)*time.Millisecond), time.Minute, door)
	}
}

// What a client revokes beyond its bound takes all of its older tokens along:
// none of them comes back, the next one is live, and the audit log says so.
func TestAClientBeyondItsRevocationsLosesItsOlderTokens(t *testing.T) {
	database := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	ci, other := s.Account("ci"), s.Account("other")
	token := func(of svcauth.ServiceAccount) string { return s.Token(of.ClientID, of.ClientSecret, "") }
	revoke := func(token string) {
		require.Equal(t, http.StatusOK,
			s.Post("/oauth2/revoke", ci.ClientID, ci.ClientSecret, url.Values{"token": {token}}).Status)
	}
	first, last, bystander, others := token(ci), token(ci), token(ci), token(other)
	revoke(first)
	db, err := store.Open(store.Config{URL: database, Patience: schema.Patience})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
		for i := range store.MaxClientRevocations - 1 {
			entry := svcauth.Revocation{ClientID: ci.ClientID, JTI: fmt.Sprint("t", i),
				Exp: time.Now().Add(time.Hour).Unix()}
			if _, err := q.AddRevocation(t.Context(), time.Now(), s.Tenant.Organization.ID, entry); err != nil {
				return err
			}
		}
		return nil
	}))
	require.Len(t, revocationsOf(t, database, ci.ClientID), store.MaxClientRevocations)
	active := func(token string) bool { return s.Active(ci.ClientID, ci.ClientSecret, token) }
	require.True(t, active(bystander))

	revoke(last)
	require.Len(t, revocationsOf(t, database, ci.ClientID), 1)
	for _, dead := range []string{first, last, bystander} {
		require.False(t, active(dead))
	}
	require.True(t, active(token(ci)), "a new one is live")
	require.True(t, s.Active(other.ClientID, other.ClientSecret, others), "another client's is")
	events, err := s.Admin().AuditEvents(t.Context(), svcauth.AuditFilter{Action: "service_account.revoke_tokens"})
	require.NoError(t, err)
	require.Len(t, events.Items, 1)
	require.Equal(t, ci.ID, events.Items[0].Target.ID)
	require.Equal(t, ci.ID, events.Items[0].Actor.ID)
	require.Contains(t, events.Items[0].Reason, "at most 1000 live revocations of one client")
}
