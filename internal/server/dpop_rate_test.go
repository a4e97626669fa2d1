package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestWhoIsOverItsRateKeepsItsProof: whoever asks too often is told so before
// its proof is looked at, and whoever has no proof does not use up what the
// token's holder may ask.
func TestWhoIsOverItsRateKeepsItsProof(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MANAGEMENT_PER_SECOND=5",
		"SVCAUTH_LIMITS_MAX_FOLLOWERS=4"}})
	p := newProver(t, s, svcauth.MembersRead, svcauth.TokensIntrospect)
	token := p.token(s.Issuer)
	for _, path := range []string{"/v1/me", "/oauth2/revocations"} {
		t.Run(path, func(t *testing.T) {
			for range 200 { // more than a burst
				refusedCall(t, p.call("GET", path, "DPoP", token, ""), "invalid_dpop_proof")
			}
			answer := p.call("GET", path, "DPoP", token, "", p.proof("GET", path, "", token))
			require.Equal(t, http.StatusOK, answer.Status, "a thief of the token alone took the holder's share")
			var proof string
			for answer.Status == http.StatusOK {
				proof = p.proof("GET", path, "", token)
				answer = p.call("GET", path, "DPoP", token, "", proof)
			}
			require.Equal(t, http.StatusTooManyRequests, answer.Status, answer.Text)
			wait, err := time.ParseDuration(answer.Header.Get("Retry-After") + "s")
			require.NoError(t, err)
			time.Sleep(wait)
			answer = p.call("GET", path, "DPoP", token, "", proof)
			require.Equal(t, http.StatusOK, answer.Status, "the proof was used up: %s", answer.Text)
		})
	}
}
