package docs_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// yard is a svcauth behind a proxy that ends TLS, whose tokens gateways of
// others take. Its key set has a retired key too.
type yard struct {
	*svctest.Server
	caFile string
	behind *atomic.Int64          // how far its clock is
	asker  svcauth.ServiceAccount // may introspect
	shown  map[string][]presented // by the audience of an API
}

// api is one of the catalogue's, with what its tokens look like.
type api struct {
	name, profile  string // usual, a preset or an algorithm; the profile in YAML
	audience       string
	privilege      string // that gateways ask for
	beside         string // a privilege of another API with the same profile
	algorithm, typ string
	array          string // the claim with the privileges, if that is none with a text
}

// yardAPIs are the usual tokens, those of each preset, those that many can't
// check, and those whose privileges are an array.
var yardAPIs = []api{
	{"usual", "{}", audience, "clusters:view", "billing:view", "ES256", "at+jwt", ""},
	ofPreset(profile.AWSAPIGateway, "buckets:view", "queues:view", "RS256", "at+jwt"),
	ofPreset(profile.AzureAPIM, "blobs:view", "vaults:view", "RS256", "at+jwt"),
	ofPreset(profile.Spring, "beans:view", "books:view", "RS256", "JWT"),
	ofPreset(profile.Strimzi, "topics:view", "groups:view", "ES256", "at+jwt"),
	{"EdDSA", "{signing_algorithm: EdDSA}", "https://eddsa.example", "curves:view", "points:view", "EdDSA",
		"at+jwt", ""},
	{"scp", "{scope_claim: scp}", "https://scp.example", "scans:view", "slots:view", "ES256", "at+jwt", "scp"},
	{"permissions", "{scope_claim: permissions}", "https://permissions.example", "plans:view", "parts:view", "ES256",
		"at+jwt", "permissions"},
}

func ofPreset(name, privilege, beside, algorithm, typ string) api {
	return api{name, "{preset: " + name + "}", "https://" + name + ".example", privilege, beside, algorithm, typ, ""}
}

// yardCatalog writes the catalogue of yardAPIs: beside each privilege there is
// one to edit, and one whose name begins alike.
func yardCatalog(t *testing.T) string {
	t.Helper()
	text := "apis:\n"
	for _, a := range yardAPIs {
		for _, one := range []struct{ audience, privilege string }{{a.audience, a.privilege},
			{a.audience + "/beside", a.beside}} {
			text += "  - audience: " + one.audience + "\n    name: of the test\n    privileges:\n"
			for _, name := range []string{one.privilege, toEdit(one.privilege), one.privilege + "s"} {
				text += "      - {name: '" + name + "', title: of the test}\n"
			}
			text += "    profile: " + a.profile + "\n"
		}
	}
	return publicFile(t, t.TempDir(), "catalog.yaml", []byte(text))
}

func toEdit(privilege string) string { return strings.Replace(privilege, "view", "edit", 1) }

// presented is a token that a gateway is shown, and what it must answer.
type presented struct {
	name, token string
	status      int
}

// forMore is the token whose aud is an array.
const forMore = "for more APIs than one"

// publicDir returns a directory that workers which gave up root can read.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gateways")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) // as said
	return dir
}

func publicFile(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, text, 0o644)) // as said
	return path
}

