package server_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var grantForm = url.Values{"grant_type": {"client_credentials"}}

func with(pairs ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

// publicKeys reads the JWKS as a stranger does, RFC 7517 and RFC 7518 §6.
func publicKeys(t *testing.T, s *svctest.Server) map[string]crypto.PublicKey {
	t.Helper()
	var doc struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal([]byte(s.Get("/.well-known/jwks.json", "").Text), &doc))
	number := func(text string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err)
		return raw
	}
	keys := map[string]crypto.PublicKey{}
	for _, k := range doc.Keys {
		switch k["kty"] {
		case "EC":
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(),
				slices.Concat([]byte{4}, number(k["x"]), number(k["y"])))
			require.NoError(t, err)
			keys[k["kid"]] = key
		case "RSA":
			keys[k["kid"]] = &rsa.PublicKey{N: new(big.Int).SetBytes(number(k["n"])),
				E: int(new(big.Int).SetBytes(number(k["e"])).Int64())}
		case "OKP":
			keys[k["kid"]] = ed25519.PublicKey(number(k["x"]))
		}
	}
	return keys
}

// claimsOf verifies a token with nothing but the JWKS. It returns header and
// claims as encoding/json reads them.
func claimsOf(t *testing.T, s *svctest.Server, token string) (header, claims map[string]any) {
	t.Helper()
	keys := publicKeys(t, s)
	parsed, err := jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()).Parse(token,
		func(tok *jwt.Token) (any, error) { return keys[tok.Header["kid"].(string)], nil })
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(payload(t, token)))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&claims))
	return parsed.Header, claims
}

func number(t *testing.T, v any) int64 {
	t.Helper()
	n, err := v.(json.Number).Int64()
	require.NoError(t, err, "RFC 7519 §2: integers, no fractions")
	return n
}

// TestClaims is RFC 9068 §2 and contract §2.2, in each algorithm.
func TestClaims(t *testing.T) {
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			p := newProtocol(t, svctest.Options{Environ: []string{"SVCAUTH_TOKEN_SIGNING_ALGORITHM=" + algorithm}})
			began := time.Now().Unix()
			header, c := claimsOf(t, p.Server, p.Token(p.id, svcauth.Secret(p.secret), "clusters:view"))
			require.Equal(t, algorithm, header["alg"])
			require.Equal(t, "at+jwt", header["typ"])
			require.Len(t, header, 3)
			iat := number(t, c["iat"])
			require.InDelta(t, began, iat, 60)
			require.EqualValues(t, iat+3600, number(t, c["exp"]))
			require.Regexp(t, `^[0-9A-Za-z_-]{22}$`, c["jti"])
			require.Regexp(t, `^sec_[0-9a-z]{26}$`, c["cred"])
			for _, name := range []string{"iat", "exp", "jti", "cred"} {
				delete(c, name)
			}
			require.Equal(t, map[string]any{"iss": p.Issuer, "sub": p.id, "client_id": p.id,
				"aud": "https://api.cloud.example", "scope": "clusters:view",
				"roles": []any{"Role of ci"}, "org_id": p.Tenant.Organization.ID, "epoch": json.Number("0"),
				"pol": json.Number("0")}, c)
		})
	}
	p := newProtocol(t, svctest.Options{})
	_, all := claimsOf(t, p.Server, p.Token(p.id, svcauth.Secret(p.secret), ""))
	require.Equal(t, []any{"https://billing.cloud.example", "https://api.cloud.example"}, all["aud"],
		"an array for more than one")

	bare := p.Account("bare")
	answer := p.Post("/oauth2/token", bare.ClientID, bare.ClientSecret, grantForm)
	require.Equal(t, 200, answer.Status, "a client without roles gets a token without privileges")
	require.Equal(t, "", answer.JSON["scope"])
	_, none := claimsOf(t, p.Server, answer.JSON["access_token"].(string))
	require.NotContains(t, none, "scope")
	require.Equal(t, []any{}, none["roles"])
	require.Equal(t, p.Issuer, none["aud"], "where there is no privilege, the issuer")
	answer = p.Post("/oauth2/token", bare.ClientID, bare.ClientSecret, with("resource", "https://api.cloud.example"))
	_, none = claimsOf(t, p.Server, answer.JSON["access_token"].(string))
	require.Equal(t, "https://api.cloud.example", none["aud"])

	key := p.Tenant.ApplicationKey
	_, admin := claimsOf(t, p.Server, p.Token(key.ClientID, key.ClientSecret, ""))
	require.Equal(t, key.ClientID, admin["client_id"])
	require.Equal(t, p.Tenant.AdminID, admin["sub"], "an application key acts as its member")
	require.NotContains(t, admin["aud"], p.Issuer)
}

