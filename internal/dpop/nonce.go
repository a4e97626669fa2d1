package dpop

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"sync/atomic"
	"time"
)

// Mode says what is asked for of nonces (RFC 9449 §8 and §9).
type Mode string

// The modes of nonces.
const (
	// NonceOff gives no nonce and looks at none: the clocks must agree.
	NonceOff Mode = "off"
	// NonceOptional gives nonces and demands none, but from a client whose
	// clock is wrong.
	NonceOptional Mode = "optional"
	// NonceRequired demands a nonce in each proof, so that none can be made in
	// advance by whoever had the key for a moment.
	NonceRequired Mode = "required"
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{NonceOff, NonceOptional, NonceRequired} }

const (
	// step is for how long the same nonce is given out, and oldSteps for how
	// many more it is taken. A nonce of the next step is taken, too: another
	// node's clock may be ahead.
	step     = 10 * time.Second
	oldSteps = 6
	// renewAfter is after how many steps of its nonce a client is given a new
	// one beside the answer, so that it need not be asked for.
	renewAfter = 2
)

// Nonces gives nonces and knows them again. They are derived from a key and the
// time, so that nodes with the same key know each other's, and nothing is
// remembered. It is safe for concurrent use.
type Nonces struct {
	key     func() []byte
	clock   func() time.Time
	current atomic.Pointer[nonceSet]
}

// nonceSet is the nonces that are taken in one step, from the next step's to
// the oldest.
type nonceSet struct {
	step int64
	all  [oldSteps + 2]string
}

// NewNonces returns nonces by a key, which must be secret and is asked for when
// it is needed.
func NewNonces(key func() []byte, clock func() time.Time) *Nonces {
	return &Nonces{key: key, clock: clock}
}

// Newest returns the nonce that is given out now.
func (n *Nonces) Newest() string { return n.now().all[1] }

func (n *Nonces) now() *nonceSet {
	at := n.clock().Unix() / int64(step/time.Second)
	if set := n.current.Load(); set != nil && set.step == at {
		return set
	}
	set, key := &nonceSet{step: at}, n.key()
	for i := range set.all {
		set.all[i] = nonceOf(key, at+1-int64(i))
	}
	n.current.Store(set)
	return set
}

func nonceOf(key []byte, step int64) string {
	raw, err := hkdf.Key(sha256.New, key, nil, "svcauth dpop nonce v1 "+strconv.FormatInt(step, 10), 16)
	if err != nil {
		panic("dpop: " + err.Error()) // only for a length that is too long
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// given returns the moment before which nobody can have had a nonce, and
// whether it is time for a new one. It reports false if the nonce is none of
// these, or too old.
func (n *Nonces) given(nonce string) (since time.Time, renew, ok bool) {
	set := n.now()
	for i, one := range set.all {
		if subtle.ConstantTimeCompare([]byte(one), []byte(nonce)) == 1 {
			began := (set.step + 1 - int64(i)) * int64(step/time.Second)
			return time.Unix(began, 0).Add(-step), i > renewAfter, true // a node ahead gave it a step earlier
		}
	}
	return time.Time{}, false, false
}
