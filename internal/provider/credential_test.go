package provider

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// keyPair is a key and a certificate in the forms in which people have them.
type keyPair struct{ jwk, public, private, certificate string }

func newKeyPair(t *testing.T) keyPair {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block := func(kind string, der []byte, err error) string {
		require.NoError(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	spki, err1 := x509.MarshalPKIXPublicKey(public)
	pkcs8, err2 := x509.MarshalPKCS8PrivateKey(private)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ci"}, NotAfter: time.Now().Add(24 * time.Hour),
	}
	leaf, err3 := x509.CreateCertificate(rand.Reader, template, template, public, private)
	return keyPair{
		jwk:    `{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`,
		public: block("PUBLIC KEY", spki, err1), private: block("PRIVATE KEY", pkcs8, err2),
		certificate: block("CERTIFICATE", leaf, err3),
	}
}

// oneOfEachCredential is an account a with one credential of each kind beside
// secrets, and with more in each of them.
func oneOfEachCredential(p keyPair, key, federated, certificate string) string {
	return fmt.Sprintf(`
		resource "svcauth_service_account" "a" { name = "a" }
		resource "svcauth_service_account_key" "k" {
			service_account_id = svcauth_service_account.a.id
			public_key = %q
			%s
		}
		resource "svcauth_federated_credential" "f" {
			service_account_id = svcauth_service_account.a.id
			name = "deploy"
			preset = "github"
			claims = {
				repository_id = "7"
				repository_owner_id = "3"
				environment = "prod"
			}
			%s
		}
		resource "svcauth_service_account_certificate" "c" {
			service_account_id = svcauth_service_account.a.id
			%s
		}`, p.public, key, federated, certificate)
}

const byName = `subject_dn = "cn=ci,  O=Example"`

// credentials returns the account's only credentials of each kind.
func (w *world) credentials() (k svcauth.Key, f svcauth.FederatedCredential, c svcauth.Certificate) {
	w.t.Helper()
	id := w.named("a").ID
	keys, err := w.Admin().Keys(w.t.Context(), id)
	require.NoError(w.t, err)
	federated, err := w.Admin().FederatedCredentials(w.t.Context(), id)
	require.NoError(w.t, err)
	certificates, err := w.Admin().Certificates(w.t.Context(), id)
	require.NoError(w.t, err)
	require.Len(w.t, keys.Items, 1)
	require.Len(w.t, federated.Items, 1)
	require.Len(w.t, certificates.Items, 1)
	return keys.Items[0], federated.Items[0], certificates.Items[0]
}

// TestWhatIsNoLongerConfiguredIsReset gives each attribute a value, takes it
// out again, and looks at the server.
func TestWhatIsNoLongerConfiguredIsReset(t *testing.T) {
	w := newWorld(t)
	p := newKeyPair(t)
	full := w.config("%s", oneOfEachCredential(p, `
			description = "mine"
			expires_at = "2099-01-01T00:00:00Z"
			accept_token_url_audience = true`, `
			description = "mine"
			expires_at = "2099-01-01T00:00:00Z"
			issuer = "https://github.example.com"
			audience = "https://api.example.com"
			subject = "repo:o/r:environment:prod"
			jwks_uri = "https://github.example.com/keys"
			algorithms = ["PS256", "ES256"]
			max_age_seconds = 60
			one_time = true
			token_ttl_seconds = 900
			privileges = ["clusters:view"]`, byName+`
			description = "mine"
			expires_at = "2099-01-01T00:00:00Z"`))
	bare := w.config("%s", oneOfEachCredential(p, "", "", byName))
	var before svcauth.FederatedCredential
	inPlace := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction("svcauth_service_account_key.k", plancheck.ResourceActionUpdate),
		plancheck.ExpectResourceAction("svcauth_federated_credential.f", plancheck.ResourceActionUpdate),
		plancheck.ExpectResourceAction("svcauth_service_account_certificate.c", plancheck.ResourceActionReplace),
	}}
	isBare := does(func() {
		k, f, c := w.credentials()
		require.Empty(t, k.Description+f.Description+c.Description+f.Subject+f.JWKSURI)
		require.Nil(t, k.ExpiresAt)
		require.Nil(t, f.ExpiresAt)
		require.Nil(t, c.ExpiresAt)
		require.False(t, k.AcceptTokenURLAudience || f.OneTime)
		require.Equal(t, []any{
			"https://token.actions.githubusercontent.com", w.URL, []string{"RS256"}, 3600, 0, []string(nil),
		}, []any{f.Issuer, f.Audience, f.Algorithms, f.MaxAge, f.TTLSeconds, f.Privileges})
	})
	run(t,
		resource.TestStep{Config: full, Check: does(func() {
			_, before, _ = w.credentials()
			require.Equal(t, []any{"https://api.example.com", []string{"ES256", "PS256"}, 60, true},
				[]any{before.Audience, before.Algorithms, before.MaxAge, before.OneTime})
		})},
		resource.TestStep{Config: full, PlanOnly: true},
		resource.TestStep{Config: bare, ConfigPlanChecks: inPlace, Check: isBare},
		resource.TestStep{Config: bare, PlanOnly: true},
		resource.TestStep{ // changed outside: set right, though the configuration has no word of it
			PreConfig: func() {
				_, f, _ := w.credentials()
				other, age := "https://other.example.com", 7
				_, err := w.Admin().UpdateFederatedCredential(t.Context(), w.named("a").ID, f.ID,
					svcauth.FederatedCredentialPatch{Audience: &other, MaxAge: &age, Algorithms: &[]string{"ES512"}})
				require.NoError(t, err)
			},
			Config: bare, ConfigPlanChecks: planned("svcauth_federated_credential.f", plancheck.ResourceActionUpdate),
			Check: resource.ComposeTestCheckFunc(isBare, does(func() {
				_, f, _ := w.credentials()
				require.Equal(t, before.ID, f.ID, "changed in place")
			})),
		},
	)
}

