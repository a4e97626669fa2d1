package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/possession"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/jws"
	"github.com/svcauth/svcauth/internal/svctest/clock"
)

const (
	apiBase  = "https://api.example.com"
	apiPath  = "/clusters"
	apiToken = "a.b.c"
)

// bench is a client with a key, and a checker of a resource server.
type bench struct {
	key     *ecdsa.PrivateKey
	maker   *possession.Maker
	clock   *clock.Clock
	nonces  *Nonces
	checker *Checker
}

func newBench(t testing.TB, mode Mode) *bench {
	t.Helper()
	b := &bench{clock: clock.New(time.Unix(1_800_000_000, 0))}
	var err error
	b.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	b.maker, err = possession.NewMaker(b.key, "")
	require.NoError(t, err)
	b.nonces = NewNonces(func() []byte { return []byte("a secret") }, b.clock.Now)
	b.checker = NewChecker(Config{Mode: mode, Nonces: b.nonces, Replays: NewMemory(1000), Clock: b.clock.Now})
	return b
}

// request is the one that the proofs of these tests are for.
func (b *bench) request(proofs ...string) Request {
	return Request{Proofs: proofs, Method: "GET", Bases: []string{apiBase}, Path: apiPath, Token: apiToken,
		Key: b.maker.Thumbprint()}
}

func (b *bench) make(t testing.TB, of possession.Of) string {
	t.Helper()
	of.Method, of.URL, of.Token, of.Now = "GET", apiBase+apiPath, apiToken, b.clock.Now()
	text, err := b.maker.Make(of)
	require.NoError(t, err)
	return text
}

// use checks and uses a proof, and returns the code of the refusal.
func (b *bench) use(t testing.TB, r Request) string {
	t.Helper()
	proof, err := b.checker.Check(t.Context(), r)
	if err == nil {
		err = b.checker.Use(t.Context(), proof)
	}
	if err == nil {
		require.Equal(t, b.maker.Thumbprint(), proof.Thumbprint)
		return ""
	}
	refusal := Refusal(err)
	require.NotNil(t, refusal, "%v", err)
	require.NotEmpty(t, refusal.Reason)
	return refusal.Code
}

// object is a header or the claims of a proof.
type object map[string]any

// with returns a copy with other members; nil takes one away.
func (p object) with(name string, value any) object {
	changed := maps.Clone(p)
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}

func (b *bench) parts(t testing.TB) (header, claims object) {
	t.Helper()
	return object{"typ": "dpop+jwt", "alg": "ES256", "jwk": publicOf(t, b.key)},
		object{"jti": rand.Text(), "htm": "GET", "htu": apiBase + apiPath, "iat": b.clock.Now().Unix(),
			"ath": possession.TokenHash(apiToken)}
}

func (b *bench) sign(t testing.TB, header, claims object) string {
	t.Helper()
	text, err := jws.Sign(b.key, "ES256", header, claims)
	require.NoError(t, err)
	return text
}

