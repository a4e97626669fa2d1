package resourceserver

import (
	"context"
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
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The bounds of the core: claims of a token, and the last second of the year
// 9999.
const (
	maxClaims  = 256
	maxSeconds = 253402300799
)

// raw signs a header and claims that are given as text, so that they can be
// anything.
func (s *signer) raw(t testing.TB, header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := jwt.SigningMethodES256.Sign(text, s.key)
	require.NoError(t, err)
	return text + "." + encode(signature)
}

func jsonText(t testing.TB, c jwt.MapClaims) string {
	text, err := json.Marshal(c)
	require.NoError(t, err)
	return string(text)
}

const goodHeader = `{"alg":"ES256","kid":"k1","typ":"at+jwt"}`

// verifierOf makes a verifier that has the signer's key and follows nothing.
func verifierOf(t testing.TB, keys KeySource, edit func(*Config)) *Verifier {
	cfg := Config{Issuer: testIssuer, Audience: testAudience, Keys: keys}
	if edit != nil {
		edit(&cfg)
	}
	v, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// refusesAll checks that each token is refused as invalid: before and after a
// valid one was remembered, and twice, so that no refused token is remembered.
func refusesAll(t *testing.T, s *signer, tokens map[string]string) {
	v := verifierOf(t, s, nil)
	good := s.token(t, claims(time.Now(), nil), nil)
	for range 2 {
		for name, token := range tokens {
			p, err := v.Verify(t.Context(), token)
			var refusal *Error
			require.ErrorAs(t, err, &refusal, name)
			require.Nil(t, p, name)
			require.Equal(t, http.StatusUnauthorized, refusal.Status, name)
			require.Equal(t, CodeInvalidToken, refusal.Code, name)
			for part := range strings.SplitSeq(token, ".") { // RFC 6750 §5.3: what was sent is not sent back
				require.False(t, len(part) > 8 && strings.Contains(refusal.Error(), part),
					"%s: the refusal holds a part of the token", name)
			}
		}
		_, err := v.Verify(t.Context(), good)
		require.NoError(t, err, "the good one, from which all others are made")
	}
}

// RFC 8725 §2.1, §3.1 and RFC 9068 §4: no header chooses how it is checked.
func TestHostileHeaders(t *testing.T) {
	s, now := newSigner(t), time.Now()
	good, payload := claims(now, nil), jsonText(t, claims(now, nil))
	header := func(changes map[string]any) string { return s.token(t, good, changes) }
	signedWith := func(method jwt.SigningMethod, key any) string {
		token := jwt.NewWithClaims(method, good)
		token.Header["typ"], token.Header["kid"] = "at+jwt", s.kid
		text, err := token.SignedString(key)
		require.NoError(t, err)
		return text
	}
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	require.NoError(t, err)
	point, err := s.key.PublicKey.Bytes()
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	bigger, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	unsigned := signedWith(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)
	refusesAll(t, s, map[string]string{
		"none":                             unsigned,
		"none with a signature":            unsigned + "AAAA",
		"alg None":                         header(map[string]any{"alg": "None"}),
		"alg nOnE":                         header(map[string]any{"alg": "nOnE"}),
		"alg empty":                        header(map[string]any{"alg": ""}),
		"alg missing":                      s.raw(t, `{"kid":"k1","typ":"at+jwt"}`, payload),
		"alg a number":                     header(map[string]any{"alg": 256}),
		"alg in lower case":                header(map[string]any{"alg": "es256"}),
		"HS256 with the public key as DER": signedWith(jwt.SigningMethodHS256, der),
		"HS256 with the public key as PEM": signedWith(jwt.SigningMethodHS256,
			pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the public key as a point":  signedWith(jwt.SigningMethodHS256, point),
		"RS256 by another's key under this kid": signedWith(jwt.SigningMethodRS256, rsaKey),
		"PS256":                                 signedWith(jwt.SigningMethodPS256, rsaKey),
		"EdDSA by another's key under this kid": signedWith(jwt.SigningMethodEdDSA, edKey),
		"ES384":                                 signedWith(jwt.SigningMethodES384, bigger),
		"says RS256, is ES256":                  header(map[string]any{"alg": "RS256"}),
		"says EdDSA, is ES256":                  header(map[string]any{"alg": "EdDSA"}),
		"another's key of the same kind":        newSigner(t).token(t, good, nil),
		"typ JWT":                               header(map[string]any{"typ": "JWT"}),
		"typ empty":                             header(map[string]any{"typ": ""}),
		"typ of a DPoP proof":                   header(map[string]any{"typ": "dpop+jwt"}),
		"typ with a space":                      header(map[string]any{"typ": "at+jwt "}),
		"typ an array":                          header(map[string]any{"typ": []string{"at+jwt"}}),
		"typ missing":                           s.raw(t, `{"alg":"ES256","kid":"k1"}`, payload),
		"kid unknown":                           header(map[string]any{"kid": "k2"}),
		"kid missing":                           s.raw(t, `{"alg":"ES256","typ":"at+jwt"}`, payload),
		"kid a path":                            header(map[string]any{"kid": "../../k1"}),
		"kid a number":                          header(map[string]any{"kid": 1}),
		"kid too long":                          header(map[string]any{"kid": strings.Repeat("k", jwk.MaxKidSize+1)}),
		"kid in upper case":                     header(map[string]any{"kid": "K1"}),
		"its own key": newSigner(t).token(t, good,
			map[string]any{"jwk": map[string]any{"kty": "EC"}, "kid": "own"}),
		"crit":       header(map[string]any{"crit": []string{"exp"}}),
		"crit empty": header(map[string]any{"crit": []string{}}),
		"b64":        header(map[string]any{"b64": false}),
		"alg twice": s.raw(t, `{"alg":"none","alg":"ES256","kid":"k1","typ":"at+jwt"}`,
			payload),
		"typ twice": s.raw(t, `{"alg":"ES256","kid":"k1","typ":"JWT","typ":"at+jwt"}`,
			payload),
		"kid twice, once escaped": s.raw(t, `{"alg":"ES256","kid":"k2","\u006bid":"k1","typ":"at+jwt"}`,
			payload),
		"Alg": s.raw(t, `{"Alg":"none","alg":"ES256","kid":"k1","typ":"at+jwt"}`,
			payload),
		"\u212aid, with the sign of the kelvin": s.raw(t,
			"{\"\u212aid\":\"k2\",\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}", payload),
		"a header that is no object":        s.raw(t, `[`+goodHeader+`]`, payload),
		"a header with something behind it": s.raw(t, goodHeader+`{}`, payload),
		"a header that is not UTF-8": s.raw(t,
			"{\"x\":\"\xff\",\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}", payload),
		"a header without end": s.raw(t, `{"alg":"ES256","kid":"k1","typ":"at+jwt"`, payload),
		"a header of too many members": header(map[string]any{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1,
			"h": 1, "i": 1, "j": 1, "k": 1, "l": 1, "m": 1, "n": 1}),
	})
}

// RFC 9068 §4, RFC 7519 §4, RFC 8725 §3.8 to §3.10: claims that don't fit or
// are ambiguous.
func TestHostileClaims(t *testing.T) {
	s, now := newSigner(t), time.Now()
	with := func(name string, value any) string { return s.token(t, claims(now, map[string]any{name: value}), nil) }
	payload := jsonText(t, claims(now, nil))
	added := func(members string) string {
		return s.raw(t, goodHeader, strings.TrimSuffix(payload, "}")+","+members+"}")
	}
	later, before := now.Add(2*time.Minute).Unix(), now.Add(-2*time.Minute).Unix()
	many := strings.Builder{}
	fmt.Fprint(&many, `"c0":0`)
	for i := range maxClaims {
		fmt.Fprintf(&many, `,"c%d":0`, i+1)
	}
	tokens := map[string]string{
		"aud of another API":          with("aud", "https://billing.example"),
		"aud that begins alike":       with("aud", testAudience+".evil.example"),
		"aud with a slash":            with("aud", testAudience+"/"),
		"aud in upper case":           with("aud", strings.ToUpper(testAudience)),
		"aud of others":               with("aud", []string{"https://a.example", "https://b.example"}),
		"aud in one text with others": with("aud", testAudience+" https://b.example"),
		"aud empty":                   with("aud", []string{}),
		"aud with null":               with("aud", []any{testAudience, nil}),
		"aud an object":               with("aud", map[string]any{testAudience: true}),
		"iss of another":              with("iss", "https://evil.example"),
		"iss with a slash":            with("iss", testIssuer+"/"),
		"iss in upper case":           with("iss", strings.ToUpper(testIssuer)),
		"iss by http":                 with("iss", strings.Replace(testIssuer, "https", "http", 1)),
		"iss an array":                with("iss", []string{testIssuer}),
		"iat in the future":           with("iat", later),
		"nbf in the future":           with("nbf", later),
		"expired":                     with("exp", before),
		"expired in 1970":             with("exp", 0),
		"exp negative":                with("exp", -1),
		"exp a text":                  with("exp", "9999999999"),
		"exp null":                    s.raw(t, goodHeader, strings.Replace(payload, `"exp":`, `"exp":null,"was":`, 1)),
		"exp beyond all years":        with("exp", int64(maxSeconds)+1),
		"exp without end": s.raw(t, goodHeader,
			strings.Replace(payload, `"exp":`, `"exp":1e999,"was":`, 1)),
		"exp twice":                   added(`"exp":9999999999`),
		"exp twice, once escaped":     added(`"\u0065xp":9999999999`),
		"aud twice":                   added(`"aud":"` + testAudience + `"`),
		"scope twice":                 added(`"scope":"clusters:release"`),
		"sub twice":                   added(`"sub":"mem_admin"`),
		"a name of nobody's twice":    added(`"x":1,"x":1`),
		"Scope":                       added(`"Scope":"clusters:release"`),
		"EXP":                         added(`"EXP":9999999999`),
		"\u017fub, with a long s":     added("\"\u017fub\":\"mem_admin\""),
		"scope an array":              with("scope", []string{"clusters:view"}),
		"roles a text":                with("roles", "Operator"),
		"epoch a text":                with("epoch", "1"),
		"epoch with a fraction":       with("epoch", 1.5),
		"claims that are no object":   s.raw(t, goodHeader, `"`+testIssuer+`"`),
		"claims with an end too many": s.raw(t, goodHeader, payload+"}"),
		"no claims":                   s.raw(t, goodHeader, `{}`),
		"claims of too many members":  added(many.String()),
	}
	for _, name := range []string{"iss", "sub", "client_id", "aud", "iat", "exp", "jti"} {
		tokens[name+" missing"] = with(name, nil)
	}
	refusesAll(t, s, tokens)
}

// A token has only one valid text, so that a revoked or logged one has no twin
// with another text: RFC 7515 §2, RFC 4648 §3.5.
func TestHostileSpellings(t *testing.T) {
	s := newSigner(t)
	good := s.token(t, claims(time.Now(), nil), nil)
	parts := strings.Split(good, ".")
	tokens := map[string]string{
		"empty": "", "dots": "..", "one part": parts[0], "two parts": parts[0] + "." + parts[1],
		"no signature": parts[0] + "." + parts[1] + ".",
		"four parts":   good + "." + parts[2], "five parts, as of a JWE": good + "." + parts[2] + "." + parts[2],
		"space before": " " + good, "space behind": good + " ", "line end behind": good + "\n",
		"NUL behind": good + "\x00", "padding": good + "==",
		"the other alphabet": strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+",
		"oversize":           good + strings.Repeat("A", svcauth.MaxTokenSize),
		"oversize by one":    strings.Repeat("A", svcauth.MaxTokenSize+1),
		"a longer signature": good + "AAAA", "a shorter signature": good[:len(good)-4],
		"signature of zeroes": parts[0] + "." + parts[1] + "." +
			base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"claims of another token": parts[0] + "." +
			strings.Split(s.token(t, claims(time.Now(), map[string]any{"scope": "clusters:release"}), nil), ".")[1] +
			"." + parts[2],
		"header and claims swapped": parts[1] + "." + parts[0] + "." + parts[2],
	}
	for i, name := range []string{"header", "claims", "signature"} {
		for _, end := range []string{"\r", "\n", "\r\n"} {
			broken := strings.Split(good, ".")
			broken[i] = broken[i][:8] + end + broken[i][8:]
			tokens["line end in the "+name+" "+base64.StdEncoding.EncodeToString([]byte(end))] = strings.Join(broken,
				".")
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// 64 bytes leave 4 bits of the last character without meaning: 15 others
	// decode to the same signature
	for _, c := range alphabet {
		if other := good[:len(good)-1] + string(c); other != good {
			tokens["last character "+string(c)] = other
		}
	}
	refusesAll(t, s, tokens)
}

// An ECDSA signature (r, s) has a twin, (r, n-s), that anybody can make and
// every verifier takes: nothing in JWS (RFC 7518 §3.4) forbids it, and issuers
// make both kinds. So a token must never be known by its text: the twin is the
// same token, and dies with it.
func TestTheOtherECDSASignatureIsTheSameToken(t *testing.T) {
	s, set := newSigner(t), verify.NewRevocationSet()
	v := verifierOf(t, s, func(c *Config) { c.revocations = set })
	good := s.token(t, claims(time.Now(), nil), nil)
	at := strings.LastIndexByte(good, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(good[at:])
	require.NoError(t, err)
	order := elliptic.P256().Params().N
	new(big.Int).Sub(order, new(big.Int).SetBytes(signature[32:])).FillBytes(signature[32:])
	twin := good[:at] + base64.RawURLEncoding.EncodeToString(signature)
	require.NotEqual(t, good, twin)

	one, err := v.Verify(t.Context(), good)
	require.NoError(t, err)
	other, err := v.Verify(t.Context(), twin)
	require.NoError(t, err)
	require.Equal(t, one, other)
	set.Add(svcauth.Revocation{JTI: "t1", Exp: time.Now().Add(time.Hour).Unix()})
	for _, token := range []string{good, twin} {
		_, err = v.Verify(t.Context(), token)
		require.ErrorIs(t, err, ErrRevoked)
	}
	// The other freedom of numbers, s + n, does not fit into 32 bytes or is no
	// signature.
	new(big.Int).Sub(order, big.NewInt(1)).FillBytes(signature[32:])
	_, err = v.Verify(t.Context(), good[:at]+base64.RawURLEncoding.EncodeToString(signature))
	require.Error(t, err)
}

// Each kind of entry revokes the tokens that it matches, remembered or new, and
// no others.
func TestEachKindOfRevocationEndsItsTokensOnly(t *testing.T) {
	s, now := newSigner(t), time.Now()
	exp := now.Add(time.Hour).Unix()
	for name, c := range map[string]struct {
		entry svcauth.Revocation
		spare map[string]any // how a token differs that lives on
	}{
		"token": {svcauth.Revocation{JTI: "t1", Exp: exp}, map[string]any{"jti": "t2"}},
		"client, by its epoch": {svcauth.Revocation{ClientID: "sa_1", MinEpoch: 2, Exp: exp},
			map[string]any{"epoch": 2}},
		"client, another": {svcauth.Revocation{ClientID: "sa_1", MinEpoch: 2, Exp: exp},
			map[string]any{"client_id": "sa_2"}},
		"client and role": {svcauth.Revocation{ClientID: "sa_1", Role: "Operator", MinEpoch: 2, Exp: exp},
			map[string]any{"roles": []string{"Viewer"}}},
		"credential":       {svcauth.Revocation{Cred: "sec_1", Exp: exp}, map[string]any{"cred": "sec_2"}},
		"credential, none": {svcauth.Revocation{Cred: "sec_1", Exp: exp}, map[string]any{"cred": nil}},
		"role": {svcauth.Revocation{OrgID: "org_1", Role: "Operator", MinPol: 2, Exp: exp},
			map[string]any{"roles": []string{"operator"}}},
		"role, by its policy": {svcauth.Revocation{OrgID: "org_1", Role: "Operator", MinPol: 2, Exp: exp},
			map[string]any{"pol": 2}},
		"role, elsewhere": {svcauth.Revocation{OrgID: "org_1", Role: "Operator", MinPol: 2, Exp: exp},
			map[string]any{"org_id": "org_2"}},
		"role and privilege": {svcauth.Revocation{OrgID: "org_1", Role: "Operator", Privilege: "clusters:edit",
			MinPol: 2, Exp: exp}, map[string]any{"scope": "clusters:view clusters:editor"}},
		"organization": {svcauth.Revocation{OrgID: "org_1", MinPol: 2, Exp: exp}, map[string]any{"org_id": "org_2"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := verify.NewRevocationSet()
			v := verifierOf(t, s, func(c *Config) { c.revocations = set })
			dies, lives := s.token(t, claims(now, nil), nil), s.token(t, claims(now, c.spare), nil)
			for _, token := range []string{dies, lives} {
				_, err := v.Verify(t.Context(), token)
				require.NoError(t, err)
			}
			set.Add(c.entry)
			again := s.token(t, claims(now, map[string]any{"iat": now.Unix() - 1}), nil) // not remembered
			for _, token := range []string{dies, again, dies} {
				_, err := v.Verify(t.Context(), token)
				require.ErrorIs(t, err, ErrRevoked)
			}
			_, err := v.Verify(t.Context(), lives)
			require.NoError(t, err)
		})
	}
}

// The clocks of issuer and API may differ by Leeway, for remembered tokens too.
func TestClockSkew(t *testing.T) {
	s, real := newSigner(t), time.Unix(1_800_000_000, 0)
	for _, leeway := range []time.Duration{-1, 0, time.Second, 5 * time.Minute} {
		now := real
		v := verifierOf(t, s, func(c *Config) { c.Leeway, c.Clock = leeway, func() time.Time { return now } })
		allowed := map[time.Duration]time.Duration{-1: 0, 0: 30 * time.Second}[leeway]
		if leeway > 0 {
			allowed = leeway
		}
		valid := func(changes map[string]any) bool {
			_, err := v.Verify(t.Context(), s.token(t, claims(real, changes), nil))
			return err == nil
		}
		at := func(d time.Duration) int64 { return real.Add(d).Unix() }
		require.True(t, valid(map[string]any{"iat": at(allowed)}))
		require.False(t, valid(map[string]any{"iat": at(allowed + time.Second)}))
		require.True(t, valid(map[string]any{"nbf": at(allowed)}))
		require.False(t, valid(map[string]any{"nbf": at(allowed + time.Second)}))
		require.True(t, valid(map[string]any{"exp": at(time.Second - allowed)}))
		require.False(t, valid(map[string]any{"exp": at(-allowed)}))

		token := s.token(t, claims(real, nil), nil)
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		now = real.Add(time.Hour + allowed - time.Second)
		_, err = v.Verify(t.Context(), token)
		require.NoError(t, err)
		now = real.Add(time.Hour + allowed)
		_, err = v.Verify(t.Context(), token)
		require.ErrorIs(t, err, ErrExpired)
	}
}

// fixedKey is an Ed25519 key, so that each run has the same tokens: signatures
// are deterministic.
type fixedKey struct{ key ed25519.PrivateKey }

func (k fixedKey) Key(_ context.Context, kid string) (string, crypto.PublicKey, error) {
	if kid != "k1" {
		return "", nil, ErrUnknownKey
	}
	return "EdDSA", k.key.Public(), nil
}

// FuzzMutatedToken replaces parts of a valid token: only the exact token is
// accepted.
func FuzzMutatedToken(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	k := fixedKey{ed25519.NewKeyFromSeed([]byte("a seed for tests, of 32 bytes...")[:32])}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims(now, nil))
	token.Header["typ"], token.Header["kid"] = "at+jwt", "k1"
	good, err := token.SignedString(k.key)
	require.NoError(f, err)
	v := verifierOf(f, k, func(c *Config) { c.Clock = func() time.Time { return now } })
	_, err = v.Verify(f.Context(), good)
	require.NoError(f, err)

	last := uint16(len(good))
	f.Add(uint16(0), uint16(0), "")
	f.Add(last, uint16(0), "\n")
	f.Add(last-1, uint16(1), "A")
	f.Add(last-86, uint16(86), "")
	f.Add(uint16(0), last, "eyJhbGciOiJub25lIn0.e30.")
	f.Add(uint16(4), uint16(1), "\r\n")
	f.Add(last, uint16(0), "=")
	f.Fuzz(func(t *testing.T, at, length uint16, with string) {
		from := min(int(at), len(good))
		to := min(from+int(length), len(good))
		text := good[:from] + with + good[to:]
		p, err := v.Verify(t.Context(), text)
		if text == good {
			require.NoError(t, err)
			return
		}
		require.Error(t, err, "%q is not the token", text)
		require.Nil(t, p)
	})
}
