package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest"
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
	db, err := store.Open(store.Config{URL: database})
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

// A token that its client revokes and one that an administrator revokes stay
// revoked for equally long.
func TestARevocationLivesEquallyLongByEveryDoor(t *testing.T) {
	database := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	ci := s.Account("ci")
	own, theirs := s.Token(ci.ClientID, ci.ClientSecret, ""), s.Token(ci.ClientID, ci.ClientSecret, "")
	require.Equal(t, http.StatusOK, s.Post("/oauth2/revoke", ci.ClientID, ci.ClientSecret, url.Values{"token": {own}}).Status)
	_, err := s.Admin().RevokeToken(t.Context(), ci.ID, revocable(t, theirs).JTI, 0)
	require.NoError(t, err)
	rows := revocationsOf(t, database, ci.ClientID)
	require.Len(t, rows, 2)
	for i, token := range []string{own, theirs} {
		require.Equal(t, time.Unix(revocable(t, token).Exp, 0).Add(svcauth.KeepBeyondExpiry).UTC(), rows[i].ExpiresAt)
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
		require.Equal(t, http.StatusOK, s.Post("/oauth2/revoke", ci.ClientID, ci.ClientSecret, url.Values{"token": {token}}).Status)
	}
	first, last, bystander, others := token(ci), token(ci), token(ci), token(other)
	revoke(first)
	db, err := store.Open(store.Config{URL: database})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
		for i := range store.MaxClientRevocations - 1 {
			entry := svcauth.Revocation{ClientID: ci.ClientID, JTI: fmt.Sprint("t", i), Exp: time.Now().Add(time.Hour).Unix()}
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