// TestChecks is RFC 9449 §4.3 and what the OpenID conformance suite tries at a
// resource server (dpop-negative-tests).
func TestChecks(t *testing.T) {
	b := newBench(t, NonceOff)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	good := func(header, claims object) (object, object) { return header, claims }
	header := func(name string, value any) func(object, object) (object, object) {
		return func(h, c object) (object, object) { return h.with(name, value), c }
	}
	claim := func(name string, value any) func(object, object) (object, object) {
		return func(h, c object) (object, object) { return h, c.with(name, value) }
	}
	now := b.clock.Now()
	at := func(d time.Duration) func(object, object) (object, object) { return claim("iat", now.Add(d).Unix()) }
	key := func(change func(object) object) func(object, object) (object, object) {
		return func(h, c object) (object, object) { return h.with("jwk", change(h["jwk"].(object))), c }
	}
	const bad = CodeInvalidProof
	more := func(h, c object) (object, object) { return h.with("x", 1), c.with("nbf", 1<<40) }
	cases := map[string]struct {
		change func(header, claims object) (object, object)
		text   func(string) string
		twice  bool
		code   string
	}{
		"good":                         {change: good},
		"2: no JWT":                    {change: good, text: func(string) string { return "nonsense" }, code: bad},
		"2: empty":                     {change: good, text: func(string) string { return "" }, code: bad},
		"2: five parts":                {change: good, text: func(s string) string { return s + ".a.b" }, code: bad},
		"2: a space behind":            {change: good, text: func(s string) string { return s + " " }, code: bad},
		"2: two in one field":          {change: good, text: func(s string) string { return s + ", " + s }, code: bad},
		"1: two fields":                {change: good, twice: true, code: bad},
		"size":                         {change: claim("more", strings.Repeat("x", MaxProof)), code: bad},
		"3: no jti":                    {change: claim("jti", nil), code: bad},
		"3: empty jti":                 {change: claim("jti", ""), code: bad},
		"3: jti no string":             {change: claim("jti", 7), code: bad},
		"3: jti too long":              {change: claim("jti", strings.Repeat("x", maxJTI+1)), code: bad},
		"3: no htm":                    {change: claim("htm", nil), code: bad},
		"3: no htu":                    {change: claim("htu", nil), code: bad},
		"3: no iat":                    {change: claim("iat", nil), code: bad},
		"3: iat no number":             {change: claim("iat", "now"), code: bad},
		"4: no typ":                    {change: header("typ", nil), code: bad},
		"4: typ JWT":                   {change: header("typ", "JWT"), code: bad},
		"4: an access token's typ":     {change: header("typ", "at+jwt"), code: bad},
		"4: an assertion's typ":        {change: header("typ", "client-authentication+jwt"), code: bad},
		"5: no alg":                    {change: header("alg", nil), code: bad},
		"5: none":                      {change: header("alg", "none"), code: bad},
		"5: symmetric":                 {change: header("alg", "HS256"), code: bad},
		"5: another key's alg":         {change: header("alg", "RS256"), code: bad},
		"5: another curve's alg":       {change: header("alg", "ES384"), code: bad},
		"5: no jwk":                    {change: header("jwk", nil), code: bad},
		"5: jwk null":                  {change: header("jwk", json.RawMessage("null")), code: bad},
		"5: jwk a string":              {change: header("jwk", "key"), code: bad},
		"5: jwk empty":                 {change: header("jwk", object{}), code: bad},
		"5: jwk symmetric":             {change: header("jwk", object{"kty": "oct", "k": "AAAA"}), code: bad},
		"5: jwk for encryption":        {change: key(func(k object) object { return k.with("use", "enc") }), code: bad},
		"5: jwk not on the curve":      {change: key(func(k object) object { return k.with("y", k["x"]) }), code: bad},
		"5: JWK in capitals too":       {change: header("JWK", object{}), code: bad},
		"5: crit":                      {change: header("crit", []string{"exp"}), code: bad},
		"6: another key's signature":   {change: header("jwk", publicOf(t, other)), code: CodeInvalidToken},
		"6: signature of another text": {change: good, text: swapClaims, code: bad},
		"6: signature cut":             {change: good, text: func(s string) string { return s[:len(s)-4] }, code: bad},
		"7: private":                   {change: key(func(k object) object { return k.with("d", "AAAA") }), code: bad},
		"8: another method":            {change: claim("htm", "PUT"), code: bad},
		"8: the method in small":       {change: claim("htm", "get"), code: bad},
		"9: another path":              {change: claim("htu", apiBase+"/other"), code: bad},
		"9: another host":              {change: claim("htu", "https://evil.example.com"+apiPath), code: bad},
		"9: a path alone":              {change: claim("htu", apiPath), code: bad},
		"9: query and fragment":        {change: claim("htu", apiBase+apiPath+"?a=b#c")},
		"9: scheme and host, case":     {change: claim("htu", "HTTPS://API.Example.COM"+apiPath)},
		"9: default port":              {change: claim("htu", apiBase+":443"+apiPath)},
		"9: encoded, dots":             {change: claim("htu", apiBase+"/%63lusters/x/%2e%2E/../clusters")},
		"11: an hour old":              {change: at(-time.Hour), code: bad},
		"11: an hour ahead":            {change: at(time.Hour), code: bad},
		"11: too old":                  {change: at(-maxAge - 2*time.Second), code: bad},
		"11: too far ahead":            {change: at(maxAhead + time.Second), code: bad},
		"11: somewhat old":             {change: at(-maxAge + time.Second)},
		"11: 8 s ahead":                {change: at(8 * time.Second)},
		"11: with a fraction":          {change: claim("iat", float64(now.Unix())+0.5)},
		"12: no ath":                   {change: claim("ath", nil), code: bad},
		"12: another token's ath":      {change: claim("ath", possession.TokenHash("d.e.f")), code: bad},
		"more members":                 {change: more},
		"exp is not looked at":         {change: claim("exp", 1)},
		"a nonce that nobody gave":     {change: claim("nonce", "mine")},
		"typ in another case":          {change: header("typ", "DPoP+JWT")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text := b.sign(t, firstOf(c.change(b.parts(t))), secondOf(c.change(b.parts(t))))
			if c.text != nil {
				text = c.text(text)
			}
			r := b.request(text)
			if c.twice {
				r.Proofs = append(r.Proofs, text)
			}
			require.Equal(t, c.code, b.use(t, r))
		})
	}
	t.Run("1: none", func(t *testing.T) { require.Equal(t, CodeInvalidProof, b.use(t, b.request())) })
	t.Run("11: twice", func(t *testing.T) {
		text := b.make(t, possession.Of{})
		require.Empty(t, b.use(t, b.request(text)))
		require.Equal(t, CodeInvalidProof, b.use(t, b.request(text)))
	})
	t.Run("12: a token of another key", func(t *testing.T) {
		r := b.request(b.make(t, possession.Of{}))
		r.Key = "another"
		require.Equal(t, CodeInvalidToken, b.use(t, r))
	})
	t.Run("no URL is known", func(t *testing.T) {
		r := b.request(b.make(t, possession.Of{}))
		r.Bases = nil
		require.Equal(t, CodeInvalidProof, b.use(t, r))
	})
}

