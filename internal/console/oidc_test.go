package console_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	oidcClient = "svcauth-console"
	oidcSecret = "the provider's secret for us"
)

// openID is a real OpenID provider with discovery, authorization with PKCE,
// tokens and keys (RS256). Somebody is signed in at it already.
type openID struct {
	t      *testing.T
	server *httptest.Server
	key    *rsa.PrivateKey

	mu    sync.Mutex
	codes map[string]url.Values // authorization request by code
	// What it says of whoever is signed in. A test makes it lie by changing the
	// claims, the key or the method.
	email    string
	verified any
	spoil    func(jwt.MapClaims)
	signWith *rsa.PrivateKey
	method   jwt.SigningMethod
	hang     chan struct{} // nil, or what codes wait for
}

func newOpenID(t *testing.T, tls bool) *openID {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := &openID{t: t, key: key, codes: map[string]url.Values{}}
	p.honest("ann@example.com")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	if tls {
		p.server = httptest.NewTLSServer(mux)
	} else {
		p.server = httptest.NewServer(mux)
	}
	t.Cleanup(p.server.Close)
	return p
}

func (p *openID) honest(email string) {
	p.email = email
	p.verified = true
	p.spoil = func(jwt.MapClaims) {}
	p.signWith = p.key
	p.method = jwt.SigningMethodRS256
}

// environ points svcauth to it.
func (p *openID) environ() []string {
	dir := p.t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(p.t, os.WriteFile(secret, []byte(oidcSecret+"\n"), 0o600))
	env := []string{"SVCAUTH_OIDC_ISSUER=" + p.server.URL, "SVCAUTH_OIDC_CLIENT_ID=" + oidcClient,
		"SVCAUTH_OIDC_CLIENT_SECRET_FILE=" + secret}
	if certificate := p.server.Certificate(); certificate != nil {
		file := filepath.Join(dir, "ca.pem")
		require.NoError(p.t,
			os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600))
		env = append(env, "SVCAUTH_OIDC_CA_FILE="+file)
	}
	return env
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *openID) discovery(w http.ResponseWriter, _ *http.Request) {
	at := p.server.URL
	writeJSON(w, 200, map[string]any{
		"issuer":                                at,
		"authorization_endpoint":                at + "/authorize",
		"token_endpoint":                        at + "/token",
		"jwks_uri":                              at + "/keys",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"code_challenge_methods_supported":      []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	})
}

func (p *openID) keys(w http.ResponseWriter, _ *http.Request) {
	b64 := base64.RawURLEncoding.EncodeToString
	writeJSON(w, 200, map[string]any{
		"keys": []any{map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one",
			"n": b64(p.key.N.Bytes()), "e": b64(big.NewInt(int64(p.key.E)).Bytes())}},
	})
}

func (p *openID) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != oidcClient ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 ||
		q.Get("state") == "" || q.Get("nonce") == "" || !strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		http.Error(w, "a parameter is missing: "+r.URL.RawQuery, 400)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code := rand.Text()
	p.codes[code] = q
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{
		"code":  {code},
		"state": {q.Get("state")},
		"iss":   {p.server.URL},
	}.Encode(), http.StatusFound)
}

func (p *openID) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(why string) {
		writeJSON(w, 400, map[string]string{"error": "invalid_grant", "error_description": why})
	}
	if p.hang != nil {
		<-p.hang
	}
	id, secret, _ := r.BasicAuth()
	if plain, err := url.QueryUnescape(secret); id != oidcClient || err != nil || plain != oidcSecret {
		refuse("client")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code")) // a code works once
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		refuse("code, redirect_uri or code_verifier")
		return
	}
	claims := jwt.MapClaims{
		"iss":            p.server.URL,
		"sub":            "user-1",
		"aud":            oidcClient,
		"iat":            time.Now().Unix(),
		"exp":            time.Now().Add(time.Minute).Unix(),
		"nonce":          asked.Get("nonce"),
		"email":          p.email,
		"email_verified": p.verified,
	}
	p.spoil(claims)
	token := jwt.NewWithClaims(p.method, claims)
	token.Header["kid"] = "one"
	var key any = p.signWith
	switch p.method {
	case jwt.SigningMethodNone:
		key = jwt.UnsafeAllowNoneSignatureType
	case jwt.SigningMethodHS256:
		key = p.key.N.Bytes()
	}
	text, err := token.SignedString(key)
	if err != nil {
		refuse(err.Error())
		return
	}
	writeJSON(w, 200, map[string]any{
		"access_token": "opaque",
		"token_type":   "Bearer",
		"expires_in":   60,
		"id_token":     text,
	})
}

