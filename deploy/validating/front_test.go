package validating_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

const (
	audience  = "https://api.cloud.example" // of the built-in catalogue
	privilege = "clusters:view"
)

// front is a real svcauth behind a proxy that ends TLS and adds one key, the
// test's own, to the published ones. svcauth signs nothing that is wrong, and a
// wrong token must be refused although its signature is right.
type front struct {
	server *svctest.Server
	issuer string
	caFile string
	kid    string
	key    *ecdsa.PrivateKey
}

func newFront(t *testing.T) *front {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	proxy := httptest.NewUnstartedServer(nil)
	f := &front{issuer: "https://" + proxy.Listener.Addr().String(), kid: "the-key-of-the-test", key: key}
	f.server = svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=" + f.issuer}})
	target, err := url.Parse(f.server.URL)
	require.NoError(t, err)
	rewrite := func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Accept-Encoding")
	}
	proxy.Config.Handler = &httputil.ReverseProxy{Rewrite: rewrite, ModifyResponse: f.addKey}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	f.caFile = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	_, err = x509.ParseCertificate(proxy.Certificate().Raw)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.caFile, certificate, 0o644)) // a server that gave up root reads it
	return f
}

func (f *front) addKey(resp *http.Response) error {
	if resp.Request.URL.Path != "/.well-known/jwks.json" || resp.StatusCode != http.StatusOK {
		return nil
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return err
	}
	point, err := f.key.PublicKey.Bytes()
	if err != nil {
		return err
	}
	own, err := json.Marshal(map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": f.kid,
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])})
	if err != nil {
		return err
	}
	set.Keys = append(set.Keys, own)
	body, err := json.Marshal(set)
	resp.Header.Del("Content-Length")
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return err
}

// publicPEM is what a verifier that takes any algorithm would use as the secret
// of an HMAC.
func (f *front) publicPEM(t *testing.T) []byte {
	der, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// sign makes a token as svcauth would make it, with changes to the claims and
// the typ. A nil claim is left out.
func (f *front) sign(t *testing.T, method jwt.SigningMethod, key any, typ string, changes map[string]any) string {
	now := time.Now()
	claims := map[string]any{"iss": f.issuer, "sub": "sa_1", "client_id": "sa_1", "aud": audience, "iat": now.Unix(),
		"exp": now.Add(time.Hour).Unix(), "jti": "t1",
		"scope": "clusters:edit " + privilege, "roles": []string{"Operator"}, "org_id": "org_1", "epoch": 1, "pol": 1,
		"cred": "sec_1"}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	header := `{"alg":"` + method.Alg() + `","kid":"` + f.kid + `","typ":"` + typ + `"}` // in svcauth's order
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode(payload)
	signature, err := method.Sign(text, key)
	require.NoError(t, err)
	return text + "." + encode(signature)
}

// attempt is a token and what must become of it.
type attempt struct {
	name, token string
	good        bool
}

// attempts are tokens of the server itself and of the test's key: some right,
// the others wrong in one way each.
func (f *front) attempts(t *testing.T) []attempt {
	viewer, biller, editor := f.server.Account("viewer", privilege, "alarms:view"),
		f.server.Account("biller", "billing:view"), f.server.Account("editor", "clusters:edit")
	real := f.server.Token(viewer.ClientID, viewer.ClientSecret, "")
	es256 := func(typ string, changes map[string]any) string {
		return f.sign(t, jwt.SigningMethodES256, f.key, typ, changes)
	}
	claim := func(name string, value any) string { return es256("at+jwt", map[string]any{name: value}) }
	parts := strings.Split(real, ".")
	other := strings.Split(f.server.Token(editor.ClientID, editor.ClientSecret, ""), ".")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	past := time.Now().Add(-time.Hour).Unix()
	return []attempt{
		{"of svcauth", real, true},
		{"of the test's key", es256("at+jwt", nil), true},
		{"for more than one API", claim("aud", []string{"https://billing.cloud.example", audience}), true},
		{"none", "", false},
		{"no JWT", "nonsense", false},
		{"of svcauth for another API", f.server.Token(biller.ClientID, biller.ClientSecret, ""), false},
		{"of svcauth without the scope", f.server.Token(editor.ClientID, editor.ClientSecret, ""), false},
		{"wrong aud", claim("aud", audience+"/"), false},
		{"no aud", claim("aud", nil), false},
		{"wrong iss", claim("iss", f.issuer+"/"), false},
		{"no iss", claim("iss", nil), false},
		{"expired", es256("at+jwt", map[string]any{"exp": past, "iat": past - 3600}), false},
		{"wrong typ", es256("JWT", nil), false},
		{"typ of a DPoP proof", es256("dpop+jwt", nil), false},
		{"scope that begins alike", claim("scope", privilege+"er x:"+privilege), false},
		{"no scope", claim("scope", nil), false},
		{"claims of another token", parts[0] + "." + other[1] + "." + parts[2], false},
		{"tampered signature", real[:len(real)-10] +
			strings.Map(func(r rune) rune { return map[bool]rune{true: 'A', false: 'B'}[r != 'A'] },
				real[len(real)-10:len(real)-5]) + real[len(real)-5:], false},
		{"no signature", parts[0] + "." + parts[1] + ".", false},
		{"alg none", f.sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "at+jwt", nil), false},
		{"HS256 with the public key", f.sign(t, jwt.SigningMethodHS256, f.publicPEM(t), "at+jwt", nil), false},
		{"another's key of the same kid", f.sign(t, jwt.SigningMethodES256, stranger, "at+jwt", nil), false},
	}
}
