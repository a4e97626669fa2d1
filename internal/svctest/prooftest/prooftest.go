// Package prooftest is what whoever takes DPoP proofs must do with each, as one
// table: the checks of RFC 9449 §4.3 and what the OpenID conformance suite tries
// (dpop-negative-tests). Each place that takes proofs runs all of it. Of the
// suite's rows one is left out, that RS256 fails: it is a rule of FAPI alone.
package prooftest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/jws"
	"github.com/svcauth/svcauth/internal/possession"
)

const (
	invalidProof = "invalid_dpop_proof"
	invalidToken = "invalid_token"
)

// Object is a header or the claims of a proof.
type Object map[string]any

// With returns a copy with another member; nil takes it away.
func (o Object) With(name string, value any) Object {
	changed := maps.Clone(o)
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}

// Target is the request that proofs are for.
type Target struct {
	Key    *ecdsa.PrivateKey // on P-256
	Method string
	URL    string // https, with the name of a host and no port, and a path
	Token  string // that is bound to the key; empty at the token endpoint
	Now    func() time.Time
}

// Parts returns the header and the claims of a right proof.
func (r *Target) Parts(t testing.TB) (header, claims Object) {
	t.Helper()
	header = Object{"typ": possession.Type, "alg": "ES256", "jwk": publicOf(t, r.Key)}
	claims = Object{"jti": rand.Text(), "htm": r.Method, "htu": r.URL, "iat": r.Now().Unix()}
	if r.Token != "" {
		claims["ath"] = possession.TokenHash(r.Token)
	}
	return header, claims
}

// Sign returns a proof of these parts.
func (r *Target) Sign(t testing.TB, header, claims Object) string {
	t.Helper()
	text, err := jws.Sign(r.Key, "ES256", header, claims)
	require.NoError(t, err)
	return text
}

// Case is a request with proofs.
type Case struct {
	Name   string // begins with the number of the check, RFC 9449 §4.3
	Proofs func() []string
	Code   string // of the refusal; empty: it is taken
}

// change makes other parts of right ones.
type change func(header, claims Object) (Object, Object)

func header(name string, value any) change {
	return func(h, c Object) (Object, Object) { return h.With(name, value), c }
}

func claim(name string, value any) change {
	return func(h, c Object) (Object, Object) { return h, c.With(name, value) }
}

func key(name string, value any) change {
	return func(h, c Object) (Object, Object) {
		public := h["jwk"].(Object)
		if value == "x" { // the same as that member
			return h.With("jwk", public.With(name, public["x"])), c
		}
		return h.With("jwk", public.With(name, value)), c
	}
}

// ago makes a proof that was made so long ago.
func ago(d time.Duration) change {
	return func(h, c Object) (Object, Object) { return h, c.With("iat", c["iat"].(int64)-int64(d/time.Second)) }
}

// Cases returns the table for one place. The first proof is used again by the
// second case, so that all run in order.
func Cases(t testing.TB, r Target) []Case {
	t.Helper()
	first := sync.OnceValue(func() []string { return []string{r.changed(t, nil)} })
	cases := []Case{
		{"right", first, ""},
		{"11: used before", first, invalidProof},
		{"1: none", func() []string { return nil }, invalidProof},
		{"1: two fields", func() []string { return []string{r.changed(t, nil), r.changed(t, nil)} }, invalidProof},
	}
	if r.Token == "" {
		cases[2].Code = "" // RFC 9449 §5: the token is not bound then
		cases = append(cases, r.case1(t, "12: an ath, and no token", "", claim("ath", possession.TokenHash("a.b.c"))))
	} else {
		cases = append(cases, r.ofToken(t)...)
	}
	for name, text := range map[string]func(string) string{
		"2: no JWT":                    func(string) string { return "nonsense" },
		"2: empty":                     func(string) string { return "" },
		"2: two parts":                 func(s string) string { return s[:strings.LastIndexByte(s, '.')] },
		"2: five parts":                func(s string) string { return s + ".a.b" },
		"2: two in one field":          func(s string) string { return s + ", " + s },
		"6: signature of another text": SwapClaims,
		"6: signature cut":             func(s string) string { return s[:len(s)-4] },
		"6: no signature":              func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] },
	} {
		cases = append(cases, Case{name, func() []string { return []string{text(r.changed(t, nil))} }, invalidProof})
	}
	for name, c := range refused(r) {
		cases = append(cases, r.case1(t, name, invalidProof, c))
	}
	for name, c := range taken(t, r) {
		cases = append(cases, r.case1(t, name, "", c))
	}
	return cases
}

func (r *Target) changed(t testing.TB, c change) string {
	t.Helper()
	header, claims := r.Parts(t)
	if c != nil {
		header, claims = c(header, claims)
	}
	return r.Sign(t, header, claims)
}

func (r *Target) case1(t testing.TB, name, code string, c change) Case {
	return Case{name, func() []string { return []string{r.changed(t, c)} }, code}
}

// ofToken returns the cases of a request with a token.
func (r *Target) ofToken(t testing.TB) []Case {
	t.Helper()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	stranger := *r
	stranger.Key = other
	return []Case{
		r.case1(t, "12: no ath", invalidProof, claim("ath", nil)),
		r.case1(t, "12: empty ath", invalidProof, claim("ath", "")),
		r.case1(t, "12: another token's ath", invalidProof, claim("ath", possession.TokenHash("d.e.f"))),
		r.case1(t, "12: another key in the header", invalidToken, header("jwk", publicOf(t, other))),
		stranger.case1(t, "12: another key", invalidToken, nil),
	}
}

