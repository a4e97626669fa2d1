package drill_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// freshAddress stands in a request, as the proxy's, for an address that nobody
// has come from.
const freshAddress = "2001:db8:ffff:ffff::1"

// beginAnywhere sends requests, each from another network.
func beginAnywhere(j job) (func(order) result, func(), error) {
	return repeating(j, 0, func(request string) string {
		n := mathrand.Uint32()
		return strings.Replace(request, freshAddress, fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff), 1)
	})
}

// beginSeldom asks for a token now and then, in each of the given ways.
func beginSeldom(j job) (func(order) result, func(), error) {
	return beginPaced(j, 50*time.Millisecond,
		func(n int, _ *line) []byte { return []byte(j.Requests[n%len(j.Requests)]) })
}

// foreign is an issuer whose workloads are clients, strangers who know of it
// and of them, and what they send.
type foreign struct {
	*pressed
	url        string
	federated  string // the client
	ownKey     string // another one
	right, own map[string]crypto.Signer
	wrong      map[string]crypto.Signer
}

// timesQuietForeign is the bound beside strangers whom no limit stops, since
// each of their requests comes from another network: they cost what wrong
// secrets cost.
const timesQuietForeign = 4.0

// Strangers send assertions that are wrong in all sorts of ways, of clients and
// of an issuer that they know: from one address, and each from another. Nobody
// who has a right one is refused, nor waits, whichever way it authenticates.
func TestStrangersSendForeignAssertions(t *testing.T) {
	needFull(t)
	f := newForeign(t)
	f.bound = timesQuietForeign
	cheap, costly := f.wrongAssertions()
	f.measure("one address", f.send("repeat", 1500, append(cheap, costly...)))
	f.measure("many networks", f.send("anywhere", 200, cheap))
	f.measure("many networks, P-384 and P-521", f.send("anywhere", 200, costly))
}

func newForeign(t *testing.T) *foreign {
	f := &foreign{pressed: newPressed(t, 460, "SVCAUTH_TRUSTED_PROXIES=127.0.2.0/24",
		"SVCAUTH_FEDERATION_ALLOWED_NETWORKS=127.0.0.0/8"), right: signers(t), own: signers(t), wrong: signers(t)}
	var keys []any
	for _, alg := range []string{"ES256", "RS256", "EdDSA", "ES384", "ES512"} {
		keys = append(keys, published(t, f.right[alg]))
	}
	for range 4 { // a token without a kid may be of any of them
		keys = append(keys, published(t, signers(t)["ES512"]))
	}
	set, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(set)
	}))
	t.Cleanup(issuer.Close)
	f.url, f.federated, f.ownKey = issuer.URL, f.newAccount("federated").ID, f.newAccount("own key").ID
	_, err = f.admin.CreateFederatedCredential(t.Context(), f.federated, svcauth.NewFederatedCredential{
		Name: "workload", Issuer: f.url, Subject: "workload", Audience: f.issuer, JWKSURI: f.url,
		Algorithms: []string{"ES256", "RS256", "EdDSA", "ES384", "ES512"},
	})
	require.NoError(t, err)
	raw, err := json.Marshal(published(t, f.own["ES256"]))
	require.NoError(t, err)
	_, err = f.admin.CreateKey(t.Context(), f.ownKey, svcauth.NewKey{JWK: raw})
	require.NoError(t, err)
	return f
}

// signers are new keys, each under the algorithm that it signs with.
func signers(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	made := map[string]crypto.Signer{}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(),
		"ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		made[alg] = key
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	made["RS256"], made["EdDSA"] = rsaKey, edKey
	return made
}

func published(t *testing.T, key crypto.Signer) jwk.Key {
	t.Helper()
	public, err := jwk.Of(key.Public())
	require.NoError(t, err)
	public.Kid = kidOf(t, key)
	return public
}

func kidOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	public, err := jwk.Of(key.Public())
	require.NoError(t, err)
	kid, err := public.Thumbprint()
	require.NoError(t, err)
	return kid
}

// signed is an assertion with these claims beside the usual ones.
func (f *foreign) signed(by map[string]crypto.Signer, alg, kid, iss, sub string, more ...any) string {
	now := time.Now()
	claims := jwt.MapClaims{"iss": iss, "sub": sub, "aud": f.issuer, "iat": now.Unix(),
		"exp": now.Add(50 * time.Minute).Unix()}
	for i := 0; i < len(more); i += 2 {
		claims[more[i].(string)] = more[i+1]
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(by[alg])
	require.NoError(f.t, err)
	return text
}

func asserting(header, clientID, assertion string) string {
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {clientauth.AssertionJWT},
		"client_assertion": {assertion}}
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	return posted("/oauth2/token", header, form)
}

