package keyring

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// set is all keys at one moment. It is never changed, only replaced.
type set struct {
	use     usage
	active  map[string]*key       // by algorithm
	signers [len(algorithms)]*key // of each algorithm, or what signs in its place
	signer  *key                  // of a form without an algorithm
	pending []Pending
	byKID   map[string]*key
	jwks    []byte
	etag    string
	algs    []string // of all keys, sorted, once each
	foreign []string // the ids of keys that are left out, as their algorithm is not known
}

// assemble returns the set of what is stored. Keys that old has already opened
// are not opened again.
func (k *Keyring) assemble(rows []store.SigningKeyRow, use usage, old *set) (*set, error) {
	s := &set{use: use, active: map[string]*key{}, byKID: make(map[string]*key, len(rows))}
	doc := struct {
		Keys []jwk.Key `json:"keys"`
	}{Keys: make([]jwk.Key, 0, len(rows))}
	for _, r := range rows {
		if !known(r.Algorithm) {
			s.foreign = append(s.foreign, r.KID)
			if old == nil || !slices.Contains(old.foreign, r.KID) {
				k.cfg.Logger.Warn("a signing key is left out, as this release does not know its algorithm",
					"key", r.KID, "algorithm", r.Algorithm,
					"reason", "a newer release made it; it stays in the database, but is not published by this node")
			}
			continue
		}
		one, err := k.reuse(r, old)
		if err != nil {
			return nil, err
		}
		s.byKID[r.KID] = one
		doc.Keys = append(doc.Keys, one.jwk)
		s.algs = append(s.algs, one.Algorithm)
		if r.State == svcauth.KeyActive {
			if other := s.active[r.Algorithm]; other != nil {
				return nil, fmt.Errorf("two signing keys of %s are active, %s and %s; expected one",
					r.Algorithm, other.KID, r.KID)
			}
			s.active[r.Algorithm] = one
		}
	}
	slices.Sort(s.algs)
	s.algs = slices.Compact(s.algs)
	if len(s.active) == 0 {
		return nil, errors.New("no signing key is active; expected one")
	}
	k.choose(s, rows)
	var err error
	if s.jwks, err = json.Marshal(doc); err != nil {
		return nil, fmt.Errorf("write the key set: %w", err)
	}
	sum := sha256.Sum256(s.jwks)
	s.etag = `"` + encode(sum[:16]) + `"`
	return s, nil
}

// choose says which key signs in which algorithm.
func (k *Keyring) choose(s *set, rows []store.SigningKeyRow) {
	sorted := sort(rows, s.use)
	s.pending = k.pending(sorted)
	s.signer = s.active[sorted.standIn()]
	for i, algorithm := range algorithms {
		s.signers[i] = cmp.Or(s.active[algorithm], s.signer)
	}
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
