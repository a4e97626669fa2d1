package jwk

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
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return &key.PublicKey
}

// rsaKey returns a modulus of so many bits. No private key belongs to it.
func rsaKey(bits int, exponent int) *rsa.PublicKey {
	n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: exponent}
}

func edKey(t *testing.T) ed25519.PublicKey {
	t.Helper()
	key, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for alg, public := range map[string]crypto.PublicKey{ES256: ecKey(t, elliptic.P256()), RS256: rsaKey(2048, 65537),
		EdDSA: edKey(t)} {
		k, err := New(public)
		require.NoError(t, err)
		text, err := json.Marshal(map[string]any{"keys": []Key{k}})
		require.NoError(t, err)
		set, err := ParseSet(text, 1)
		require.NoError(t, err)
		gotAlg, got, ok := set.Find(k.Kid)
		require.True(t, ok)
		require.Equal(t, alg, gotAlg)
		require.Equal(t, alg, k.Alg)
		require.Equal(t, public, got)
		require.Equal(t, "sig", k.Use)
	}
	for _, public := range []crypto.PublicKey{ecKey(t, elliptic.P384()), rsaKey(2047, 65537), "a text"} {
		_, err := New(public)
		require.Error(t, err)
	}
}

// TestThumbprint has the examples of RFC 7638 §3.1 and RFC 8037 appendix A.3.
func TestThumbprint(t *testing.T) {
	for want, k := range map[string]Key{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": {Kty: "RSA", Alg: "RS256", Kid: "2011-04-29", E: "AQAB",
			N: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": {Kty: "OKP", Crv: "Ed25519",
			X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
	} {
		got, err := k.Thumbprint()
		require.NoError(t, err)
		require.Equal(t, want, got)
		if k.Y = "AAAA"; k.Kty == "RSA" { // members that its type does not have, and zeros that others write
			k.X, k.Crv, k.E = "AAAA", "P-256", "AAEAAQ"
		} else {
			k.N, k.E = "AAAA", "AQAB"
		}
		got, err = k.Thumbprint()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestKeysThatAreNotUsed(t *testing.T) {
	ec, err := New(ecKey(t, elliptic.P256()))
	require.NoError(t, err)
	ed, err := New(edKey(t))
	require.NoError(t, err)
	p384, err := Of(ecKey(t, elliptic.P384()))
	require.NoError(t, err)
	rsaOf := func(bits, exponent int) Key {
		public := rsaKey(bits, exponent)
		return Key{Kty: "RSA", N: encode(public.N.Bytes()), E: encode(big.NewInt(int64(exponent)).Bytes())}
	}
	change := func(k Key, edit func(*Key)) Key { edit(&k); return k }
	padded := base64.URLEncoding.EncodeToString(make([]byte, 32))
	for name, c := range map[string]struct {
		key   Key
		fault string
	}{
		"as published":        {ec, ""},
		"to verify":           {change(ec, func(k *Key) { k.Use, k.Ops = "", []string{"sign", "verify"} }), ""},
		"without use and alg": {change(ec, func(k *Key) { k.Use, k.Alg = "", "" }), ""},
		"fully-specified":     {change(ed, func(k *Key) { k.Alg = "Ed25519" }), ""},
		"RSA 2048":            {rsaOf(2048, 65537), ""},
		"RSA 8192":            {rsaOf(8192, 3), ""},
		"for encryption":      {change(ec, func(k *Key) { k.Use = "enc" }), "not a key for checking signatures"},
		"to sign only": {change(ec, func(k *Key) { k.Ops = []string{"sign"} }),
			"not a key for checking signatures"},
		"for no operation": {change(ec, func(k *Key) { k.Ops = []string{} }),
			"not a key for checking signatures"},
		"another algorithm":       {change(ec, func(k *Key) { k.Alg = "HS256" }), `"HS256"`},
		"another key's algorithm": {change(ec, func(k *Key) { k.Alg = "Ed25519" }), `"Ed25519"`},
		"a hostile algorithm": {change(ec, func(k *Key) { k.Alg = "\x1b[2J" + strings.Repeat("x", 99) }),
			`"\x1b[2Jxxxxxxxxxxxxxxxx"`},
		"secret":                {Key{Kty: "oct"}, "not used here"},
		"P-384":                 {p384, "not used here"},
		"another curve's name":  {change(ec, func(k *Key) { k.Crv = "P-384" }), "coordinates"},
		"X25519":                {change(ed, func(k *Key) { k.Crv = "X25519" }), "not used here"},
		"off the curve":         {change(ec, func(k *Key) { k.Y = k.X }), "point"},
		"a short coordinate":    {change(ec, func(k *Key) { k.X = k.X[:42] }), "coordinates"},
		"padding":               {change(ec, func(k *Key) { k.X = padded }), "coordinates"},
		"stray bits":            {change(ed, func(k *Key) { k.X = strings.Repeat("A", 42) + "B" }), "32 bytes"},
		"RSA of 2047 bits":      {rsaOf(2047, 65537), "2047 bits"},
		"RSA of 8193 bits":      {rsaOf(8193, 65537), "8193 bits"},
		"RSA, an even exponent": {rsaOf(2048, 4), "odd exponent"},
		"RSA, the exponent 1":   {rsaOf(2048, 1), "odd exponent"},
		"RSA, an even modulus": {change(rsaOf(2048, 3),
			func(k *Key) { k.N = encode(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes()) }), "odd exponent"},
		"RSA, a long exponent": {change(rsaOf(2048, 3), func(k *Key) { k.E = encode(make([]byte, 5)) }),
			"modulus and exponent"},
		"RSA without an exponent":   {change(rsaOf(2048, 3), func(k *Key) { k.E = "" }), "modulus and exponent"},
		"a signature's other curve": {change(ec, func(k *Key) { k.Kty = "OKP" }), "not used here"},
	} {
		alg, public, err := c.key.Public()
		if c.fault == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.fault, name)
		require.Empty(t, alg, name)
		require.Nil(t, public, name)
	}
}

func TestSets(t *testing.T) {
	one, err := New(ecKey(t, elliptic.P256()))
	require.NoError(t, err)
	two, err := New(edKey(t))
	require.NoError(t, err)
	named := func(k Key, kid string) string {
		k.Kid = kid
		text, err := json.Marshal(k)
		require.NoError(t, err)
		return string(text)
	}
	long := strings.Repeat("k", MaxKidSize+1)
	for _, c := range []struct {
		keys  []string
		find  string
		want  string // the algorithm; empty: it is not there
		fault string
	}{
		{[]string{named(one, "a"), named(two, "b")}, "a", ES256, ""},
		{[]string{named(one, "a"), named(two, "b")}, "b", EdDSA, ""},
		{[]string{named(one, "a"), named(two, "b")}, "", "", ""},
		{[]string{named(one, "a"), named(two, "b")}, "A", "", ""},
		{[]string{named(one, "a")}, "", ES256, ""},
		{[]string{named(one, "")}, "", ES256, ""},
		{[]string{named(one, "a"), named(two, "a")}, "a", ES256, ""},
		{[]string{named(one, "a"), named(two, long)}, long, "", ""},
		{[]string{`{"kty":"oct"}`, `7`, `null`, named(two, "b")}, "b", EdDSA, ""},
		{[]string{named(one, "a"), named(one, "b"), named(one, "c"), named(one, "d"), named(one, "e")},
			"", "", "at most 4"},
		{[]string{named(one, long)}, "", "", "no usable key"},
		{[]string{`{"kty":"oct"}`}, "", "", "not used here"},
		{nil, "", "", "no usable key"},
	} {
		set, err := ParseSet([]byte(`{"keys":[`+strings.Join(c.keys, ",")+`]}`), 4)
		if c.fault != "" {
			require.ErrorContains(t, err, c.fault)
			require.Nil(t, set)
			continue
		}
		require.NoError(t, err)
		alg, _, ok := set.Find(c.find)
		require.Equal(t, c.want != "", ok, fmt.Sprint(c.keys, c.find))
		require.Equal(t, c.want, alg)
	}
	_, err = ParseSet([]byte(`[]`), 4)
	require.ErrorContains(t, err, "RFC 7517")
	_, _, ok := (*Set)(nil).Find("")
	require.False(t, ok)
}
