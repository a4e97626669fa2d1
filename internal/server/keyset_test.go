package server_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// publisher is a client that publishes its keys (jwks_uri), on loopback.
type publisher struct {
	*signer
	*httptest.Server
	fetches atomic.Int64
	set     atomic.Pointer[string]           // the document
	fault   atomic.Pointer[http.HandlerFunc] // instead of it; nil: none
	ahead   atomic.Int64                     // of the server's clock
	key     svcauth.Key
	kid     string
}

// newPublisher returns an account whose only key is what it publishes.
func newPublisher(t *testing.T, environ ...string) *publisher {
	t.Helper()
	p := &publisher{kid: "first"}
	p.Server = httptest.NewServer(p)
	p.start(t, environ...)
	return p
}

// start starts the authorization server, and registers what is published.
func (p *publisher) start(t *testing.T, environ ...string) {
	t.Helper()
	t.Cleanup(p.Server.Close)
	s := svctest.New(t, svctest.Options{
		Environ: environ, Clock: func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) },
	})
	p.signer = &signer{Server: s, t: t, private: p256(t), alg: "ES256"}
	p.account = s.Account("publisher", "clusters:view")
	p.publish(p.jwk(p.kid))
	var err error
	p.key, err = s.Admin().CreateKey(t.Context(), p.account.ID, svcauth.NewKey{JWKSURI: p.Server.URL + "/keys.json"})
	require.NoError(t, err)
}

// ServeHTTP serves what is published, or the fault.
func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.fetches.Add(1)
	if fault := p.fault.Load(); fault != nil {
		(*fault)(w, r)
		return
	}
	_, _ = w.Write([]byte(*p.set.Load()))
}

// jwk returns the public key of what the client signs with now.
func (p *publisher) jwk(kid string) string {
	p.t.Helper()
	public, err := jwk.Of(p.private.Public())
	require.NoError(p.t, err)
	public.Kid = kid
	raw, err := json.Marshal(public)
	require.NoError(p.t, err)
	return string(raw)
}

func (p *publisher) publish(keys ...string) {
	set := `{"keys":[` + strings.Join(keys, ",") + `]}`
	p.set.Store(&set)
}

func (p *publisher) fails(with http.HandlerFunc) { p.fault.Store(&with) }

// pass moves the server's clock, and waits until it has read its log by it.
func (p *publisher) pass(by time.Duration) {
	p.t.Helper()
	p.ahead.Add(int64(by))
	grant := url.Values{"grant_type": {"client_credentials"}}
	require.Eventually(p.t, func() bool {
		return p.Post("/oauth2/token", p.account.ID, p.account.ClientSecret, grant).Status == 200
	}, time.Minute, 20*time.Millisecond)
}

// status is that of a request with an assertion, after edit has changed it.
func (p *publisher) status(edit func(headers, jwt.MapClaims)) int {
	return p.try(edit).Status
}

func (p *publisher) try(edit func(headers, jwt.MapClaims)) svctest.Answer {
	p.t.Helper()
	return p.ask(p.sign(func(h headers, c jwt.MapClaims) {
		now := time.Now().Add(time.Duration(p.ahead.Load()))
		h["kid"], c["iat"], c["exp"] = p.kid, now.Unix(), now.Add(time.Minute).Unix()
		if edit != nil {
			edit(h, c)
		}
	}))
}

// RFC 7591 §2: the client rotates its keys where it publishes them. A new one
// is found by one fetch, what is no more there counts no more, and while the
// document can't be had the last good one counts.
func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, onLoopback)
	require.EqualValues(t, 0, p.fetches.Load(), "registering fetches nothing")
	require.Empty(t, p.key.Thumbprint+p.key.Algorithm+p.key.Kid)
	answer := p.try(nil)
	require.Equal(t, p.key.ID, decoded(t, answer)["cred"])
	require.Equal(t, 200, p.status(func(h headers, _ jwt.MapClaims) { delete(h, "kid") }))
	require.EqualValues(t, 1, p.fetches.Load())

	old := p.private
	p.private, p.kid = p256(t), "second"
	p.publish(p.jwk("second"))
	early := p.try(nil)
	require.Equal(t, 401, early.Status, "asked within 30 s")
	_, detail := explained(t, p.Admin(), early.Header.Get("X-Request-Id"))
	require.Contains(t, detail, "at most once in 30 s")
	require.EqualValues(t, 1, p.fetches.Load())
	p.pass(31 * time.Second)
	require.Equal(t, 200, p.status(nil))
	require.Equal(t, 200, p.status(nil))
	require.EqualValues(t, 2, p.fetches.Load())
	p.private, p.kid, old = old, "first", p.private
	require.Equal(t, 401, p.status(nil), "it is published no more")
	p.private, p.kid = old, "second"

	for name, fault := range map[string]http.HandlerFunc{
		"away":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusBadGateway) },
		"no set":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(" ", 65<<10) + `{"keys":[]}`))
		},
	} {
		p.fails(fault)
		p.pass(6 * time.Minute)
		before := p.fetches.Load()
		require.Equal(t, 200, p.status(nil), name)
		require.Equal(t, before+1, p.fetches.Load(), name)
	}
	p.pass(25 * time.Hour)
	refused := p.try(nil)
	require.Equal(t, 401, refused.Status, "after a day nothing vouches for the keys")
	_, detail = explained(t, p.Admin(), refused.Header.Get("X-Request-Id"))
	require.Contains(t, detail, p.key.ID)
	require.Contains(t, detail, "could not be used")
}

