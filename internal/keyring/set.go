package keyring

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// set is all keys at one moment. It is never changed, only replaced.
type set struct {
	active *key
	byKID  map[string]*key
	jwks   []byte
	etag   string
	algs   []string // of all keys, sorted, once each
}

// assemble returns the set of what is stored. Keys that old has already opened
// are not opened again.
func (k *Keyring) assemble(rows []store.SigningKeyRow, old *set) (*set, error) {
	s := &set{byKID: make(map[string]*key, len(rows))}
	doc := struct {
		Keys []jwk.Key `json:"keys"`
	}{Keys: make([]jwk.Key, 0, len(rows))}
	for _, r := range rows {
		one, err := k.reuse(r, old)
		if err != nil {
			return nil, err
		}
		s.byKID[r.KID] = one
		doc.Keys = append(doc.Keys, one.jwk)
		s.algs = append(s.algs, one.Algorithm)
		if r.State == svcauth.KeyActive {
			if s.active != nil {
				return nil, fmt.Errorf("two signing keys are active, %s and %s; expected one", s.active.KID, r.KID)
			}
			s.active = one
		}
	}
	slices.Sort(s.algs)
	s.algs = slices.Compact(s.algs)
	if s.active == nil {
		return nil, errors.New("no signing key is active; expected one")
	}
	var err error
	if s.jwks, err = json.Marshal(doc); err != nil {
		return nil, fmt.Errorf("write the key set: %w", err)
	}
	sum := sha256.Sum256(s.jwks)
	s.etag = `"` + encode(sum[:16]) + `"`
	return s, nil
}

func (k *Keyring) reuse(r store.SigningKeyRow, old *set) (*key, error) {
	if old != nil && old.byKID[r.KID] != nil {
		same := *old.byKID[r.KID]
		same.SigningKey.State, same.ActivatedAt = r.State, r.ActivatedAt
		same.RetiredAt, same.DeleteAfter = r.RetiredAt, r.DeleteAfter
		return &same, nil
	}
	return k.open(r)
}

// Sign returns the payload as a token (JWS compact serialization, RFC 7515
// §7.1), signed with the active key. Its header is {"alg","kid","typ":"at+jwt"}
// (RFC 9068 §2.1). The payload is not looked at.
func (k *Keyring) Sign(payload []byte) (token string, err error) {
	current := k.keys.Load()
	if current == nil {
		return "", errNotLoaded
	}
	signer := current.active
	// One buffer for the whole token: what the builder has given out stays as
	// it is while more is appended behind it.
	var out strings.Builder
	out.Grow(len(signer.header) + base64.RawURLEncoding.EncodedLen(len(payload)) + 1 + signer.sigSize)
	out.WriteString(signer.header)
	appendBase64(&out, payload)
	signature, err := signer.method.Sign(out.String(), signer.private)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", signer.KID, err)
	}
	out.WriteByte('.')
	appendBase64(&out, signature)
	return out.String(), nil
}

// SignedByActive reports whether a token that [Keyring.Sign] has returned would
// be signed with the same key now.
func (k *Keyring) SignedByActive(token string) bool {
	current := k.keys.Load()
	return current != nil && strings.HasPrefix(token, current.active.header)
}

// appendBase64 encodes in portions of a multiple of three bytes, so that no
// buffer of the whole size is needed beside the builder's.
func appendBase64(out *strings.Builder, b []byte) {
	var text [1024]byte
	for len(b) > 0 {
		n := min(len(b), len(text)/4*3)
		base64.RawURLEncoding.Encode(text[:], b[:n])
		out.Write(text[:base64.RawURLEncoding.EncodedLen(n)])
		b = b[n:]
	}
}

// TokenSize returns how many characters a token has whose payload has so many
// bytes, signed with an algorithm. It returns 0 for an unknown algorithm.
func TokenSize(algorithm string, payload int) int {
	signature := map[string]int{es256: 64, rs256: rsaBits / 8, eddsa: 64}[algorithm]
	if signature == 0 {
		return 0
	}
	thumbprint := make([]byte, sha256.Size)
	text := base64.RawURLEncoding
	return len(header(algorithm, encode(thumbprint))) + text.EncodedLen(payload) + 1 + text.EncodedLen(signature)
}

// TokenSize returns how many characters a token would have whose payload has so
// many bytes, signed now.
func (k *Keyring) TokenSize(payload int) int {
	current := k.keys.Load()
	if current == nil {
		return 0
	}
	return len(current.active.header) + base64.RawURLEncoding.EncodedLen(payload) + 1 + current.active.sigSize
}

// Algorithms returns those of the published keys, sorted. After a change of the
// configuration the active key still signs with the old one until the next
// rotation, and validators that go by the metadata must know both. It is empty
// before [Keyring.Load]. The slice must not be changed.
func (k *Keyring) Algorithms() []string {
	if current := k.keys.Load(); current != nil {
		return current.algs
	}
	return nil
}

// Key returns the public key with this id, in whatever state it is. With it the
// Keyring is the [verify.KeySource] of the server's own process.
func (k *Keyring) Key(_ context.Context, kid string) (alg string, public crypto.PublicKey, err error) {
	current := k.keys.Load()
	if current == nil {
		return "", nil, errNotLoaded
	}
	found := current.byKID[kid]
	if found == nil {
		return "", nil, verify.ErrUnknownKey
	}
	return found.Algorithm, found.public, nil
}

// JWKS returns the key set as it is published (RFC 7517 §5), with the keys of
// every state, and its entity tag with the quotes. The body must not be
// changed. Both are empty before [Keyring.Load].
func (k *Keyring) JWKS() (body []byte, etag string) {
	current := k.keys.Load()
	if current == nil {
		return nil, ""
	}
	return current.jwks, current.etag
}
