package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The algorithms that tokens are signed with.
const (
	es256 = jwk.ES256
	rs256 = jwk.RS256
	eddsa = jwk.EdDSA
)

// rsaBits is what NIST SP 800-57 accepts until 2030, for a key that signs for
// weeks and verifies for a day more. 3072 would make each signature three times
// as dear and each token 170 characters longer.
const rsaBits = jwk.MinRSABits

// key is one signing key, ready to use. It is never changed.
type key struct {
	svcauth.SigningKey
	method  jwt.SigningMethod
	private any // boxed once, because the signing method takes any
	public  crypto.PublicKey
	der     []byte // of the public key
	jwk     jwk.Key
	headers [2]string // of a token: base64url({"alg","kid","typ"}) and a dot, by [Form.typ]
	sigSize int       // of a signature in base64url
}

// generate returns a new private key for the algorithm.
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

// newKey returns a key that is ready to use, without the columns of its row.
func newKey(private crypto.Signer) (*key, error) {
	public := private.Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	published, err := jwk.New(public)
	if err != nil {
		return nil, err
	}
	k := &key{private: private, public: public, der: der, jwk: published, method: signingMethod(published.Alg)}
	k.KID, k.Algorithm = published.Kid, published.Alg
	for i, typ := range types {
		k.headers[i] = header(k.Algorithm, k.KID, typ)
	}
	k.sigSize = base64.RawURLEncoding.EncodedLen(64)
	if p, ok := public.(*rsa.PublicKey); ok {
		k.sigSize = base64.RawURLEncoding.EncodedLen(p.Size())
	}
	return k, nil
}

// header returns the first part of a token, and the dot behind it.
func header(algorithm, kid, typ string) string {
	return encode([]byte(`{"alg":"`+algorithm+`","kid":"`+kid+`","typ":"`+typ+`"}`)) + "."
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// row returns what is stored of a new key.
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

// open makes a stored key ready to use. The public key comes from the private
// one, so that a row that nobody sealed brings in no key.
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
