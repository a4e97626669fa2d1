package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// somePair makes a key and a certificate as somebody pastes them.
func somePair(t *testing.T) (public, certificate string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ci"}, NotAfter: time.Now().Add(24 * time.Hour),
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}))
}

// TestWalkOfCredentials walks through the kinds beside secrets: a key as PEM
// and as a JWK, after a text that is none; a certificate; trust in GitHub and
// in a cluster, with what it warns of; changes; and the simulator.
func TestWalkOfCredentials(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		public, certificate := somePair(t)
		account := s.Account("ci", "clusters:view")
		b := open(t, s, l)
		b.signIn(s)
		b.goTo("/console/service-accounts/" + account.ID)
		b.press("link", "Credentials")
		b.press("link", "Add a key")
		b.fill("Public key (optional)", "no key at all")
		b.press("button", "Add")
		b.see("Refused: text that is no PEM of one key")
		b.picture("walk-key-refused-" + l.String())
		b.fill("Public key (optional)", public)
		b.fill("Description (optional)", "first machine")
		b.press("button", "Add")
		b.see("The key is added.")
		b.press("link", "Add a key")
		b.fill("Public key (optional)", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
		b.press("button", "Add")
		b.see("The key is added.")
		keys, err := s.Admin().Keys(t.Context(), account.ID)
		require.NoError(t, err)
		require.Len(t, keys.Items, 2)
		b.press("link", "Add a key")
		b.fill("Or the address of its keys (optional)", "https://ci.example.com/keys.json")
		b.press("button", "Add")
		b.see("all keys that are published there")
		b.press("link", "Edit the key "+keys.Items[0].Thumbprint)
		b.fill("Description (optional)", "second machine")
		b.press("button", "Save")
		b.see("second machine")

		b.press("link", "Add a certificate")
		b.choose("Recognized by", "the certificate itself")
		b.fill("The name, or the certificate in PEM", certificate)
		b.press("button", "Add")
		b.see("The certificate is added.")
		b.see("CN=ci")

		walkOfTrust(b, l)
		federated, err := s.Admin().FederatedCredentials(t.Context(), account.ID)
		require.NoError(t, err)
		require.Len(t, federated.Items, 2)
	})
}

// walkOfTrust begins on the tab Credentials of an account.
func walkOfTrust(b *browser, l look) {
	b.press("link", "Trust another issuer")
	b.choose("Whose tokens", "GitHub Actions")
	b.press("button", "Show its fields")
	b.fill("Name", "deploy")
	b.fill("Repository", "acme/app")
	b.fill("Repository id", "74")
	b.fill("Owner id", "65")
	b.press("button", "Add")
	b.see("Nothing is saved yet")
	b.picture("walk-trust-warned-" + l.String())
	b.fill("Environment (optional)", "production")
	b.press("button", "Add")
	b.find("dialog", "deploy is trusted")
	b.see("id-token: write")
	b.picture("walk-trust-made-" + l.String())
	b.press("link", "Close")

	b.press("link", "Trust another issuer")
	b.choose("Whose tokens", "Kubernetes")
	b.press("button", "Show its fields")
	b.fill("Name", "checkout")
	b.fill("Issuer of the cluster", "https://kubernetes.default.svc.cluster.local")
	b.fill("Namespace", "shop")
	b.fill("Service account of the cluster", "checkout")
	b.press("button", "Add")
	b.see("has the same name")
	b.click("checkbox", "Do it nevertheless")
	b.press("button", "Add")
	b.find("dialog", "checkout is trusted")
	b.see("serviceAccountToken")
	b.press("link", "Try a token")

	b.choose("No token at hand? Try the claims of", "Kubernetes")
	b.press("button", "Fill them in")
	b.press("button", "Try it")
	b.see("Does not fit")
	b.see("Who made the token: its iss.")
	b.within("table", "Federated credentials").see("Fits")
	b.picture("walk-simulator-" + l.String())
	b.nav("Trust simulator")
	b.fill("Token or claims", `{"iss":"https://issuer.example.com"}`)
	b.fill("Only of the service account (optional)", "sa_none")
	b.press("button", "Try it")
	b.see("There is no such service account")

	b.nav("Members")
	b.press("link", "Service accounts")
	b.within("main", "").press("link", "ci")
	b.press("link", "Credentials")
	b.press("link", "Edit the federated credential checkout")
	b.fill("Lifetime of our tokens, in seconds (optional)", "5000")
	b.press("button", "Save")
	b.see("Expected 60 to 3600 seconds")
	b.fill("Lifetime of our tokens, in seconds (optional)", "900")
	b.press("button", "Save")
	b.see("Nothing is saved yet")
	b.click("checkbox", "Do it nevertheless")
	b.press("button", "Save")
	b.see("Saved.")
	b.press("link", "Set up the federated credential deploy")
	b.find("dialog", "deploy is trusted")
}

// TestCredentialsByKeyboard fills a form in with the keyboard alone, and leaves
// a dialog by Escape.
func TestCredentialsByKeyboard(t *testing.T) {
	svctest.Chromium(t)
	s := svctest.New(t, svctest.Options{})
	account := s.Account("ci")
	tab := "/console/service-accounts/" + account.ID + "/credentials"
	b := open(t, s, ordinary)
	b.signIn(s)
	b.goTo(tab[:len(tab)-len("credentials")] + "keys/new")
	b.focused("value")
	for range 12 { // the pointer's way out of the dialog is the keyboard's, too
		b.do(chromedp.KeyEvent("\t"))
		require.True(t,
			eval[bool](b, `document.activeElement === document.body || !!document.activeElement.closest('dialog')`))
	}
	b.key("\x1b")
	require.Equal(t, tab, b.path())
	b.goTo(tab[:len(tab)-len("credentials")] + "federated-credentials/new?preset=google")
	eval[bool](b, `document.getElementById('name').focus(), true`)
	b.type_("vm", "\t", "1234")
	b.do(chromedp.KeyEvent("\t"))
	require.Equal(t, "Further conditions and bounds", eval[string](b, `document.activeElement.textContent`))
	b.do(chromedp.KeyEvent(" "))
	b.do(chromedp.KeyEvent("\t"))
	require.Equal(t, "audience", eval[string](b, `document.activeElement.id`), "what was opened is reached")
	b.key("\r")
	b.focused("dialog-title")
	b.see("vm is trusted")
	b.key("\x1b")
	require.Equal(t, tab, b.path())
	federated, err := s.Admin().FederatedCredentials(t.Context(), account.ID)
	require.NoError(t, err)
	require.Equal(t, svcauth.PresetGoogle, federated.Items[0].Preset)
}
