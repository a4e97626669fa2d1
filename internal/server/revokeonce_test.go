package server_test

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// However often a token is revoked, one after the other or at once, by
// whichever door, it is one entry that all nodes and resource servers keep, and
// one event.
func TestATokenIsRevokedOnce(t *testing.T) {
	database := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	ofItsClient := func(v revokedBy) {
		var together sync.WaitGroup
		for range 60 {
			together.Go(func() {
				req, err := http.NewRequest(http.MethodPost, s.URL+"/oauth2/revoke",
					strings.NewReader(url.Values{"token": {v.token}}.Encode()))
				if err != nil {
					panic(err)
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				req.SetBasicAuth(v.account.ClientID, v.account.ClientSecret.Reveal())
				if resp, err := s.HTTP.Do(req); err == nil {
					_ = resp.Body.Close()
				}
			})
		}
		together.Wait()
		require.NoError(t, doors["its client, RFC 7009"](t, s, v))
	}
	ofAMember := func(v revokedBy) {
		admin, jti := s.Admin(), revocable(t, v.token).JTI
		var together sync.WaitGroup
		for range 20 {
			together.Go(func() { _, _ = admin.RevokeToken(context.Background(), v.account.ID, jti, 0) })
		}
		together.Wait()
	}
	for name, revoke := range map[string]func(revokedBy){"its client": ofItsClient, "a member": ofAMember} {
		account := s.Account(name)
		v := revokedBy{account: account, token: s.Token(account.ClientID, account.ClientSecret, "")}
		revoke(v)
		require.False(t, s.Active(account.ClientID, account.ClientSecret, v.token))
		require.Len(t, revocationsOf(t, database, account.ClientID), 1, name)
		events, err := s.Admin().AuditEvents(t.Context(),
			svcauth.AuditFilter{Action: "token.revoke", Target: revocable(t, v.token).JTI})
		require.NoError(t, err)
		require.Len(t, events.Items, 1, name)
		require.LessOrEqual(t, events.Items[0].Count, 1, name)
	}
}