// wrongAssertions are requests by those who have no key. Those of costly name
// algorithms whose signatures take long to check.
func (f *foreign) wrongAssertions() (cheap, costly []string) {
	const proxied = "X-Forwarded-For: " + freshAddress + "\r\n"
	add := func(to *[]string, clientID, assertion string) {
		*to = append(*to, asserting(proxied, clientID, assertion))
	}
	unknown := func() string { return svcauth.NewID(svcauth.PrefixServiceAccount) }
	for alg := range f.wrong {
		to := &cheap
		if alg == "ES384" || alg == "ES512" {
			to = &costly
		}
		for range 20 {
			elsewhere := "https://" + strings.ToLower(rand.Text()) + ".example"
			add(to, f.federated, f.signed(f.wrong, alg, kidOf(f.t, f.right[alg]), f.url, "workload"))
			add(to, f.federated, f.signed(f.wrong, alg, "", f.url, "workload"))
			add(to, f.federated, f.signed(f.wrong, alg, rand.Text(), f.url, "workload"))
			add(to, f.federated, f.signed(f.wrong, alg, "", elsewhere, "workload"))
			add(to, unknown(), f.signed(f.wrong, alg, "", f.url, "workload"))
			add(to, "", f.signed(f.wrong, alg, "", f.ownKey, f.ownKey))
		}
	}
	long := make([]any, 0, 480)
	for i := range 240 {
		long = append(long, fmt.Sprint("claim-", i), strings.Repeat("x", 18))
	}
	twice := `{"iss":"` + f.url + `","sub":"workload","x":{` + strings.Repeat(`"a":1,`, 600) + `"a":1},"sub":"workload"}`
	encode := base64.RawURLEncoding.EncodeToString
	for range 20 {
		add(&cheap, f.federated, f.signed(f.wrong, "ES256", "", f.url, "workload", long...))
		add(&cheap, f.federated, f.signed(f.wrong, "ES256", "", f.url, "workload", "x",
			json.RawMessage(strings.Repeat(`{"a":`, 1200)+"1"+strings.Repeat("}", 1200))))
		add(&cheap, f.federated, encode([]byte(`{"alg":"ES256"}`))+"."+encode([]byte(twice))+"."+encode(make([]byte, 64)))
		add(&cheap, f.federated, strings.Repeat("a", 16000))
		add(&cheap, "", f.signed(f.wrong, "ES256", "", f.url, "workload", "aud",
			f.issuer+"/o/"+svcauth.NewID(svcauth.PrefixOrganization)))
	}
	for _, all := range [][]string{cheap, costly} {
		mathrand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	return cheap, costly
}

// send is strangers that press, while clients with right assertions ask, too.
func (f *foreign) send(kind string, callers int, requests []string) press {
	right := []string{
		asserting("", "", f.signed(f.own, "ES256", "", f.ownKey, f.ownKey)),
		asserting("", f.federated, f.signed(f.right, "ES256", kidOf(f.t, f.right["ES256"]), f.url, "workload")),
		asserting("", f.federated, f.signed(f.right, "ES512", kidOf(f.t, f.right["ES512"]), f.url, "workload")),
	}
	return func() func() string {
		seldom := call(f.t, first, job{Kind: "seldom", Addr: f.node.addr, Count: len(right), Requests: right})
		seldom.ask(order{For: time.Second})
		c := call(f.t, last, job{Kind: kind, Addr: f.node.addr, From: []string{"127.0.2.1"}, Count: callers,
			Requests: requests})
		seldom.order(order{For: pressureWindow})
		return func() string {
			served, r := seldom.answer(), c.ask(order{})
			c.hangUp()
			seldom.hangUp()
			require.Zero(f.t, served.Refused)
			require.Zero(f.t, r.Statuses[http.StatusOK])
			return fmt.Sprintf("%.0f wrong assertions a second %v, right ones in %v at most",
				float64(r.Asked)/r.Took.Seconds(), r.Statuses, served.P99.Round(time.Millisecond/10))
		}
	}
}