// TestCredentialsAreImported imports each kind with the real program. The plan
// after that makes nothing anew, though the configuration writes key and
// certificate in another form than the server.
func TestCredentialsAreImported(t *testing.T) {
	w := newWorld(t)
	p := newKeyPair(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	for _, certificate := range []string{
		fmt.Sprintf("certificate = %q", p.certificate), `san_ip = "2001:DB8:0::7"`, byName,
	} {
		ws.write("main.tf", required+oneOfEachCredential(p, "", "", certificate))
		ws.must("apply", "-auto-approve")
		k, f, c := w.credentials()
		for address, id := range map[string]string{
			"svcauth_service_account_key.k": k.ID, "svcauth_federated_credential.f": f.ID,
			"svcauth_service_account_certificate.c": c.ID,
		} {
			ws.must("state", "rm", address)
			require.Contains(t, ws.must("import", address, "a/"+id), "Import successful")
		}
		out := ws.must("apply", "-auto-approve")
		require.Contains(t, out, "0 added", certificate)
		require.Contains(t, out, "0 destroyed", certificate)
		require.Contains(t, ws.must("plan"), "No changes", certificate)
	}
	// Another one is made before the first is gone, if the configuration asks
	// so: the page says that.
	next := newKeyPair(t)
	ws.write("main.tf", required+oneOfEachCredential(next, "lifecycle { create_before_destroy = true }", "", byName))
	require.Contains(t, ws.must("apply", "-auto-approve"), "1 added, 0 changed, 1 destroyed")
	p = next
	// The same key as a JWK is the same key; another one is made anew.
	same := p
	same.public = p.jwk
	ws.write("main.tf", required+oneOfEachCredential(same, "", "", byName))
	require.Contains(t, ws.must("plan"), "0 to destroy")
	ws.write("main.tf", required+oneOfEachCredential(newKeyPair(t), "", "", byName))
	require.Contains(t, ws.must("plan"), "1 to destroy")
	out, err := ws.try("import", "svcauth_service_account_key.k", "a")
	require.Error(t, err)
	require.Contains(t, out, "expected <service account>/<key_…>")
}

// TestWhatIsImportedIsAsItWas compares each attribute with the state that made
// it.
func TestWhatIsImportedIsAsItWas(t *testing.T) {
	w := newWorld(t)
	p := newKeyPair(t)
	steps := []resource.TestStep{{Config: w.config("%s", oneOfEachCredential(p, `description = "k"`, `
		algorithms = ["ES256", "RS256"]
		max_age_seconds = 60
		privileges = ["clusters:view"]`, fmt.Sprintf("certificate = %q", p.certificate)))}}
	for address, other := range map[string][]string{ // what the server has in another form, or not at all
		"svcauth_service_account_key.k": {"public_key"}, "svcauth_federated_credential.f": nil,
		"svcauth_service_account_certificate.c": {"certificate"},
	} {
		steps = append(steps, resource.TestStep{
			ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: other,
			ImportStateIdFunc: func(s *terraformState) (string, error) {
				return "a/" + s.RootModule().Resources[address].Primary.ID, nil
			},
		})
	}
	run(t, steps...)
}

// TestALostCredentialIsKnownByWhatItIs has answers get lost while the server's
// clock is another one: the key is known by its thumbprint, the certificate by
// its hash and the trust by its name.
func TestALostCredentialIsKnownByWhatItIs(t *testing.T) {
	needTerraform(t)
	late := func() time.Time { return time.Now().Add(-time.Hour) }
	w := &world{svctest.New(t, svctest.Options{Clock: late}), t}
	p := newProxy(t, w.URL)
	for _, path := range []string{"keys", "federated-credentials", "certificates"} {
		p.befalls(1, "POST", "/v1/service-accounts/[^/]+/"+path, doneBut(cut))
	}
	keys := newKeyPair(t)
	text := w.through(p).config("%s", oneOfEachCredential(keys, `description = "k"`, `
		algorithms = ["RS256", "ES256"]`, fmt.Sprintf("certificate = %q", keys.certificate)))
	run(t,
		resource.TestStep{Config: text, Check: does(func() { w.credentials() })},
		resource.TestStep{Config: text, PlanOnly: true},
	)
}

// TestPublishedKeysLive registers where a client publishes its keys: imported,
// found again after a lost answer, made anew with another address.
func TestPublishedKeysLive(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	p.befalls(1, "POST", "/v1/service-accounts/[^/]+/keys", doneBut(cut))
	config := func(more string) string {
		return w.through(p).config(`
			resource "svcauth_service_account" "a" { name = "a" }
			resource "svcauth_service_account_key" "k" {
				service_account_id = svcauth_service_account.a.id
				%s
			}`, more)
	}
	const address = "svcauth_service_account_key.k"
	one := config(`jwks_uri = "https://client.example.com/keys.json"`)
	key := newKeyPair(t)
	run(t,
		resource.TestStep{
			Config:      config(fmt.Sprintf("jwks_uri = \"https://client.example.com\"\npublic_key = %q", key.public)),
			ExpectError: regexp.MustCompile(`(?i)exactly\s+one\s+of`),
		},
		resource.TestStep{
			Config:      config(`jwks_uri = "http://client.example.com/keys.json"`),
			ExpectError: regexp.MustCompile(`(?s)jwks_uri\s+=.*https`),
		},
		resource.TestStep{Config: one, Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttr(address, "thumbprint", ""),
			resource.TestCheckNoResourceAttr(address, "public_key"),
			does(func() {
				keys, err := w.Admin().Keys(t.Context(), w.named("a").ID)
				require.NoError(t, err)
				require.Len(t, keys.Items, 1)
				require.Equal(t, "https://client.example.com/keys.json", keys.Items[0].JWKSURI)
			}))},
		resource.TestStep{
			ResourceName: address, ImportState: true, ImportStateVerify: true,
			ImportStateIdFunc: func(s *terraformState) (string, error) {
				return "a/" + s.RootModule().Resources[address].Primary.ID, nil
			},
		},
		resource.TestStep{
			Config:           config(`jwks_uri = "https://client.example.com/others.json"`),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
		resource.TestStep{
			Config:           config(fmt.Sprintf("public_key = %q", key.public)),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
			Check:            resource.TestCheckNoResourceAttr(address, "jwks_uri"),
		},
	)
}

// TestACredentialOfSomebodyElseIsNotTakenOver checks that what was there before
// is not taken for what a creation has made.
func TestACredentialOfSomebodyElseIsNotTakenOver(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	p.befalls(1<<20, "POST", "/v1/service-accounts/[^/]+/keys", cut)
	keys := newKeyPair(t)
	a := w.Account("a")
	_, err := w.Admin().CreateKey(t.Context(), a.ID, svcauth.NewKey{PEM: keys.public, Description: "theirs"})
	require.NoError(t, err)
	run(t, resource.TestStep{
		Config: w.through(p).config(`resource "svcauth_service_account_key" "k" {
			service_account_id = %q
			public_key = %q
		}`, a.ID, keys.public),
		ExpectError: regexp.MustCompile(`(?s)the\s+account\s+has\s+key_\w+\s+already,\s+which\s+differs\s+in\s+description`),
	})
}

// TestCredentialsAreCheckedInThePlan checks that what is wrong is said before
// anything is made, and that a private key is not repeated.
func TestCredentialsAreCheckedInThePlan(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	keys := newKeyPair(t)
	wrong := keys
	wrong.public = keys.private
	secret := strings.Split(keys.private, "\n")[1]
	for text, expected := range map[string]string{
		oneOfEachCredential(wrong, "", "", byName):                                     `Not a public key.*a\s+private\s+key`,
		oneOfEachCredential(keys, "", "", fmt.Sprintf("certificate = %q", secret)):     `Not a certificate`,
		oneOfEachCredential(keys, "", "", byName+"\nsan_dns = \"a.example.com\""):      `(?i)exactly\s+one\s+of`,
		oneOfEachCredential(keys, "", "", ""):                                          `(?i)exactly\s+one\s+of`,
		oneOfEachCredential(keys, "", "max_age_seconds = 86401", byName):               `86400`,
		oneOfEachCredential(keys, "expires_at = \"2001-01-01T00:00:00Z\"", "", byName): `lies\s+in\s+the\s+past`,
	} {
		run(t, resource.TestStep{
			Config: w.through(p).config("%s", text), ExpectError: regexp.MustCompile("(?s)" + expected),
		})
	}
	for _, r := range p.requests() {
		require.False(t, r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/"), "nothing is made")
	}
}

// TestAnExpiredCredentialIsSaid checks that one that has expired stays in the
// state though the server has forgotten it, and that each plan says so.
func TestAnExpiredCredentialIsSaid(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	p := newKeyPair(t)
	writeEnding := func(at time.Time) {
		ends := "expires_at = \"" + at.UTC().Format(time.RFC3339) + "\"\n"
		ws.write("main.tf", required+oneOfEachCredential(p, ends, ends, byName+"\n"+ends))
	}
	writeEnding(time.Now().Add(time.Hour))
	ws.must("plan")
	soon := ws.soon()
	writeEnding(soon)
	ws.must("apply", "-auto-approve")
	time.Sleep(time.Until(soon))
	said := func() {
		t.Helper()
		out := ws.must("plan")
		for _, kind := range []string{"key", "federated credential", "certificate"} {
			require.Contains(t, out, "Warning: The "+kind+" has expired")
		}
		require.Contains(t, out, "No changes")
	}
	said()
	k, f, c := w.credentials()
	ctx, id := t.Context(), w.named("a").ID
	require.NoError(t, second(w.Admin().DeleteKey(ctx, id, k.ID, false, 0)))
	require.NoError(t, second(w.Admin().DeleteFederatedCredential(ctx, id, f.ID, false, 0)))
	require.NoError(t, second(w.Admin().DeleteCertificate(ctx, id, c.ID, false, 0)))
	said()
	ws.write("main.tf", required+oneOfEachCredential(p, "", "", byName))
	require.Contains(t, ws.must("apply", "-auto-approve"), "3 added, 0 changed")
}
