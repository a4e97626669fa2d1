package keyring

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// schemeHMAC begins what [Keyring.HashSecret] returns, as the name of the
// scheme begins every hash of a password (bcrypt's, argon2's): "$", name, "$",
// hash.
const schemeHMAC = "$hmac-sha256-v1$"

const (
	dataKeySecretHash = "secret-hash"
	dataKeySize       = 32
)

// macs computes HMAC-SHA-256 under one key with memory that is used again.
type macs struct {
	pool   sync.Pool
	shared []byte // what SharedKey returns
}

type mac struct {
	hash  hash.Hash
	input []byte
	sum   [sha256.Size]byte
}

// newMACs copies the key.
func newMACs(dataKey []byte) *macs {
	own := append([]byte(nil), dataKey...)
	shared, err := hkdf.Key(sha256.New, own, nil, "svcauth memory shared by nodes v1", sha256.Size)
	if err != nil {
		panic("keyring: " + err.Error()) // only for a key that is too long
	}
	return &macs{shared: shared, pool: sync.Pool{New: func() any {
		return &mac{hash: hmac.New(sha256.New, own), input: make([]byte, 0, 64)}
	}}}
}

// of computes the HMAC of a secret. The caller must hand it to done.
func (m *macs) of(s svcauth.Secret) *mac {
	one := m.pool.Get().(*mac)
	one.hash.Reset()
	one.input = append(one.input[:0], s...)
	one.hash.Write(one.input)
	one.hash.Sum(one.sum[:0])
	return one
}

func (m *macs) done(one *mac) {
	clear(one.input)
	clear(one.sum[:])
	m.pool.Put(one)
}

// SharedKey returns a key that every node of this database has, whatever its
// master key, and nobody else; nil before [Keyring.Load]. By it nodes know each
// other's words in memory that others can write.
func (k *Keyring) SharedKey() []byte {
	if m := k.macs.Load(); m != nil {
		return m.shared
	}
	return nil
}

// SecretScheme returns what [Keyring.HashSecret] begins its hashes with, which
// tells them from those that others made: "$", the scheme's name, "$".
func (k *Keyring) SecretScheme() string { return schemeHMAC }

// HashSecret returns what is stored of a secret: [Keyring.SecretScheme], then
// its HMAC-SHA-256 under a key of this database, in hexadecimal digits. A
// secret of 256 random bits requires no slow hash, and without the key a stolen
// hash can't even be tried. Before [Keyring.Load] it returns the empty string,
// which is stored of no secret.
func (k *Keyring) HashSecret(s svcauth.Secret) string {
	m := k.macs.Load()
	if m == nil {
		return ""
	}
	one := m.of(s)
	defer m.done(one)
	text := make([]byte, 0, len(schemeHMAC)+2*sha256.Size)
	return string(hex.AppendEncode(append(text, schemeHMAC...), one.sum[:]))
}
