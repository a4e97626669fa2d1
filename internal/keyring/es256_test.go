package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"math/big"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// The key, messages and signatures of RFC 6979 §A.2.5 (P-256, SHA-256).
func TestES256SignaturesAreThoseOfRFC6979(t *testing.T) {
	d, ok := new(big.Int).SetString("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", 16)
	require.True(t, ok)
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.Bytes())
	require.NoError(t, err)
	for message, want := range map[string]string{
		"sample": "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" +
			"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
		"test": "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367" +
			"019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
	} {
		signature, err := signingMethod(es256).Sign(message, private)
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprintf("%x", signature))
	}
}

// Every signature has 64 bytes and is golang-jwt's own, those too whose halves
// begin with zeros (one in 128 does).
func TestES256SignaturesVerify(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for i := range 1000 {
		text := fmt.Sprint("message ", i)
		signature, err := signingMethod(es256).Sign(text, private)
		require.NoError(t, err)
		require.Len(t, signature, 64)
		require.NoError(t, jwt.SigningMethodES256.Verify(text, signature, &private.PublicKey))
	}
	_, err = signingMethod(es256).Sign("message", "no key")
	require.ErrorIs(t, err, jwt.ErrInvalidKeyType)
}