// TestClaimsOfHostileNames: what people may call a role arrives unchanged.
func TestClaimsOfHostileNames(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	names := []string{`Zoë "quoted" \ back`, "</script><b>", "名前 🚀", `{"a":1}`, "\u2028"}
	var ids []string
	for _, name := range names {
		role, err := p.App.Access.CreateRole(p.System(),
			svcauth.NewRole{Name: name, Privileges: []string{"clusters:view"}})
		if name == "\u2028" {
			require.Error(t, err, "a name that breaks lines")
			continue
		}
		require.NoError(t, err, name)
		ids = append(ids, role.ID)
	}
	a, err := p.App.Access.CreateServiceAccount(p.System(), svcauth.NewServiceAccount{Name: "named", RoleIDs: ids})
	require.NoError(t, err)
	_, c := claimsOf(t, p.Server, p.Token(a.ClientID, a.ClientSecret, ""))
	require.ElementsMatch(t, []any{names[0], names[1], names[2], names[3]}, c["roles"])
}

// timed is a clock that moves on with the real one, and that a test sets ahead.
type timed struct{ ahead atomic.Int64 }

func (c *timed) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// add sets the clock ahead by d, and waits until the server has read its change
// log since. Before that, the server knows nothing of that time.
func (c *timed) add(t *testing.T, p protocol, d time.Duration) {
	t.Helper()
	c.ahead.Add(int64(d))
	require.Eventually(t, func() bool {
		return p.Post("/oauth2/introspect", p.id, svcauth.Secret(p.secret), url.Values{"token": {"x"}}).Status == 200
	}, patience, tick)
}

// TestOnlyWhoKnewTheSecretLearnsMore is contract §2.1: to anybody else it is
// the same 401.
func TestOnlyWhoKnewTheSecretLearnsMore(t *testing.T) {
	clock := &timed{}
	p := newProtocol(t, svctest.Options{Clock: clock.Now})
	wrong := svcauth.NewSecret()
	soon := clock.Now().Add(time.Hour)
	expiring, err := p.App.Access.CreateServiceAccount(p.System(),
		svcauth.NewServiceAccount{Name: "expiring", SecretExpiresAt: &soon})
	require.NoError(t, err)
	disabled := p.Account("disabled", "clusters:view")
	yes := true
	_, err = p.App.Access.UpdateServiceAccount(p.System(), disabled.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes})
	require.NoError(t, err)
	same := p.Post("/oauth2/token", p.id, wrong, grantForm).JSON["error_description"]
	require.Equal(t, 200, p.Post("/oauth2/token", expiring.ClientID, expiring.ClientSecret, grantForm).Status)
	clock.add(t, p, 2*time.Hour)
	for _, c := range []struct {
		account svcauth.ServiceAccount
		says    string
	}{{expiring, "secret expired on " + soon.UTC().Format("2006-01-02")}, {disabled, "service account is disabled"}} {
		for _, endpoint := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
			a := p.Post(endpoint, c.account.ClientID, c.account.ClientSecret, with("token", "x"))
			require.Equal(t, 401, a.Status)
			require.Equal(t, "invalid_client", a.JSON["error"])
			require.Contains(t, a.JSON["error_description"], c.says)
			require.Equal(t, `Basic realm="svcauth"`, a.Header.Get("WWW-Authenticate"))
			a = p.Post(endpoint, c.account.ClientID, wrong, with("token", "x"))
			require.Equal(t, same, a.JSON["error_description"])
		}
	}
	no := false
	_, err = p.App.Access.UpdateServiceAccount(p.System(), disabled.ID, 0, svcauth.ServiceAccountPatch{Disabled: &no})
	require.NoError(t, err)
	require.Equal(t, 200, p.Post("/oauth2/token", disabled.ClientID, disabled.ClientSecret, grantForm).Status)
}

