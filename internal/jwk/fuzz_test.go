package jwk

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzJWK: whatever is sent as a key or as PEM, what is accepted is a public
// key that is written and read again as the same one, and nothing private. Two
// numbers become a key of a type, too, since few texts by chance do.
func FuzzJWK(f *testing.F) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	public, err := private.PublicKey.Bytes()
	require.NoError(f, err)
	x, y := public[1:33], public[33:]
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	require.NoError(f, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(f, err)
	for _, block := range []pem.Block{
		{Type: "PUBLIC KEY", Bytes: spki}, {Type: "PRIVATE KEY", Bytes: pkcs8}, {Type: "PUBLIC KEY", Bytes: pkcs8},
		{Type: "RSA PUBLIC KEY", Bytes: spki}, {Type: "CERTIFICATE", Bytes: spki},
	} {
		f.Add(pem.EncodeToMemory(&block), "EC", "P-256", "ES256", x, y)
	}
	modulus := rsaKey(2048, 3).N.Bytes()
	for _, k := range []struct {
		kty, crv, alg string
		first, second []byte
	}{
		{"EC", "P-256", "", x, y}, {"EC", "P-384", "ES384", x, y}, {"OKP", "Ed25519", EdDSA, x, nil},
		{"RSA", "", "PS256", modulus, []byte{1, 0, 1}}, {"oct", "", "HS256", x, y},
		{"RSA", "", "", append([]byte{0}, modulus...), []byte{0, 1, 0, 1}},
	} {
		text := assembled(f, k.kty, k.crv, k.alg, k.first, k.second)
		for _, first := range []string{`{`, `{"d":"AAAA",`, `{"\u0064":"AAAA",`, `{"D":"AAAA",`, `{"use":"sig","kid":"k",`} {
			f.Add(bytes.Replace(text, []byte(`{`), []byte(first), 1), k.kty, k.crv, k.alg, k.first, k.second)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, kty, crv, alg string, first, second []byte) {
		judged(t, raw)
		judged(t, assembled(t, kty, crv, alg, first, second))
		if k, v, err := ParsePEM(string(raw)); err == nil {
			require.NotContains(t, string(raw), "PRIVATE KEY-----")
			roundTrips(t, k, v)
		}
	})
}

// assembled returns a JWK whose two numbers are whatever its type has.
func assembled(t testing.TB, kty, crv, alg string, first, second []byte) []byte {
	t.Helper()
	k := Key{Kty: kty, Crv: crv, Alg: alg, X: encode(first), Y: encode(second)}
	if kty == "RSA" {
		k = Key{Kty: kty, Alg: alg, N: encode(first), E: encode(second)}
	}
	text, err := json.Marshal(k)
	require.NoError(t, err)
	return text
}

// judged checks what is accepted as a JWK.
func judged(t *testing.T, raw []byte) {
	t.Helper()
	k, v, err := Parse(raw)
	if err != nil {
		return
	}
	nothingPrivate(t, raw)
	roundTrips(t, k, v)
	all, err := ParseVerifiers(slices.Concat([]byte(`{"keys":[`), raw, []byte(`]}`)), 1)
	require.NoError(t, err)
	require.Equal(t, []Verifier{v}, all)
}

// nothingPrivate fails if a key has a private member, in any spelling, and if
// it would be accepted with one.
func nothingPrivate(t *testing.T, raw []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &members))
	for name := range members {
		require.NotContains(t, private, strings.ToLower(name))
	}
	for _, name := range private {
		with := slices.Concat([]byte(`{"`+name+`":"AAAA",`), bytes.TrimLeft(raw, " \t\r\n")[1:])
		_, _, err := Parse(with)
		require.Error(t, err, name)
	}
}

// roundTrips checks that a key is the same one after it was written and read.
func roundTrips(t *testing.T, k Key, v Verifier) {
	t.Helper()
	require.NotEmpty(t, v.Algorithms)
	text, err := json.Marshal(k)
	require.NoError(t, err)
	again, same, err := Parse(text)
	require.NoError(t, err)
	require.Equal(t, k, again)
	require.Equal(t, v, same)
	bare, err := Of(v.Key)
	require.NoError(t, err)
	plain, err := bare.Verifier()
	require.NoError(t, err)
	require.Equal(t, v.Key, plain.Key)
	require.Equal(t, v.Thumbprint, plain.Thumbprint, "one key, one thumbprint (RFC 7638)")
}
