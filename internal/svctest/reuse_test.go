package svctest_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// TestNothingTakenAwayIsGivenOutAgain: with token.reuse, whatever changes an
// account or its roles ends the token that it would get again, at this node at
// once and at another one within moments.
func TestNothingTakenAwayIsGivenOutAgain(t *testing.T) {
	reuse := []string{"SVCAUTH_TOKEN_REUSE=10m"}
	t.Run("sqlite", func(t *testing.T) {
		s := svctest.New(t, svctest.Options{Environ: reuse})
		takenIsOver(t, s, s)
	})
	t.Run("postgresql, redis, two nodes", func(t *testing.T) {
		s := svctest.New(t, svctest.Options{Postgres: true, Redis: true, Environ: reuse})
		takenIsOver(t, s, s.Node())
	})
}

func takenIsOver(t *testing.T, here, there *svctest.Server) {
	admin := here.Admin()
	for _, take := range takings {
		t.Run(take.name, func(t *testing.T) {
			v := newVictim(t, admin, take.name)
			ask := func(s *svctest.Server) string {
				form := url.Values{"grant_type": {"client_credentials"}, "scope": {"clusters:view"}}
				token, _ := s.Post("/oauth2/token", v.ClientID, v.ClientSecret, form).JSON["access_token"].(string)
				return token
			}
			first := map[*svctest.Server]string{}
			for _, s := range []*svctest.Server{here, there} {
				// A node that hears of the account's making only now ends what it
				// has given out.
				require.Eventually(t, func() bool {
					first[s] = ask(s)
					return first[s] != "" && first[s] == ask(s)
				}, 30*time.Second, 20*time.Millisecond)
			}
			if take.name == "revoke one" { // its record is carried to Redis off the path
				require.Eventually(t, func() bool {
					found := map[string]bool{}
					for token, err := range listed(t, admin, v.ID) {
						found[token.JTI] = err == nil
					}
					return found[claims(t, first[here]).JTI] && found[claims(t, first[there]).JTI]
				}, 30*time.Second, 50*time.Millisecond)
			}
			take.do(t, admin, v)
			require.NotEqual(t, first[here], ask(here))
			require.Eventually(t, func() bool { return ask(there) != first[there] }, 30*time.Second,
				20*time.Millisecond)
		})
	}
}