// No assertion that fails for another reason leads to a fetch, and many with
// unknown kids lead to one.
func TestPublishedKeysAreFetchedSeldom(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, onLoopback, "SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=30")
	for name, edit := range map[string]func(headers, jwt.MapClaims){
		"aud":      func(_ headers, c jwt.MapClaims) { c["aud"] = "https://other.example" },
		"sub":      func(_ headers, c jwt.MapClaims) { c["sub"] = svcauth.NewID(svcauth.PrefixServiceAccount) },
		"expired":  func(_ headers, c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"far off":  func(_ headers, c jwt.MapClaims) { c["exp"] = time.Now().Add(48 * time.Hour).Unix() },
		"jti":      func(_ headers, c jwt.MapClaims) { c["jti"] = strings.Repeat("x", 600) },
		"typ":      func(h headers, _ jwt.MapClaims) { h["typ"] = "at+jwt" },
		"tokenURL": func(_ headers, c jwt.MapClaims) { c["aud"] = p.Issuer + "/oauth2/token" },
		"nobody": func(_ headers, c jwt.MapClaims) {
			c["iss"] = svcauth.NewID(svcauth.PrefixServiceAccount)
			c["sub"] = c["iss"]
		},
	} {
		require.Equal(t, 401, p.status(edit), name)
	}
	require.EqualValues(t, 0, p.fetches.Load())

	var wait sync.WaitGroup
	for range 25 {
		wait.Go(func() {
			p.ask(p.sign(func(h headers, _ jwt.MapClaims) { h["kid"] = "unknown-" + time.Now().String() }))
		})
	}
	wait.Wait()
	require.EqualValues(t, 1, p.fetches.Load())
	require.Equal(t, 200, p.status(nil), "few enough were wrong")
	for range 10 {
		p.status(func(h headers, _ jwt.MapClaims) { h["kid"] = "unknown" })
	}
	p.pass(40 * time.Second)
	require.Equal(t, 429, p.status(func(h headers, _ jwt.MapClaims) { h["kid"] = "unknown" }))
	require.EqualValues(t, 1, p.fetches.Load(), "the limit of wrong ones comes first")
}

// What may be registered, beside what, and what ends it.
func TestPublishedKeysOfAccounts(t *testing.T) {
	p := newPublisher(t, onLoopback)
	admin, ctx := p.Admin(), t.Context()
	add := func(body svcauth.NewKey) (svcauth.Key, error) { return admin.CreateKey(ctx, p.account.ID, body) }
	for address, part := range map[string]string{
		"http://keys.example/":                 "https",
		"https://me:word@keys.example/":        "password",
		"https://keys.example/#a":              "fragment",
		"keys.example":                         "not an address",
		"https://keys.example/a b":             "space",
		"https://keys.example/\u200b":          "can't be seen",
		p.Issuer + "/.well-known/jwks.json":    "this server's own",
		p.key.JWKSURI:                          "has this key already",
		"https://k.example/?" + longText(2048): "2048",
	} {
		_, err := add(svcauth.NewKey{JWKSURI: address})
		require.ErrorContains(t, err, part, address)
	}
	own := &signer{Server: p.signer.Server, t: t, account: p.account, private: p256(t), alg: "ES256"}
	other := &publisher{signer: own}
	_, err := add(svcauth.NewKey{JWK: json.RawMessage(other.jwk("own")), JWKSURI: "https://keys.example/"})
	require.ErrorContains(t, err, "one of jwk and pem")

	// Side by side with a registered key and another set: each opens.
	registered := own.register(own.private, nil, false)
	require.Equal(t, 200, p.status(nil))
	require.EqualValues(t, 1, p.fetches.Load())
	require.Equal(t, registered.ID, decoded(t, own.ask(own.sign(nil)))["cred"])
	second, err := add(svcauth.NewKey{JWKSURI: p.Server.URL + "/second.json", AcceptTokenURLAudience: true})
	require.NoError(t, err)
	require.Equal(t, p.key.ID, decoded(t, p.try(nil))["cred"], "in memory: the other need not be fetched")
	require.EqualValues(t, 1, p.fetches.Load())
	tokenURL := func(_ headers, c jwt.MapClaims) { c["aud"] = p.Issuer + "/oauth2/token" }
	require.Equal(t, second.ID, decoded(t, p.try(tokenURL))["cred"])
	require.EqualValues(t, 2, p.fetches.Load())

	// A key is known by its use, changed, and ended with its tokens.
	late := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	changed, err := admin.UpdateKey(ctx, p.account.ID, p.key.ID, svcauth.KeyPatch{ExpiresAt: &late})
	require.NoError(t, err)
	require.Equal(t, p.key.JWKSURI, changed.JWKSURI)
	require.NotNil(t, changed.ExpiresAt)
	events, err := admin.AuditEvents(ctx, svcauth.AuditFilter{Target: p.key.ID, Action: "key.*"})
	require.NoError(t, err)
	require.Equal(t, []string{"key.update", "key.create"}, []string{events.Items[0].Action, events.Items[1].Action})
	require.Contains(t, string(events.Items[1].After), p.key.JWKSURI)
	p.signer.Server.Stop() // it writes down what was used
	p.signer.Server.Start()
	used, err := admin.Key(ctx, p.account.ID, p.key.ID)
	require.NoError(t, err)
	require.NotNil(t, used.LastUsedAt)
	_, err = admin.DeleteKey(ctx, p.account.ID, second.ID, false, 0)
	require.NoError(t, err)
	token := p.try(nil).JSON["access_token"].(string)
	require.True(t, p.Active(p.account.ID, p.account.ClientSecret, token))
	p.pass(2 * time.Hour)
	require.Contains(t, p.try(nil).JSON["error_description"], "key expired on")
	p.pass(-2 * time.Hour)
	_, err = admin.DeleteKey(ctx, p.account.ID, p.key.ID, true, 0)
	require.NoError(t, err)
	require.False(t, p.Active(p.account.ID, p.account.ClientSecret, token))
	require.Equal(t, 401, p.status(nil))
	for n := range svcauth.MaxKeys - 1 {
		_, err = add(svcauth.NewKey{JWKSURI: p.Server.URL + "/" + string(rune('a'+n))})
		require.NoError(t, err)
	}
	_, err = add(svcauth.NewKey{JWKSURI: p.Server.URL + "/more"})
	require.ErrorContains(t, err, "the most there can be")
}

