package interop_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// cluster is what testdata/kubernetes prints.
type cluster struct {
	Issuer, Subject, UID string
	Tokens               map[string]string
	Discovery, JWKS      json.RawMessage
}

// readCluster returns tokens that the code of Kubernetes has made: those that
// are kept, or new ones with SVCAUTH_TEST_LONG=1, since building that code
// takes minutes.
func readCluster(t *testing.T) (made cluster) {
	t.Helper()
	text, err := os.ReadFile("testdata/kubernetes.json")
	require.NoError(t, err)
	if os.Getenv("SVCAUTH_TEST_LONG") == "1" {
		command := exec.CommandContext(t.Context(), "go", "run", "-C", "testdata/kubernetes", ".")
		command.Stderr = os.Stderr
		text, err = command.Output()
		require.NoError(t, err)
	}
	require.NoError(t, json.Unmarshal(text, &made))
	return made
}

// TestTokensOfKubernetesOwnCode: a pod's projected token proves an account by
// the preset, with the key set as the API server publishes it, and neither a
// token that is for somebody else too, nor one of a namesake.
func TestTokensOfKubernetesOwnCode(t *testing.T) {
	made := readCluster(t)
	began := time.Now()
	issued := time.Unix(int64(part(t, made.Tokens["projected RS256"], 1)["iat"].(float64)), 0)
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=https://auth.example.com"},
		Clock: func() time.Time { return issued.Add(time.Second + time.Since(began)) }})
	account := s.Account("checkout", privilege)
	trusted, err := s.App.Access.CreateFederatedCredential(s.System(), account.ID, svcauth.NewFederatedCredential{
		Name: "checkout in production", Preset: svcauth.PresetKubernetes, Issuer: made.Issuer, Subject: made.Subject,
		Claims: map[string]string{"/kubernetes.io/serviceaccount/uid": made.UID}, JWKS: made.JWKS,
		Caution: svcauth.Caution{Strict: true}})
	require.NoError(t, err)
	fails := map[string]string{"another account of the name": "claims", "for two": "audience",
		"for the API server": "audience"}
	require.Len(t, made.Tokens, len(fails)+2)
	for name, token := range made.Tokens {
		t.Run(name, func(t *testing.T) {
			form := assertedBy("jwt-bearer", token)
			form.Set("client_id", account.ID)
			answer := s.Post("/oauth2/token", "", "", form)
			tested, err := s.Admin().TestFederatedCredentials(t.Context(), svcauth.FederatedTest{Assertion: token})
			require.NoError(t, err)
			require.Equal(t, fails[name], tested.Credentials[0].Rule)
			if fails[name] != "" {
				require.Equal(t, 401, answer.Status, answer.Text)
				return
			}
			require.Equal(t, 200, answer.Status, answer.Text)
			claims := part(t, answer.JSON["access_token"].(string), 1)
			require.Equal(t, trusted.ID, claims["cred"])
			require.LessOrEqual(t, claims["exp"], part(t, token, 1)["exp"], "it lives no longer than the pod's")
			again := s.Post("/oauth2/token", "", "", form)
			require.Equal(t, 200, again.Status, "the pod has no other until it is renewed")
		})
	}
	var discovery struct{ Issuer string }
	require.NoError(t, json.Unmarshal(made.Discovery, &discovery))
	require.Equal(t, made.Issuer, discovery.Issuer)
}

func assertedBy(kind, assertion string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:" + kind}}
}

// trustDomain is one of SPIFFE's, kept by go-spiffe.
type trustDomain struct {
	*spiffebundle.Bundle
	keys map[string]crypto.Signer // by the use of their kind in a bundle
}

