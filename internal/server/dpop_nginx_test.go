package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// TestProofsThroughNginx: two nodes in turn behind a real nginx that takes the
// path of the issuer away. A client whose clock is a minute late gets along
// with a nonce of either node, and no proof passes at both.
func TestProofsThroughNginx(t *testing.T) {
	address, redis := freeport.Address(t), redistest.Start(t)
	one := svctest.New(t, svctest.Options{Postgres: true, RedisURL: redis.URL(), Environ: []string{
		"SVCAUTH_ISSUER=http://" + address + "/auth", "SVCAUTH_DPOP_NONCE=optional", "SVCAUTH_DPOP_REPLAY=shared"}})
	two := one.Node()
	svctest.StartProgram(t, svctest.NginxCommand(t, t.TempDir(), `
		upstream nodes { server `+one.URL[len("http://"):]+`; server `+two.URL[len("http://"):]+`; }
		server { listen `+address+`; location /auth/ { proxy_pass http://nodes/; proxy_set_header Host $http_host; } }
	`), svctest.Listens(address))
	p := newProver(t, one, svcauth.RolesManage)

	late := func() time.Time { return time.Now().Add(-90 * time.Second) }
	client, tokens, err := tokensource.NewClient(tokensource.Config{Issuer: one.Issuer, ClientID: p.account.ClientID,
		ClientSecret: p.account.ClientSecret, DPoP: true, Clock: late})
	require.NoError(t, err)
	defer tokens.Close()
	for i := range 6 {
		_, err := client.CreateRole(t.Context(), svcauth.NewRole{Name: "Role " + string(rune('a'+i))})
		require.NoError(t, err)
	}

	token := p.token(one.Issuer)
	for range 10 {
		proof, err := p.Make(possession.Of{Method: "GET", URL: one.Issuer + "/v1/me", Token: token, Now: time.Now()})
		require.NoError(t, err)
		passed := 0
		for range 4 { // each node has two of them
			req, err := http.NewRequest(http.MethodGet, one.Issuer+"/v1/me", nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "DPoP "+token)
			req.Header.Set("DPoP", proof)
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			if res.StatusCode == http.StatusOK {
				passed++
			} else {
				require.Contains(t, res.Header.Get("WWW-Authenticate"), "invalid_dpop_proof")
			}
		}
		require.Equal(t, 1, passed)
	}
}
