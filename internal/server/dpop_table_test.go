package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/prooftest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestEachCheckOfAProof runs the whole table of RFC 9449 §4.3 at each endpoint
// that takes proofs.
func TestEachCheckOfAProof(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=https://auth.example.com"}})
	p, key := newProver(t, s, svcauth.MembersRead, svcauth.TokensIntrospect), p256(t)
	var err error
	p.Maker, err = possession.NewMaker(key, "")
	require.NoError(t, err)
	token := p.token(s.Issuer)
	target := prooftest.Target{Key: key, Method: http.MethodPost, Now: time.Now}
	for _, path := range []string{tokenEndpoint, "/api/1.0/token"} {
		t.Run(path, func(t *testing.T) {
			target := target
			target.URL = s.Issuer + path
			for _, c := range prooftest.Cases(t, target) {
				t.Run(c.Name, func(t *testing.T) {
					proofs := c.Proofs()
					answer := p.ask(path, nil, proofs...)
					if c.Code != "" {
						require.Equal(t, http.StatusBadRequest, answer.Status, answer.Text)
						require.Equal(t, c.Code, answer.JSON["error"])
						require.NotContains(t, answer.JSON, "access_token")
						return
					}
					require.Equal(t, http.StatusOK, answer.Status, answer.Text)
					_, claims := claimsOf(t, s, answer.JSON["access_token"].(string))
					if len(proofs) == 0 {
						require.Equal(t, "Bearer", answer.JSON["token_type"])
						require.NotContains(t, claims, "cnf")
						return
					}
					require.Equal(t, "DPoP", answer.JSON["token_type"])
					require.Equal(t, map[string]any{"jkt": p.Thumbprint()}, claims["cnf"])
				})
			}
		})
	}
	for _, at := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/me", ""},
		{http.MethodPost, "/oauth2/introspect", "token=" + token},
		{http.MethodGet, "/oauth2/revocations", ""},
		{http.MethodPost, "/oauth2/revocations/ack", `{"cursor":"0"}`},
	} {
		t.Run(at.path, func(t *testing.T) {
			target := target
			target.Method, target.URL, target.Token = at.method, s.Issuer+at.path, token
			for _, c := range prooftest.Cases(t, target) {
				t.Run(c.Name, func(t *testing.T) {
					answer := p.call(at.method, at.path, "DPoP", token, at.body, c.Proofs()...)
					if c.Code != "" {
						refusedCall(t, answer, c.Code)
						return
					}
					require.Less(t, answer.Status, 300, answer.Text)
				})
			}
		})
	}
}
