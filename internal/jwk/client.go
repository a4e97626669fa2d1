package jwk

import "crypto"

// clientAlgorithms is what a client signs with by the key's curve. RSA has
// none: clients sign with RS256 or PS256 alike.
var clientAlgorithms = map[string]string{"P-256": ES256, "P-384": "ES384", "P-521": "ES512", "Ed25519": EdDSA}

// ForClient returns a client's public key for registering: RSA of [MinRSABits]
// to [MaxRSABits], P-256, P-384, P-521 or Ed25519. Its kid is its thumbprint
// (RFC 7638). The error says what is wrong with the key and what was expected.
func ForClient(public crypto.PublicKey) (Key, error) {
	k, err := Of(public)
	if err != nil {
		return Key{}, err
	}
	k.Use, k.Alg = "sig", clientAlgorithms[k.Crv]
	k.Kid, err = k.Thumbprint()
	return k, err
}