// refused are the changes of which each alone makes a proof wrong.
func refused(r Target) map[string]change {
	base := strings.TrimSuffix(r.URL, pathOf(r.URL))
	return map[string]change{
		"3: no jti":                 claim("jti", nil),
		"3: empty jti":              claim("jti", ""),
		"3: jti no string":          claim("jti", 7),
		"3: jti too long":           claim("jti", strings.Repeat("x", 600)),
		"3: no htm":                 claim("htm", nil),
		"3: no htu":                 claim("htu", nil),
		"3: no iat":                 claim("iat", nil),
		"3: iat no number":          claim("iat", "now"),
		"4: no typ":                 header("typ", nil),
		"4: typ JWT":                header("typ", "JWT"),
		"4: an access token's typ":  header("typ", "at+jwt"),
		"4: an assertion's typ":     header("typ", "client-authentication+jwt"),
		"5: no alg":                 header("alg", nil),
		"5: none":                   header("alg", "none"),
		"5: symmetric":              header("alg", "HS256"),
		"5: another key's alg":      header("alg", "RS256"),
		"5: another curve's alg":    header("alg", "ES384"),
		"5: no jwk":                 header("jwk", nil),
		"5: jwk null":               header("jwk", json.RawMessage("null")),
		"5: jwk a string":           header("jwk", "key"),
		"5: jwk empty":              header("jwk", Object{}),
		"5: jwk symmetric":          header("jwk", Object{"kty": "oct", "k": "AAAA"}),
		"5: jwk for encryption":     key("use", "enc"),
		"5: jwk not on the curve":   key("y", "x"),
		"5: JWK in capitals too":    header("JWK", Object{}),
		"5: crit":                   header("crit", []string{"exp"}),
		"7: private":                key("d", "AAAA"),
		"8: another method":         claim("htm", "PUT"),
		"8: the method in small":    claim("htm", strings.ToLower(r.Method)),
		"9: another path":           claim("htu", base+"/other"),
		"9: a path below":           claim("htu", r.URL+"/"),
		"9: another host":           claim("htu", "https://evil.example"+pathOf(r.URL)),
		"9: http":                   claim("htu", "http"+strings.TrimPrefix(r.URL, "https")),
		"9: another port":           claim("htu", base+":8443"+pathOf(r.URL)),
		"9: a path alone":           claim("htu", pathOf(r.URL)),
		"11: an hour old":           ago(time.Hour),
		"11: an hour ahead":         ago(-time.Hour),
		"11: two minutes old":       ago(2 * time.Minute),
		"11: two minutes ahead":     ago(-2 * time.Minute),
		"more than a proof needs":   claim("more", strings.Repeat("x", 4<<10)),
		"a claim in capitals, too":  claim("HTU", r.URL),
		"more claims than are read": manyClaims,
	}
}

func manyClaims(h, c Object) (Object, Object) {
	for i := range 40 {
		c = c.With("x"+strings.Repeat("y", i), i)
	}
	return h, c
}

// taken are the changes that leave a proof right.
func taken(t testing.TB, r Target) map[string]change {
	t.Helper()
	target, err := url.Parse(r.URL)
	require.NoError(t, err)
	require.True(t, target.Scheme == "https" && target.Port() == "" && len(target.Path) > 1, r.URL)
	base := strings.TrimSuffix(r.URL, pathOf(r.URL))
	first := "%" + strings.ToUpper(hex(target.Path[1]))
	return map[string]change{
		"9: query and fragment":    claim("htu", r.URL+"?a=b#c"),
		"9: scheme and host, case": claim("htu", "HTTPS://"+strings.ToUpper(target.Host)+target.Path),
		"9: default port":          claim("htu", base+":443"+target.Path),
		"9: encoded":               claim("htu", base+"/"+first+target.Path[2:]),
		"9: dots":                  claim("htu", base+"/x/%2e%2E/."+target.Path),
		"11: 10 s old":             ago(10 * time.Second),
		"11: 10 s ahead":           ago(-10 * time.Second),
		"11: with a fraction": func(h, c Object) (Object, Object) {
			return h, c.With("iat", float64(c["iat"].(int64))+0.5)
		},
		"more in the header":         header("x", 1),
		"more claims":                claim("x", Object{"y": 1}),
		"nbf is not looked at":       claim("nbf", 1<<40),
		"exp is not looked at":       claim("exp", 1),
		"4: typ in another case":     header("typ", "DPoP+JWT"),
		"5: jwk with more":           key("kid", "mine"),
		"5: jwk says its algorithm":  key("alg", "ES256"),
		"5: jwk says its use":        key("use", "sig"),
		"10: a nonce that none gave": claim("nonce", "mine"), // where none is asked for
	}
}

func pathOf(target string) string {
	return target[strings.IndexByte(target[len("https://"):], '/')+len("https://"):]
}

func hex(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// publicOf returns the public part of a key.
func publicOf(t testing.TB, key *ecdsa.PrivateKey) Object {
	t.Helper()
	public, err := jwk.Of(key.Public())
	require.NoError(t, err)
	return Object{"kty": "EC", "crv": "P-256", "x": public.X, "y": public.Y}
}

// SwapClaims writes other claims between a header and its signature.
func SwapClaims(text string) string {
	parts := strings.Split(text, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	changed := strings.Replace(string(raw), `"jti":"`, `"jti":"x`, 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
}