func firstOf(a, _ object) object  { return a }
func secondOf(_, b object) object { return b }

// publicOf returns the public part of a key.
func publicOf(t testing.TB, key *ecdsa.PrivateKey) object {
	t.Helper()
	public, err := jwk.Of(key.Public())
	require.NoError(t, err)
	return object{"kty": "EC", "crv": "P-256", "x": public.X, "y": public.Y}
}

// swapClaims writes other claims between a header and its signature.
func swapClaims(text string) string {
	parts := strings.Split(text, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	changed := strings.Replace(string(raw), `"jti":"`, `"jti":"x`, 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
}

// A refused proof of another key costs no signature: the key is compared first.
func TestAnotherKeysSignatureIsNotChecked(t *testing.T) {
	b := newBench(t, NonceOff)
	r := b.request(swapClaims(b.make(t, possession.Of{}))) // whose signature is wrong, too
	r.Key = "another"
	require.Equal(t, CodeInvalidToken, b.use(t, r))
}

func TestEachAlgorithm(t *testing.T) {
	b := newBench(t, NonceOff)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := []crypto.Signer{b.key, rsaKey, edKey}
	for _, curve := range []elliptic.Curve{elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		keys = append(keys, key)
	}
	tried := 0
	for _, key := range keys {
		for _, alg := range jwk.Algorithms(key.Public()) {
			tried++
			b.maker, err = possession.NewMaker(key, alg)
			require.NoError(t, err)
			require.Empty(t, b.use(t, b.request(b.make(t, possession.Of{}))), alg)
		}
	}
	require.Equal(t, len(Algorithms()), tried)
}

func TestNonces(t *testing.T) {
	for _, mode := range []Mode{NonceOptional, NonceRequired} {
		t.Run(string(mode), func(t *testing.T) {
			b := newBench(t, mode)
			first := b.nonces.Newest()
			without, err := b.checker.Check(t.Context(), b.request(b.make(t, possession.Of{})))
			if mode == NonceRequired {
				require.Equal(t, CodeUseNonce, Refusal(err).Code)
				require.Equal(t, first, Refusal(err).Nonce)
			} else {
				require.NoError(t, err)
				require.Equal(t, first, without.Nonce, "the client gets one for the next time")
			}
			with, err := b.checker.Check(t.Context(), b.request(b.make(t, possession.Of{Nonce: first})))
			require.NoError(t, err)
			require.Empty(t, with.Nonce, "it is new enough")

			b.clock.Advance((renewAfter + 1) * step)
			with, err = b.checker.Check(t.Context(), b.request(b.make(t, possession.Of{Nonce: first})))
			require.NoError(t, err)
			require.Equal(t, b.nonces.Newest(), with.Nonce)
			require.NotEqual(t, first, with.Nonce)

			b.clock.Advance(oldSteps * step)
			require.Equal(t, CodeUseNonce, b.use(t, b.request(b.make(t, possession.Of{Nonce: first}))), "too old")
			require.Equal(t, CodeUseNonce, b.use(t, b.request(b.make(t, possession.Of{Nonce: "mine"}))))

			// With a nonce the clocks need not agree, and without one the
			// client is given one.
			header, claims := b.parts(t)
			claims = claims.with("iat", 1)
			require.Equal(t, CodeUseNonce, b.use(t, b.request(b.sign(t, header, claims))))
			claims = claims.with("nonce", b.nonces.Newest())
			text := b.sign(t, header, claims)
			require.Empty(t, b.use(t, b.request(text)))
			require.Equal(t, CodeInvalidProof, b.use(t, b.request(text)), "used before")
		})
	}
}

// Nodes know each other's nonces, though their clocks differ, and nobody
// else's.
func TestNoncesOfNodes(t *testing.T) {
	now := clock.New(time.Unix(1_800_000_000, 0))
	key := func() []byte { return []byte("a secret") }
	one := NewNonces(key, now.Now)
	ahead := NewNonces(key, func() time.Time { return now.Now().Add(step) })
	other := NewNonces(func() []byte { return []byte("another") }, now.Now)
	for range 20 {
		_, _, ok := one.given(ahead.Newest())
		require.True(t, ok)
		_, _, ok = ahead.given(one.Newest())
		require.True(t, ok)
		_, _, ok = one.given(other.Newest())
		require.False(t, ok)
		now.Advance(step / 3)
	}
}

// A proof passes once for as long as it could pass, whatever it is judged by.
func TestNoProofPassesTwice(t *testing.T) {
	b := newBench(t, NonceOptional)
	made := map[string]string{}
	header, claims := b.parts(t)
	ahead := b.clock.Now().Add(maxAhead - time.Second).Unix()
	made["ahead"] = b.sign(t, header, claims.with("iat", ahead).with("jti", "1"))
	made["now"] = b.sign(t, header, claims.with("jti", "2"))
	made["nonce"] = b.sign(t, header, claims.with("nonce", b.nonces.Newest()).with("jti", "3"))
	for name, text := range made {
		require.Empty(t, b.use(t, b.request(text)), name)
	}
	for range 200 {
		b.clock.Advance(time.Second)
		for name, text := range made {
			require.NotEmpty(t, b.use(t, b.request(text)), name)
		}
		require.Empty(t, b.use(t, b.request(b.make(t, possession.Of{}))))
	}
}

// A header that is remembered lets nothing pass that would not pass without.
func TestRememberedHeader(t *testing.T) {
	b := newBench(t, NonceOff)
	for range 2 {
		require.Empty(t, b.use(t, b.request(b.make(t, possession.Of{}))))
		require.Equal(t, CodeInvalidProof, b.use(t, b.request(swapClaims(b.make(t, possession.Of{})))))
		r := b.request(b.make(t, possession.Of{}))
		r.Key = "another"
		require.Equal(t, CodeInvalidToken, b.use(t, r))
	}
	require.Len(t, b.checker.headers.byID, 1)
	header, claims := b.parts(t)
	filled := b.sign(t, header.with("x", strings.Repeat("x", maxHeaderSize)), claims.with("jti", "1"))
	require.Empty(t, b.use(t, b.request(filled)))
	require.Len(t, b.checker.headers.byID, 1, "it passes, but it takes no room")
	other := newBench(t, NonceOff)
	other.checker = b.checker
	for range maxHeaders {
		var err error
		other.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		other.maker, err = possession.NewMaker(other.key, "")
		require.NoError(t, err)
		_, err = other.checker.Check(t.Context(), other.request(other.make(t, possession.Of{})))
		require.NoError(t, err)
	}
	require.Len(t, b.checker.headers.byID, maxHeaders)
}

func FuzzCheck(f *testing.F) {
	b := newBench(f, NonceOff)
	good := b.make(f, possession.Of{})
	f.Add(good)
	f.Add(strings.Repeat("a", MaxProof+1))
	f.Add("eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7fX0.e30.AA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		proof, err := b.checker.Check(t.Context(), b.request(text))
		if err == nil {
			signed := func(s string) string { return s[:strings.LastIndexByte(s, '.')] }
			require.Equal(t, signed(good), signed(text), "nobody else has the key")
			require.Equal(t, b.maker.Thumbprint(), proof.Thumbprint)
			return
		}
		require.NotNil(t, Refusal(err))
	})
}

func BenchmarkCheck(b *testing.B) {
	s := newBench(b, NonceOff)
	r := s.request(s.make(b, possession.Of{}))
	for b.Loop() {
		if _, err := s.checker.Check(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignature is the part of [BenchmarkCheck] that can't be saved.
func BenchmarkSignature(b *testing.B) {
	s := newBench(b, NonceOff)
	jws, _, err := read(s.make(b, possession.Of{}), nil)
	require.NoError(b, err)
	for b.Loop() {
		if !jws.SignedBy(s.key.Public()) {
			b.Fatal("wrong")
		}
	}
}