func TestLifetimeOfTokens(t *testing.T) {
	clock := &timed{}
	p := newProtocol(t, svctest.Options{Clock: clock.Now, Environ: []string{"SVCAUTH_TOKEN_TTL=2m"}})
	a := p.Post("/oauth2/token", p.id, svcauth.Secret(p.secret), grantForm)
	require.EqualValues(t, 120, a.JSON["expires_in"])
	token := a.JSON["access_token"].(string)
	ttl := 60
	_, err := p.App.Access.UpdateServiceAccount(p.System(), p.id, 0, svcauth.ServiceAccountPatch{TokenTTLSeconds: &ttl})
	require.NoError(t, err)
	a = p.Post("/oauth2/token", p.id, svcauth.Secret(p.secret), grantForm)
	require.EqualValues(t, 60, a.JSON["expires_in"])
	clock.add(t, p, 61*time.Second)
	require.False(t, p.Active(p.id, svcauth.Secret(p.secret), a.JSON["access_token"].(string)))
	require.True(t, p.Active(p.id, svcauth.Secret(p.secret), token))
	clock.add(t, p, time.Minute)
	require.False(t, p.Active(p.id, svcauth.Secret(p.secret), token))
	require.Equal(t, 200, p.Post("/oauth2/revoke", p.id, svcauth.Secret(p.secret), url.Values{"token": {token}}).Status,
		"RFC 7009 §2.2: an expired one needs nothing more")
}

// Wrong secrets are counted at token, revoke and introspect alike (contract
// §2.1).
func TestWrongSecretsAreCountedOverAllEndpoints(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	wrong := svcauth.NewSecret()
	endpoints := []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/api/1.0/token"}
	for i := range 20 {
		require.Equal(t, 401, p.Post(endpoints[i%4], p.id, wrong, with("token", "x")).Status, "wrong secret %d", i+1)
	}
	var refused, served time.Duration
	for _, endpoint := range endpoints {
		began := time.Now()
		a := p.Post(endpoint, p.id, wrong, with("token", "x"))
		refused += time.Since(began)
		require.Equal(t, 429, a.Status)
		p.lawful(t, a)
		require.Regexp(t, `^([1-9]|[1-5][0-9]|60)$`, a.Header.Get("Retry-After"))
		began = time.Now()
		require.Equal(t, 200, p.Post(endpoint, p.id, svcauth.Secret(p.secret), with("token", "x")).Status,
			"a right secret is served")
		served += time.Since(began)
	}
	require.GreaterOrEqual(t, refused, time.Duration(len(endpoints))*time.Second, "who is told to wait is made to")
	require.Less(t, served, refused, "whose secret is right is not")
	other := p.Account("other")
	require.Equal(t, 401, p.Post("/oauth2/token", other.ClientID, wrong, grantForm).Status,
		"another client has its own count")
	before := 25 // were sent from this address
	for p.Post("/oauth2/token", svcauth.NewID(svcauth.PrefixServiceAccount), wrong, grantForm).Status == 401 {
		before++
	}
	require.Equal(t, 200, before, "of one address in a minute, of whichever clients")
	require.Equal(t, 200, p.Post("/oauth2/token", other.ClientID, other.ClientSecret, grantForm).Status)
	require.Contains(t, p.Log(), `"reason":"too_many_requests"`)
}

func TestForwardedAddressesAreBelievedFromTrustedProxiesOnly(t *testing.T) {
	wrong := svcauth.NewSecret()
	for trusted, first := range map[string]int{"": 20, "127.0.0.0/8": 24} {
		p := newProtocol(t, svctest.Options{Environ: []string{"SVCAUTH_TRUSTED_PROXIES=" + trusted}})
		answered := 0
		for i := range 24 {
			from := []string{"192.0.2.1", "192.0.2.2"}[i%2]
			a := p.send(t,
				request{"POST", "/oauth2/token",
					[]string{"Content-Type", formType, "Authorization", basicAuth(p.id, wrong.Reveal()),
						"X-Forwarded-For", "203.0.113.9, " + from, "X-Real-IP", "203.0.113.8", "Forwarded",
						"for=203.0.113.7"}, "grant_type=client_credentials"})
			if a.Status == 401 {
				answered++
			}
		}
		require.Equal(t, first, answered, "trusted %q", trusted)
		require.Equal(t, trusted != "", strings.Contains(p.Log(), `"ip":"192.0.2.1"`))
		require.NotContains(t, p.Log(), "203.0.113")
	}
}

