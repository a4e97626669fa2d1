package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// What [Keyring.Open] can fail with, for errors.Is.
var (
	ErrOtherMasterKey = errors.New("sealed under another master key")
	ErrDamaged        = errors.New("damaged, or sealed under another name")
)

// A sealed blob: version, id of the master key, nonce, ciphertext with tag.
const (
	sealVersion   = 1
	masterKeySize = 32
	masterIDSize  = 8
	nonceSize     = 12
	sealHeader    = 1 + masterIDSize + nonceSize
)

// master is one master key, ready to seal. Only what is derived from it is
// kept.
type master struct {
	id   [masterIDSize]byte // names the key, says nothing about it
	aead cipher.AEAD
}

func newMaster(key []byte) (*master, error) {
	if len(key) != masterKeySize {
		return nil, fmt.Errorf("it has %d bytes, expected %d random ones", len(key), masterKeySize)
	}
	sealing, err := hkdf.Key(sha256.New, key, nil, "svcauth sealing key v1", 32)
	if err != nil {
		return nil, err
	}
	defer clear(sealing)
	id, err := hkdf.Key(sha256.New, key, nil, "svcauth master key id v1", masterIDSize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &master{id: [masterIDSize]byte(id), aead: aead}, nil
}

// Seal encrypts plain under the master key, bound to the name: it can only be
// opened with the same name. It is for small things of this server that rest
// elsewhere. Unlike the keys themselves they are not sealed anew when the
// master key changes.
func (k *Keyring) Seal(name string, plain []byte) []byte {
	sealed := make([]byte, sealHeader, sealHeader+len(plain)+k.master.aead.Overhead())
	sealed[0] = sealVersion
	copy(sealed[1:], k.master.id[:])
	nonce := sealed[1+masterIDSize : sealHeader]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return k.master.aead.Seal(sealed, nonce, plain, []byte(name))
}

// Open decrypts what [Keyring.Seal] made under this name, with the current or
// the previous master key. The error is [ErrOtherMasterKey] if neither sealed
// it, and [ErrDamaged] if it was changed or sealed under another name.
func (k *Keyring) Open(name string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHeader || sealed[0] != sealVersion {
		return nil, ErrDamaged
	}
	id := sealed[1 : 1+masterIDSize]
	for _, m := range []*master{k.master, k.previous} {
		if m == nil || !bytes.Equal(id, m.id[:]) {
			continue
		}
		plain, err := m.aead.Open(nil, sealed[1+masterIDSize:sealHeader], sealed[sealHeader:], []byte(name))
		if err != nil {
			return nil, ErrDamaged
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w (its id is %x; the configured one's is %x)", ErrOtherMasterKey, id, k.master.id)
}

// stale reports whether what this node can open should be sealed anew under the
// current master key.
func (k *Keyring) stale(sealed []byte) bool {
	return len(sealed) >= sealHeader && !bytes.Equal(sealed[1:1+masterIDSize], k.master.id[:])
}

// explain turns an error of Open into the sentence that an operator needs.
func explain(what string, err error) error {
	if errors.Is(err, ErrOtherMasterKey) {
		return fmt.Errorf("%s can't be opened: %w; configure the master key that belongs to this database "+
			"(master_key_file or master_key), and while you change it, the other one as master_key_previous_file",
			what, err)
	}
	return fmt.Errorf("%s can't be opened although the master key is the right one: %w; "+
		"restore that row from a backup", what, err)
}