func newTrustDomain(t *testing.T) trustDomain {
	t.Helper()
	name := spiffeid.RequireTrustDomainFromString("shop.example")
	d := trustDomain{spiffebundle.New(name), map[string]crypto.Signer{}}
	for _, use := range []string{"jwt-svid", "wit-svid"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		d.keys[use] = key
	}
	require.NoError(t, d.AddJWTAuthority("jwt-1", d.keys["jwt-svid"].Public()))
	require.NoError(t, d.AddWITAuthority("wit-1", d.keys["wit-svid"].Public()))
	root := certtest.New(t, "shop.example")
	d.AddX509Authority(root.Certificate)
	d.SetSequenceNumber(1)
	d.SetRefreshHint(time.Minute)
	return d
}

// svid returns a JWT-SVID, and checks that go-spiffe takes it for one if its
// key is the trust domain's for them.
func (d trustDomain) svid(t *testing.T, use, kid, audience string) string {
	t.Helper()
	id := spiffeid.RequireFromPath(d.TrustDomain(), "/checkout").String()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": id, "aud": []string{audience},
		"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()})
	token.Header["kid"] = kid
	text, err := token.SignedString(d.keys[use])
	require.NoError(t, err)
	_, err = jwtsvid.ParseAndValidate(text, d.JWTBundle(), []string{audience})
	require.Equal(t, use == "jwt-svid" && d.HasJWTAuthority(kid), err == nil, "%v", err)
	return text
}

// TestSVIDsOfGoSPIFFE: a bundle as go-spiffe writes it, given or fetched from
// its own endpoint, lets in what go-spiffe takes for a JWT-SVID, and nothing
// that is signed by a key of another use or one that was taken away.
func TestSVIDsOfGoSPIFFE(t *testing.T) {
	domain := newTrustDomain(t)
	handler, err := federation.NewHandler(domain.TrustDomain(), domain.Bundle)
	require.NoError(t, err)
	endpoint := httptest.NewTLSServer(handler)
	t.Cleanup(endpoint.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: endpoint.Certificate().Raw}), 0o600))
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_FEDERATION_ALLOWED_NETWORKS=127.0.0.0/8",
		"SVCAUTH_FEDERATION_CA_FILE=" + ca}})
	given, err := domain.Marshal()
	require.NoError(t, err)
	for name, n := range map[string]svcauth.NewFederatedCredential{
		"given": {JWKS: bytes.Clone(given)}, "fetched": {JWKSURI: endpoint.URL},
	} {
		account := s.Account("checkout, the bundle "+name, privilege)
		n.Name, n.Preset, n.Strict = "svid", svcauth.PresetSPIFFE, true
		n.Issuer, n.Subject = domain.TrustDomain().IDString(), "spiffe://shop.example/checkout"
		_, err = s.App.Access.CreateFederatedCredential(s.System(), account.ID, n)
		require.NoError(t, err)
		status := func(use, kid string) int {
			form := assertedBy("jwt-spiffe", domain.svid(t, use, kid, s.Issuer))
			form.Set("client_id", account.ID)
			return s.Post("/oauth2/token", "", "", form).Status
		}
		require.Equal(t, 200, status("jwt-svid", "jwt-1"), name)
		require.Equal(t, 401, status("jwt-svid", "jwt-2"), name)
		require.Equal(t, 401, status("wit-svid", "wit-1"), name)
		require.Equal(t, 401, status("wit-svid", "jwt-1"), name)
	}

	// Without client_id the audience names the organization, and one alone may
	// fit.
	tenant := s.NewTenant("shop")
	account := s.AccountIn(tenant, "checkout", privilege)
	_, err = s.AdminOf(tenant).CreateFederatedCredential(t.Context(), account.ID, svcauth.NewFederatedCredential{
		Name: "svid", Preset: svcauth.PresetSPIFFE, Issuer: domain.TrustDomain().IDString(),
		Subject: "spiffe://shop.example/checkout", JWKS: given})
	require.NoError(t, err)
	answer := s.Post("/oauth2/token", "", "", assertedBy("jwt-spiffe",
		domain.svid(t, "jwt-svid", "jwt-1", s.Issuer+"/o/"+tenant.Organization.ID)))
	require.Equal(t, 200, answer.Status, answer.Text)
	require.Equal(t, account.ID, part(t, answer.JSON["access_token"].(string), 1)["client_id"])
}