// The address that everything counts against is never one that the caller made
// up.
func TestOneAddressForEverything(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_TRUSTED_PROXIES=127.0.0.0/8,10.0.0.0/8"}})
	const proxy = "127.0.0.1"
	for name, test := range map[string]struct {
		headers []string
		want    string
	}{
		"none":               {nil, proxy},
		"an address":         {[]string{"X-Forwarded-For", "192.0.2.1"}, "192.0.2.1"},
		"the last one":       {[]string{"X-Forwarded-For", "192.0.2.66, 192.0.2.1"}, "192.0.2.1"},
		"with a port":        {[]string{"X-Forwarded-For", "192.0.2.66, 192.0.2.1:5678"}, "192.0.2.1"},
		"IPv6":               {[]string{"X-Forwarded-For", "2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":   {[]string{"X-Forwarded-For", "[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with a port":   {[]string{"X-Forwarded-For", "[2001:db8::1]:80"}, "2001:db8::1"},
		"IPv4 in IPv6":       {[]string{"X-Forwarded-For", "::ffff:192.0.2.1"}, "192.0.2.1"},
		"behind two proxies": {[]string{"X-Forwarded-For", "192.0.2.66, 192.0.2.1, 10.1.1.1"}, "192.0.2.1"},
		"a line of the proxy's own": {[]string{"X-Forwarded-For", "192.0.2.66", "X-Forwarded-For", "192.0.2.1"},
			"192.0.2.1"},
		"nothing but proxies":        {[]string{"X-Forwarded-For", "10.1.1.2, 10.1.1.1"}, "10.1.1.2"},
		"unreadable":                 {[]string{"X-Forwarded-For", "192.0.2.66, unknown"}, proxy},
		"empty":                      {[]string{"X-Forwarded-For", ""}, proxy},
		"an empty last entry":        {[]string{"X-Forwarded-For", "192.0.2.66,"}, proxy},
		"IPv4 in brackets":           {[]string{"X-Forwarded-For", "[192.0.2.66]"}, proxy},
		"unreadable for the second":  {[]string{"X-Forwarded-For", "192.0.2.66, _hidden, 10.1.1.1"}, "10.1.1.1"},
		"X-Real-IP":                  {[]string{"X-Real-IP", "192.0.2.66"}, proxy},
		"unreadable, with X-Real-IP": {[]string{"X-Forwarded-For", "x", "X-Real-IP", "192.0.2.66"}, proxy},
		"headers of vendors": {[]string{"CF-Connecting-IP", "192.0.2.66", "X-Appengine-Remote-Addr",
			"192.0.2.66", "True-Client-IP", "192.0.2.66", "Forwarded", "for=192.0.2.66"}, proxy},
	} {
		req, err := http.NewRequest(http.MethodGet, s.URL+"/nothing", nil)
		require.NoError(t, err)
		for i := 0; i < len(test.headers); i += 2 {
			req.Header.Add(test.headers[i], test.headers[i+1])
		}
		id := s.Do(req).Header.Get("X-Request-Id")
		require.Eventually(t, func() bool { return strings.Contains(s.Log(), id) }, patience, 10*time.Millisecond)
		for line := range strings.Lines(s.Log()) {
			if strings.Contains(line, id) {
				require.Contains(t, line, `"ip":"`+test.want+`"`, name)
			}
		}
	}
}

// A new secret works at once (read your writes), and a removed one is not
// remembered.
func TestNewSecretWorksAtOnceAndARemovedOneNoMore(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	require.Equal(t, 200, p.Post("/oauth2/token", p.id, svcauth.Secret(p.secret), grantForm).Status)
	for range 3 {
		made, err := p.App.Access.CreateSecret(p.System(), p.id, svcauth.NewSecretRequest{})
		require.NoError(t, err)
		require.Equal(t, 200, p.Post("/oauth2/token", p.id, made.ClientSecret, grantForm).Status)
		require.NoError(t, p.App.Access.DeleteSecret(p.System(), p.id, made.ID, false))
		require.Equal(t, 401, p.Post("/oauth2/token", p.id, made.ClientSecret, grantForm).Status)
	}
	mine := svcauth.NewSecret()
	_, err := p.App.Access.CreateSecret(p.System(), p.id, svcauth.NewSecretRequest{ClientSecret: mine})
	require.NoError(t, err)
	require.Equal(t, 200, p.Post("/oauth2/token", p.id, mine, grantForm).Status)
}
