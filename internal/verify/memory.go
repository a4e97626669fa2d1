package verify

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// digest identifies a token, or the jti of a revoked one, in memory.
type digest [16]byte

// knownToken is a token whose signature and claims were found valid.
type knownToken struct {
	claims   *Claims
	kid, alg string
	key      crypto.PublicKey
	until    time.Time
	// cleared is 1 + the generation of the revocation set at which the token
	// was not revoked.
	cleared atomic.Uint64
}

const memoryShards = 64

// memory remembers a bounded number of verified tokens by digest. It never
// holds a token.
type memory struct {
	perShard int
	// mac is nil if the platform allows no GCM with a fixed nonce (FIPS
	// 140-only mode); then SHA-256 is used.
	mac    cipher.AEAD
	shards [memoryShards]struct {
		sync.RWMutex
		tokens map[digest]*knownToken
		_      [64]byte // keeps the locks of two shards off one cache line
	}
}

// newMemory returns a memory for that many tokens. The digest is a GMAC (NIST
// SP 800-38D) under a random key of this process, in a third of the time of
// SHA-256.
//
// GCM with a repeated nonce is broken if an attacker sees the tags of two
// messages: they reveal the key of the hash, and with it tags can be forged.
// Here nobody sees a tag. It is a key of a map in this process, is compared
// with nothing that comes from outside, and protects nothing by itself: what
// counts is only that nobody without the key can find two tokens with the same
// digest. For two tokens the chance is their length in blocks of 16 bytes in
// 2^128. With a nonce of its own for each call, the same token would get
// another digest each time.
func newMemory(tokens int) (*memory, error) {
	m := &memory{perShard: (max(tokens, 0) + memoryShards - 1) / memoryShards}
	var key [16]byte
	_, _ = rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("key for remembered tokens: %w", err)
	}
	if mac, err := cipher.NewGCM(block); err == nil {
		m.mac = mac
	}
	return m, nil
}

// scratches are shared by all memories: a process may follow many issuers.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

type scratch struct {
	text  [maxTokenSize]byte
	nonce [12]byte
	tag   [16]byte
}

func (m *memory) id(token string) digest {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	n := copy(s.text[:], token)
	if m.mac == nil {
		sum := sha256.Sum256(s.text[:n])
		clear(s.text[:n])
		return digest(sum[:16])
	}
	m.mac.Seal(s.tag[:0], s.nonce[:], nil, s.text[:n])
	clear(s.text[:n]) // a token is not left behind in a pool
	return s.tag
}

func (m *memory) find(id digest) *knownToken {
	s := &m.shards[id[0]%memoryShards]
	s.RLock()
	defer s.RUnlock()
	return s.tokens[id]
}

func (m *memory) forget(id digest) {
	s := &m.shards[id[0]%memoryShards]
	s.Lock()
	defer s.Unlock()
	delete(s.tokens, id)
}

// keep adds a token. If its shard is full, it evicts one of a few picked at
// random: an expired one, or else the one that expires first.
func (m *memory) keep(id digest, entry *knownToken, now time.Time) {
	if m.perShard == 0 {
		return
	}
	s := &m.shards[id[0]%memoryShards]
	s.Lock()
	defer s.Unlock()
	if s.tokens == nil {
		s.tokens = make(map[digest]*knownToken)
	}
	if _, known := s.tokens[id]; !known && len(s.tokens) >= m.perShard {
		var victim digest
		var first time.Time
		looked := 0
		for other, e := range s.tokens { // a map's order is random enough for this
			if first.IsZero() || e.until.Before(first) {
				victim, first = other, e.until
			}
			if looked++; looked == 8 || !now.Before(e.until) {
				break
			}
		}
		delete(s.tokens, victim)
	}
	s.tokens[id] = entry
}

// sameKey compares public keys. The usual case, the same pointer, costs
// nothing.
func sameKey(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *ecdsa.PublicKey:
		b, ok := b.(*ecdsa.PublicKey)
		return ok && (a == b || a.Equal(b))
	case *rsa.PublicKey:
		b, ok := b.(*rsa.PublicKey)
		return ok && (a == b || a.Equal(b))
	case ed25519.PublicKey:
		b, ok := b.(ed25519.PublicKey)
		return ok && bytes.Equal(a, b)
	}
	return false
}
