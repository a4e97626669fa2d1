package jwk

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
)

const (
	// MaxSetSize bounds a key set, in bytes.
	MaxSetSize = 1 << 20
	// MaxKidSize bounds the id of a key, in bytes.
	MaxKidSize = 256
)

// Set is the usable keys of a key set. It is immutable.
type Set struct {
	byKID map[string]usable
}

type usable struct {
	alg string
	key crypto.PublicKey
}

// Find returns the key with that id and its algorithm. If kid is empty and
// there is only one key, it returns that one. A nil Set has no keys.
func (s *Set) Find(kid string) (alg string, key crypto.PublicKey, ok bool) {
	if s == nil {
		return "", nil, false
	}
	if kid == "" && len(s.byKID) == 1 {
		for _, k := range s.byKID {
			return k.alg, k.key, true
		}
	}
	k, ok := s.byKID[kid]
	return k.alg, k.key, ok
}

// ParseSet reads a key set with at most most keys. It skips keys that
// [Key.Public] refuses (RFC 7517 §5), and the second one of two with the same
// id. A set without a usable key is an error, so that a broken answer doesn't
// replace a good one.
func ParseSet(body []byte, most int) (*Set, error) {
	keys, err := members(body, most)
	if err != nil {
		return nil, err
	}
	set := &Set{byKID: make(map[string]usable, len(keys))}
	var last error
	for _, raw := range keys {
		var k Key
		if err := json.Unmarshal(raw, &k); err != nil {
			last = err
			continue
		}
		alg, key, err := k.Public()
		if err != nil {
			last = err
			continue
		}
		if _, twice := set.byKID[k.Kid]; !twice && len(k.Kid) <= MaxKidSize {
			set.byKID[k.Kid] = usable{alg, key}
		}
	}
	if len(set.byKID) == 0 {
		return nil, errors.Join(
			errors.New("the JWKS has no usable key: expected one of P-256 (ES256), RSA of "+
				"2048 bits or more (RS256) or Ed25519 (EdDSA)"),
			last,
		)
	}
	return set, nil
}

// members returns the keys of a set, which has at most most.
func members(body []byte, most int) ([]json.RawMessage, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("not a JWKS (RFC 7517 §5): %w", err)
	}
	if len(doc.Keys) > most {
		return nil, fmt.Errorf("the JWKS has %d keys, expected at most %d", len(doc.Keys), most)
	}
	return doc.Keys, nil
}
