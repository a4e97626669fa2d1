package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/internal/svctest/prooftest"
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

// target is what the proofs of these tests are for.
func (b *bench) target(token string) prooftest.Target {
	return prooftest.Target{Key: b.key, Method: "GET", URL: apiBase + apiPath, Token: token, Now: b.clock.Now}
}

func (b *bench) parts(t testing.TB) (header, claims prooftest.Object) {
	t.Helper()
	target := b.target(apiToken)
	return target.Parts(t)
}

func (b *bench) sign(t testing.TB, header, claims prooftest.Object) string {
	t.Helper()
	target := b.target(apiToken)
	return target.Sign(t, header, claims)
}

// TestChecks is the table that each place which takes proofs runs over HTTP.
func TestChecks(t *testing.T) {
	b := newBench(t, NonceOff)
	for name, token := range map[string]string{"with a token": apiToken, "at the token endpoint": ""} {
		t.Run(name, func(t *testing.T) {
			for _, c := range prooftest.Cases(t, b.target(token)) {
				if strings.HasPrefix(c.Name, "1: none") {
					continue // without a proof the token endpoint asks for no check
				}
				t.Run(c.Name, func(t *testing.T) {
					r := b.request(c.Proofs()...)
					if r.Token = token; token == "" {
						r.Key = ""
					}
					require.Equal(t, c.Code, b.use(t, r))
				})
			}
		})
	}
	require.Equal(t, CodeInvalidProof, b.use(t, b.request()), "none")
}

// TestBounds is what can't be told over HTTP: how exactly the bounds hold, and
// what net/http cuts off.
func TestBounds(t *testing.T) {
	b := newBench(t, NonceOff)
	claim := func(name string, value any) string {
		header, claims := b.parts(t)
		return b.sign(t, header, claims.With(name, value))
	}
	at := func(d time.Duration) string { return claim("iat", b.clock.Now().Add(d).Unix()) }
	const bad = CodeInvalidProof
	for name, c := range map[string]struct{ text, code string }{
		"2: a space behind": {claim("x", 1) + " ", bad},
		"jti too long":      {claim("jti", strings.Repeat("x", maxJTI+1)), bad},
		"jti as long":       {claim("jti", strings.Repeat("x", maxJTI)), ""},
		"too old":           {at(-maxAge - 2*time.Second), bad},
		"as old":            {at(-maxAge), ""},
		"too far ahead":     {at(maxAhead + time.Second), bad},
		"as far ahead":      {at(maxAhead), ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.code, b.use(t, b.request(c.text))) })
	}
	t.Run("a token of another key", func(t *testing.T) {
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

// A refused proof of another key costs no signature: the key is compared first.
func TestAnotherKeysSignatureIsNotChecked(t *testing.T) {
	b := newBench(t, NonceOff)
	r := b.request(prooftest.SwapClaims(b.make(t, possession.Of{}))) // whose signature is wrong, too
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
			claims = claims.With("iat", 1)
			require.Equal(t, CodeUseNonce, b.use(t, b.request(b.sign(t, header, claims))))
			claims = claims.With("nonce", b.nonces.Newest())
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
	made["ahead"] = b.sign(t, header, claims.With("iat", ahead).With("jti", "1"))
	made["now"] = b.sign(t, header, claims.With("jti", "2"))
	made["nonce"] = b.sign(t, header, claims.With("nonce", b.nonces.Newest()).With("jti", "3"))
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
		require.Equal(t, CodeInvalidProof, b.use(t, b.request(prooftest.SwapClaims(b.make(t, possession.Of{})))))
		r := b.request(b.make(t, possession.Of{}))
		r.Key = "another"
		require.Equal(t, CodeInvalidToken, b.use(t, r))
	}
	require.Len(t, b.checker.headers.byID, 1)
	header, claims := b.parts(t)
	filled := b.sign(t, header.With("x", strings.Repeat("x", maxHeaderSize)), claims.With("jti", "1"))
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
