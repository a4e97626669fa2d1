package clientauth

import (
	"context"
	"crypto/subtle"
	"strings"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Hasher hashes client secrets as they are stored.
type Hasher interface {
	// SecretScheme returns what each hash that it makes begins with: "$", the
	// name of the scheme, "$".
	SecretScheme() string
	// HashSecret returns what is stored of a secret: the scheme, then the hash
	// in 64 hexadecimal digits.
	HashSecret(svcauth.Secret) string
}

// Methods returns the ways in which clients authenticate.
func Methods(hasher Hasher) []Method {
	secrets := secrets{hasher: hasher, none: hasher.SecretScheme() + strings.Repeat("-", hashDigits)}
	return []Method{
		basicSecret{secrets},
		formSecret{secrets},
	}
}

const hashDigits = 64

// wrongSecret is the one answer to an unknown, a removed and a wrong secret.
var wrongSecret = &Mismatch{
	Credential:  "client secret",
	Word:        "secret",
	Reason:      "wrong_secret",
	Description: "client authentication failed: the client is unknown, or the secret is wrong, removed or expired",
	Detail: "The client secret has the form of one, but is none of this client's: it was removed, or belongs to " +
		"another client.",
}

// brokenSecret is the same answer, to what no svcauth has ever issued.
var brokenSecret = func() *Mismatch {
	m := *wrongSecret
	m.Detail = "What was sent as the client secret is none that svcauth makes: it was cut, mistyped or is another " +
		"program's."
	return &m
}()

// secrets verifies client secrets, wherever in the request they stand (RFC 6749
// §2.3.1).
type secrets struct {
	hasher Hasher
	none   string // in the form of a hash, but stored of no secret
}

// verify compares with as many stored secrets as a client may have, whether it
// has them or not. One whose hash is of another scheme fits no secret.
func (s secrets) verify(secret svcauth.Secret, client *Client) (Proof, error) {
	hash, found := []byte(s.hasher.HashSecret(secret)), -1
	for i := range svcauth.MaxSecrets {
		stored := s.none
		if i < len(client.Secrets) && strings.HasPrefix(client.Secrets[i].Material, s.hasher.SecretScheme()) {
			stored = client.Secrets[i].Material
		}
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare([]byte(stored), hash), i, found)
	}
	if found < 0 {
		if _, err := svcauth.ParseSecret(secret.Reveal()); err != nil {
			return Proof{}, brokenSecret
		}
		return Proof{}, wrongSecret
	}
	right := client.Secrets[found]
	return Proof{CredentialID: right.ID, Kind: store.CredentialSecret, ExpiresAt: right.ExpiresAt()}, nil
}

// basicSecret is a secret in the Authorization header.
type basicSecret struct{ secrets }

// Names implements [Method].
func (basicSecret) Names() []string { return []string{"client_secret_basic"} }

// Present implements [Method].
func (basicSecret) Present(r *Request) bool { return r.Basic != nil }

// Costly implements [Method].
func (basicSecret) Costly() bool { return false }

// ClientID implements [Method].
func (basicSecret) ClientID(_ context.Context, r *Request) (string, error) {
	if err := r.Basic.refusal(); err != nil {
		return "", err
	}
	if r.ClientID != "" && r.ClientID != r.Basic.ClientID {
		return "", malformed("client_id in the body is another one than in the Authorization header")
	}
	return r.Basic.ClientID, nil
}

// Verify implements [Method].
func (b basicSecret) Verify(_ context.Context, r *Request, client *Client) (Proof, error) {
	return b.verify(r.Basic.Secret, client)
}

// formSecret is a secret in the body.
type formSecret struct{ secrets }

// Names implements [Method].
func (formSecret) Names() []string { return []string{"client_secret_post"} }

// Present implements [Method].
func (formSecret) Present(r *Request) bool { return r.Secret != "" }

// Costly implements [Method].
func (formSecret) Costly() bool { return false }

// ClientID implements [Method].
func (formSecret) ClientID(_ context.Context, r *Request) (string, error) {
	if r.ClientID == "" {
		return "", noCredential()
	}
	return r.ClientID, nil
}

// Verify implements [Method].
func (f formSecret) Verify(_ context.Context, r *Request, client *Client) (Proof, error) {
	return f.verify(r.Secret, client)
}