func longText(n int) string { return strings.Repeat("x", n) }

// A document counts only for what is a public key in it: not one whose private
// part everybody can read, nor a symmetric one, nor a weak one.
func TestPublishedKeysThatDoNotCount(t *testing.T) {
	p := newPublisher(t, onLoopback)
	mine := p.jwk(p.kid)
	p.private = p256(t)
	p.publish(mine, strings.Replace(p.jwk("second"), `"kty"`, `"d":"AAAA","kty"`, 1), `{"kty":"oct","k":"AAAA"}`,
		`{"kty":"RSA","kid":"second","n":"AQAB","e":"AQAB"}`)
	p.kid = "second"
	require.Equal(t, 401, p.status(nil), "its private part is there for all to read")
	p.publish(mine, p.jwk("second"))
	p.pass(31 * time.Second)
	require.Equal(t, 200, p.status(nil), "and now it is not")

	// Nothing is called that the operator has not allowed.
	closed := newPublisher(t)
	refused := closed.try(nil)
	require.Equal(t, 401, refused.Status)
	require.EqualValues(t, 0, closed.fetches.Load())
	_, detail := explained(t, closed.Admin(), refused.Header.Get("X-Request-Id"))
	require.Contains(t, detail, "federation.allowed_networks")
	require.NotContains(t, refused.Text, "allowed_networks", "the sender may be anybody")
}

// Of several addresses at most one is asked for a request: the one that had the
// key before, when both are old.
func TestKeysPublishedInTwoPlaces(t *testing.T) {
	p := newPublisher(t, onLoopback)
	set := *p.set.Load()
	var asked atomic.Value
	asked.Store("")
	p.fails(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(asked.Load().(string) + r.URL.Path)
		if r.URL.Path == "/keys.json" {
			_, _ = w.Write([]byte(set))
			return
		}
		_, _ = w.Write([]byte(`{"keys":[` + (&publisher{signer: &signer{t: t, private: p256(t)}}).jwk("other") + `]}`))
	})
	newer, err := p.Admin().CreateKey(t.Context(), p.account.ID, svcauth.NewKey{JWKSURI: p.Server.URL + "/newer.json"})
	require.NoError(t, err)
	require.Greater(t, newer.ID, p.key.ID)
	require.Equal(t, 401, p.status(nil), "one fetch a request")
	require.Equal(t, "/newer.json", asked.Load())
	require.Equal(t, p.key.ID, decoded(t, p.try(nil))["cred"])
	require.Equal(t, "/newer.json/keys.json", asked.Load())
	p.pass(6 * time.Minute)
	require.Equal(t, p.key.ID, decoded(t, p.try(nil))["cred"])
	require.Equal(t, "/newer.json/keys.json/keys.json", asked.Load())
}

// Over TLS only those count whom the system or federation.ca_file vouches for.
func TestKeysPublishedOverTLS(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		p := &publisher{kid: "first"}
		p.Server = httptest.NewTLSServer(p)
		environ := []string{onLoopback}
		if trusted {
			file := filepath.Join(t.TempDir(), "ca.pem")
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Server.Certificate().Raw})
			require.NoError(t, os.WriteFile(file, ca, 0o600))
			environ = append(environ, "SVCAUTH_FEDERATION_CA_FILE="+file)
		}
		p.start(t, environ...)
		require.True(t, strings.HasPrefix(p.key.JWKSURI, "https://"))
		require.Equal(t, trusted, p.status(nil) == 200)
	}
}