// throughProvider begins at our sign-in page and returns the address to which
// the provider sends the browser back.
func throughProvider(p *person, at *openID, next string) *url.URL {
	p.t.Helper()
	a := p.get("/console/sign-in/provider?next=" + url.QueryEscape(next))
	require.Equal(p.t, http.StatusSeeOther, a.status, a.body)
	client := *at.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Get(a.header.Get("Location"))
	require.NoError(p.t, err)
	require.NoError(p.t, resp.Body.Close())
	require.Equal(p.t, http.StatusFound, resp.StatusCode)
	back, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(p.t, err)
	require.Equal(p.t, "/console/sign-in/callback", back.Path)
	return back
}

func TestSignInThroughAnOpenIDProvider(t *testing.T) {
	provider := newOpenID(t, true)
	s := svctest.New(t, svctest.Options{Environ: provider.environ()})
	m, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{
		Email:     "ann@example.com",
		FirstName: "Ann",
		LastName:  "Example",
	})
	require.NoError(t, err)
	p := visit(t, s)
	require.Contains(t, p.get("/console/sign-in").body, "Sign in with single sign-on")
	back := throughProvider(p, provider, "/console/application-keys")
	a := p.get(back.RequestURI())
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	require.Equal(t, "/console/application-keys", a.header.Get("Location"))
	require.Equal(t, 200, p.get("/console/application-keys").status)
	m, err = s.Admin().Member(t.Context(), m.ID)
	require.NoError(t, err)
	require.Equal(t, svcauth.MemberActive, m.Status, "who was invited is a member now")
	require.Equal(t, 401, p.get(back.RequestURI()).status, "the provider's answer works once")
	require.NotContains(t, s.Log(), back.Query().Get("code"))
	require.NotContains(t, s.Log(), oidcSecret)
	passwordsGoOff(t, s, p, m)
}

// passwordsGoOff lets a member who has come in by single sign-on turn passwords
// off: every door that a password opened is shut then, for herself too.
func passwordsGoOff(t *testing.T, s *svctest.Server, ann *person, m svcauth.Member) {
	t.Helper()
	first := admin(t, s)
	settings := func(p *person) url.Values {
		return url.Values{
			"name":           {"default"},
			"asks_passwords": {"yes"},
			"version":        {p.field("/console/settings", versionField)},
		}
	}
	refused := first.post("/console/settings", settings(first))
	require.Equal(t, 422, refused.status)
	require.Contains(t, refused.body, "no member who holds Administrator without an end has signed in by")
	roles, err := s.Admin().Roles(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	for _, r := range roles.Items {
		if r.Name == svcauth.RoleAdministrator {
			require.NoError(t, second(s.Admin().AssignMemberRole(t.Context(), m.ID, r.ID, svcauth.GrantRequest{})))
		}
	}
	require.Contains(t, ann.get("/console/settings").body, s.Issuer+"/console/sign-in/callback")
	require.Equal(t, "/console/settings", ann.post("/console/settings", settings(ann)).header.Get("Location"))
	require.Equal(t, 200, ann.get("/console/members").status)
	require.NotContains(t, ann.get("/console/profile").body, "Current password")
	require.NotContains(t, ann.get("/console/members/"+m.ID).body, "Reset password")
	require.Equal(t, http.StatusSeeOther, first.get("/console/members").status, "its session began with a password")
	shut := visit(t, s).signIn(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal())
	require.Equal(t, 403, shut.status)
	require.Contains(t, shut.body, "single sign-on only")
	require.Equal(t, 401, visit(t, s).signIn(svctest.AdminEmail, "not the password").status)
	invited, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: "new@example.com"})
	require.NoError(t, err)
	link, err := url.Parse(invited.InvitationURL)
	require.NoError(t, err)
	page := visit(t, s).get(link.RequestURI()).body
	require.Contains(t, page, "takes no passwords")
	require.NotContains(t, page, "New password")
}

