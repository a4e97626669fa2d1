package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The algorithms that tokens are signed with.
const (
	es256 = "ES256"
	rs256 = "RS256"
	eddsa = "EdDSA"
)

// 2048 bits: what RFC 7518 §3.3 asks for and NIST SP 800-57 accepts until 2030, for a key that signs for weeks and verifies for a day more. 3072 would
// make each signature three times as dear and each token 170 characters longer.
const rsaBits = 2048

// key is one signing key, ready to use. It is never changed.
type key struct {
	svcauth.SigningKey
	method  jwt.SigningMethod
	private any // boxed once, because the signing method takes any
	public  crypto.PublicKey
	der     []byte // of the public key
	jwk     jwk
	header  string // of a token: base64url({"alg","kid","typ"}) and a dot
	sigSize int    // of a signature in base64url
}

// jwk is a public key as RFC 7517 §4, RFC 7518 §6 and RFC 8037 §2 write it.
type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
}

// generate makes a private key for the algorithm.
func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case es256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case rs256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case eddsa:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("signing algorithm %q is unknown: expected ES256, RS256 or EdDSA", algorithm)
}

// newKey makes a key ready to use, without the columns of its row.
func newKey(private crypto.Signer) (*key, error) {
	public := private.Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	k := &key{private: private, public: public, der: der}
	var thumb any // RFC 7638 §3.2: the required members only, in the order of their names
	signature := 64
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, x, y: RFC 7518 §6.2.1.2 wants them in full size, as they are here
		if err != nil || p.Curve != elliptic.P256() {
			return nil, errors.New("an elliptic-curve key that is not on P-256")
		}
		k.Algorithm, k.method = es256, jwt.SigningMethodES256
		k.jwk = jwk{Kty: "EC", Crv: "P-256", X: encode(point[1:33]), Y: encode(point[33:])}
		thumb = struct {
			Crv string `json:"crv"`
			Kty string `json:"kty"`
			X   string `json:"x"`
			Y   string `json:"y"`
		}{k.jwk.Crv, k.jwk.Kty, k.jwk.X, k.jwk.Y}
	case *rsa.PublicKey:
		if p.N.BitLen() < rsaBits {
			return nil, fmt.Errorf("an RSA key of %d bits; expected at least %d", p.N.BitLen(), rsaBits)
		}
		signature = p.Size()
		k.Algorithm, k.method = rs256, jwt.SigningMethodRS256
		exponent := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, uint64(p.E)), "\x00")
		k.jwk = jwk{Kty: "RSA", N: encode(p.N.Bytes()), E: encode(exponent)}
		thumb = struct {
			E   string `json:"e"`
			Kty string `json:"kty"`
			N   string `json:"n"`
		}{k.jwk.E, k.jwk.Kty, k.jwk.N}
	case ed25519.PublicKey:
		k.Algorithm, k.method = eddsa, jwt.SigningMethodEdDSA
		k.jwk = jwk{Kty: "OKP", Crv: "Ed25519", X: encode(p)}
		thumb = struct {
			Crv string `json:"crv"`
			Kty string `json:"kty"`
			X   string `json:"x"`
		}{k.jwk.Crv, k.jwk.Kty, k.jwk.X}
	default:
		return nil, fmt.Errorf("a private key of type %T; expected P-256, RSA or Ed25519", private)
	}
	return k, k.name(thumb, signature)
}

// name derives what contains the kid: the thumbprint of RFC 7638, so that a kid is bound to its key.
func (k *key) name(thumb any, signature int) error {
	text, err := json.Marshal(thumb)
	if err != nil {
		return fmt.Errorf("encode a public key: %w", err)
	}
	sum := sha256.Sum256(text)
	k.KID = encode(sum[:])
	k.jwk.Use, k.jwk.Alg, k.jwk.Kid = "sig", k.Algorithm, k.KID
	k.header = header(k.Algorithm, k.KID)
	k.sigSize = base64.RawURLEncoding.EncodedLen(signature)
	return nil
}

// header writes the first part of a token, and the dot behind it.
func header(algorithm, kid string) string {
	return encode([]byte(`{"alg":"`+algorithm+`","kid":"`+kid+`","typ":"at+jwt"}`)) + "."
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// row is what is stored of a new key.
func (k *Keyring) row(fresh *key, state string, now time.Time) (store.SigningKeyRow, error) {
	der, err := x509.MarshalPKCS8PrivateKey(fresh.private)
	if err != nil {
		return store.SigningKeyRow{}, fmt.Errorf("encode a private key: %w", err)
	}
	defer clear(der)
	r := store.SigningKeyRow{SigningKey: fresh.SigningKey, PublicDER: fresh.der, Sealed: k.Seal(fresh.KID, der)}
	r.State, r.CreatedAt = state, now
	if state == svcauth.KeyActive {
		r.ActivatedAt = &now
	}
	return r, nil
}

// open makes a stored key ready to use. The public key comes from the private one, so that a row nobody sealed brings in no key.
func (k *Keyring) open(r store.SigningKeyRow) (*key, error) {
	what := "signing key " + r.KID
	der, err := k.Open(r.KID, r.Sealed)
	if err != nil {
		return nil, explain(what, err)
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, explain(what, ErrDamaged)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, explain(what, ErrDamaged)
	}
	opened, err := newKey(private)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if opened.KID != r.KID || opened.Algorithm != r.Algorithm || !bytes.Equal(opened.der, r.PublicDER) {
		return nil, explain(what, ErrDamaged)
	}
	opened.SigningKey = r.SigningKey
	return opened, nil
}
