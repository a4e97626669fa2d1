package drill_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	drillIssuer   = "https://issuer.example"
	wrongOfOneIP  = 200 // limits.wrong_secrets_per_address by default, in a window
	windowsInTest = 2   // that the flood may reach into
	inBetween     = 50  // that were let in before the one that reached the limit had been counted
)

// Strangers send assertions that are right in everything but their signature,
// of clients that exist, that do not, and of another issuer's workloads. Right
// clients don't notice, and no more signatures are checked than wrong secrets
// may be sent.
func TestStrangersSendBadAssertions(t *testing.T) {
	needFull(t)
	p := newPressed(t, 460)
	bad := p.badAssertions()
	p.measure("bad assertions, 8 callers", p.forge(bad, 8))
	p.measure("bad assertions, 1,500 callers", p.forge(bad, 1500))
}

// badAssertions are requests of each kind, signed by a key that nobody knows.
func (p *pressed) badAssertions() (requests []string) {
	account := p.newAccount("has a key")
	right, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	public, err := jwk.Of(right.Public())
	require.NoError(p.t, err)
	raw, err := json.Marshal(public)
	require.NoError(p.t, err)
	_, err = p.admin.CreateKey(p.t.Context(), account.ID, svcauth.NewKey{JWK: raw})
	require.NoError(p.t, err)
	set, err := json.Marshal(map[string]any{"keys": []any{public}})
	require.NoError(p.t, err)
	_, err = p.admin.CreateFederatedCredential(p.t.Context(), account.ID, svcauth.NewFederatedCredential{
		Name: "workload", Issuer: drillIssuer, Subject: "workload", Audience: p.issuer, JWKS: set,
	})
	require.NoError(p.t, err)
	wrong, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	for range 50 {
		unknown := svcauth.NewID(svcauth.PrefixServiceAccount)
		requests = append(requests,
			p.asserted(wrong, account.ID, account.ID, ""), p.asserted(wrong, unknown, unknown, ""),
			p.asserted(wrong, drillIssuer, "workload", account.ID))
	}
	return requests
}

func (p *pressed) asserted(key *ecdsa.PrivateKey, issuer, subject, clientID string) string {
	now := time.Now()
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": issuer, "sub": subject,
		"aud": p.issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}).SignedString(key)
	require.NoError(p.t, err)
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {clientauth.AssertionJWT},
		"client_assertion": {text}}
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	return posted("/oauth2/token", "", form)
}

// forge sends bad assertions from an address that sends nothing else.
func (p *pressed) forge(requests []string, callers int) press {
	checked := 0
	return func() func() string {
		c := call(p.t, last, job{Kind: "repeat", Addr: p.node.addr, From: []string{"127.0.0.2"}, Count: callers,
			Requests: requests})
		return func() string {
			r := c.ask(order{})
			c.hangUp()
			require.NotZero(p.t, r.Statuses[http.StatusTooManyRequests])
			checked += r.Statuses[http.StatusUnauthorized]
			require.LessOrEqual(p.t, checked, windowsInTest*(wrongOfOneIP+inBetween))
			return fmt.Sprintf("%.0f bad assertions a second, %d checked in all",
				float64(r.Asked)/r.Took.Seconds(), checked)
		}
	}
}