func TestAnswersOfAnOpenIDProviderThatAreRefused(t *testing.T) {
	provider := newOpenID(t, true)
	s := svctest.New(t, svctest.Options{Environ: provider.environ()})
	_, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{
		Email:     "ann@example.com",
		FirstName: "Ann",
		LastName:  "Example",
	})
	require.NoError(t, err)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	claim := func(name string, value any) func() {
		return func() { provider.spoil = func(c jwt.MapClaims) { c[name] = value } }
	}
	for name, c := range map[string]struct {
		lie    func()
		change func(url.Values)
		says   string
		status int
	}{
		"OpenID Connect Core §3.1.3.7 (3) another audience": {claim("aud", "somebody else"), nil, "not valid", 401},
		"OpenID Connect Core §3.1.3.7 (2) another issuer": {claim("iss", "https://evil.example"), nil, "not valid",
			401},
		"OpenID Connect Core §3.1.3.7 (6) another key": {func() {
			provider.signWith = stranger
		}, nil, "not valid", 401},
		"OpenID Connect Core §3.1.3.7 (7) no signature": {func() {
			provider.method = jwt.SigningMethodNone
		}, nil, "not valid", 401},
		"RFC 8725 §2.1 the public key as a secret": {func() {
			provider.method = jwt.SigningMethodHS256
		}, nil, "not valid", 401},
		"OpenID Connect Core §3.1.3.7 (9) expired": {claim("exp", time.Now().Add(-time.Hour).Unix()), nil,
			"not valid", 401},
		"OpenID Connect Core §3.1.3.7 (11) another nonce": {claim("nonce", "of another sign-in"), nil,
			"another sign-in", 401},
		"no nonce": {func() {
			provider.spoil = func(c jwt.MapClaims) { delete(c, "nonce") }
		}, nil, "another sign-in", 401},
		"the address is not verified": {func() {
			provider.verified = false
		}, nil, "vouch for your e-mail", 401},
		"nothing is said of the address": {func() {
			provider.spoil = func(c jwt.MapClaims) { delete(c, "email_verified") }
		}, nil, "vouch for your e-mail", 401},
		"verified is a word, and it is no": {func() {
			provider.verified = "false"
		}, nil, "vouch for your e-mail", 401},
		"nobody with this address is invited": {func() { provider.email = "eve@example.com" }, nil, "was invited", 403},
		"RFC 6749 §10.12 another state": {func() {}, func(q url.Values) {
			q.Set("state", "another")
		}, "not begun in this browser", 401},
		"a code of somebody else": {func() {}, func(q url.Values) {
			q.Set("code", "another")
		}, "did not accept", 401},
		"RFC 9207 §2.4 another issuer": {func() {}, func(q url.Values) {
			q.Set("iss", "https://evil.example")
		}, "another provider", 401},
		"the provider refuses": {func() {}, func(q url.Values) { q.Set("error", "access_denied") }, "refused", 401},
	} {
		t.Run(name, func(t *testing.T) {
			provider.honest("ann@example.com")
			c.lie()
			p := visit(t, s)
			back := throughProvider(p, provider, "")
			if c.change != nil {
				q := back.Query()
				c.change(q)
				back.RawQuery = q.Encode()
			}
			a := p.get(back.RequestURI())
			require.Equal(t, c.status, a.status, a.body)
			require.Contains(t, a.body, c.says)
			require.Empty(t, p.session())
			require.Equal(t, http.StatusSeeOther, p.get("/console/profile").status)
		})
	}
	provider.honest("ann@example.com")
	back := throughProvider(visit(t, s), provider, "")
	require.Equal(t, 401, visit(t, s).get(back.RequestURI()).status, "begun in another browser")
}

func TestWithoutAProviderThereIsNoSingleSignOn(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := visit(t, s)
	require.NotContains(t, p.get("/console/sign-in").body, "single sign-on")
	require.Equal(t, 404, p.get("/console/sign-in/provider").status)
	require.Equal(t, 404, p.get("/console/sign-in/callback?code=x&state=y").status)
}

func TestProviderThatIsAwayLeavesPasswords(t *testing.T) {
	provider := newOpenID(t, false)
	environ := provider.environ()
	provider.server.Close()
	s := svctest.New(t, svctest.Options{Environ: environ})
	require.Equal(t, 503, visit(t, s).get("/console/sign-in/provider").status)
	require.Equal(t, 200, admin(t, s).get("/console/members").status)
}