// newYard has all tokens but the forged ones from the server itself: those of
// another hour from its clock, that of another issuer from its own keys under
// another name.
func newYard(t *testing.T) *yard {
	proxy := httptest.NewUnstartedServer(nil)
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	issuer := "https://" + proxy.Listener.Addr().String()
	behind := &atomic.Int64{}
	behind.Store(int64(3 * time.Hour))
	y := &yard{behind: behind, shown: map[string][]presented{}, Server: svctest.New(t, svctest.Options{
		Clock:   func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) },
		Environ: []string{"SVCAUTH_ISSUER=" + issuer, "SVCAUTH_CATALOG_FILE=" + yardCatalog(t)},
	})}
	target, err := url.Parse(y.URL)
	require.NoError(t, err)
	proxy.Config.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	y.caFile = publicFile(t, publicDir(t), "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: proxy.Certificate().Raw}))

	holders := map[string]svcauth.ServiceAccount{}
	token := func(privileges ...string) string {
		name := fmt.Sprint("holder of ", privileges)
		if holders[name].ID == "" {
			holders[name] = y.Account(name, privileges...)
		}
		return y.Token(holders[name].ClientID, holders[name].ClientSecret, "")
	}
	each := func(name string, status int, get func(api) string) {
		for _, a := range yardAPIs {
			y.shown[a.audience] = append(y.shown[a.audience], presented{name, get(a), status})
		}
	}
	good := func(a api) string { return token(toEdit(a.privilege), a.privilege) }
	each("expired", 401, good)
	y.Stop()
	y.Set("SVCAUTH_ISSUER=https://other.example")
	behind.Store(int64(20 * time.Minute))
	y.Start()
	each("of another issuer by the same key", 401, good)
	y.Stop()
	y.Set("SVCAUTH_ISSUER=" + issuer)
	y.Start()
	each("of 20 minutes ago, by a key that was replaced since", 200, good)
	_, err = y.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
	require.NoError(t, err)
	behind.Store(0)
	each("for another API", 401, func(a api) string { return token(a.beside) })
	each(forMore, 200, func(a api) string { return token(a.privilege, a.beside) })
	each("without the privilege", 403, func(a api) string { return token(toEdit(a.privilege)) })
	each("with a privilege that begins alike", 403, func(a api) string { return token(a.privilege + "s") })
	each("", 401, func(api) string { return "" })
	each("no token at all", 401, func(api) string { return "nonsense" })
	each("of now", 200, good)
	y.asker = y.Account("gateway", "tokens:introspect")
	y.forge(t)
	return y
}

// good returns the token of now.
func (y *yard) good(a api) string {
	all := y.shown[a.audience]
	return all[slices.IndexFunc(all, func(p presented) bool { return p.name == "of now" })].token
}

// expiring returns a good token that expires after so long, less than an hour.
// Nobody may use the server meanwhile.
func (y *yard) expiring(a api, after time.Duration) string {
	account := y.Account("about to expire", a.privilege)
	y.behind.Store(int64(time.Hour - after))
	defer y.behind.Store(0)
	return y.Token(account.ClientID, account.ClientSecret, "")
}

// forge makes tokens of the one that is good now, the last one, and the one of
// 20 minutes ago.
func (y *yard) forge(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	keys, err := jwk.ParseSet([]byte(y.Get("/.well-known/jwks.json", "").Text), 10)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edwardsKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	strangers := map[string]crypto.Signer{"RS256": rsaKey, "ES256": ecdsaKey, "EdDSA": edwardsKey}
	for _, a := range yardAPIs {
		all := y.shown[a.audience]
		now, before := strings.Split(all[len(all)-1].token, "."), strings.Split(all[2].token, ".")
		header, err := base64.RawURLEncoding.DecodeString(now[0])
		require.NoError(t, err)
		var of struct{ Alg, Kid, Typ string }
		require.NoError(t, json.Unmarshal(header, &of))
		require.Equal(t, a.algorithm, of.Alg)
		require.Equal(t, a.typ, of.Typ)
		require.NotContains(t, all[2].token, now[0], "the key was replaced")
		_, public, found := keys.Find(of.Kid)
		require.True(t, found, "the key set has no %s", of.Kid)
		der, err := x509.MarshalPKIXPublicKey(public)
		require.NoError(t, err)
		sign := func(algorithm string, key any) string {
			text := encode([]byte(strings.Replace(string(header), of.Alg, algorithm, 1))) + "." + now[1]
			signature, err := jwt.GetSigningMethod(algorithm).Sign(text, key)
			require.NoError(t, err)
			return text + "." + encode(signature)
		}
		y.shown[a.audience] = append(all,
			presented{"with the claims of another", now[0] + "." + before[1] + "." + now[2], 401},
			presented{"without its signature", now[0] + "." + now[1] + ".", 401},
			presented{"by a stranger's key of the same name", sign(of.Alg, strangers[of.Alg]), 401},
			presented{"by none", sign("none", jwt.UnsafeAllowNoneSignatureType), 401},
			presented{"by HS256 with the public key", sign("HS256",
				pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), 401})
	}
}
