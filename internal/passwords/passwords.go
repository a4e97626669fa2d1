// Package passwords hashes passwords with argon2id, in a process of its own.
//
// It owns: the parameters, the form of the stored hash, and the process that
// computes it. A hash takes some 30 ms of a processor and 19 MiB; in the
// server's own process each would hold up the tokens of that moment and its
// garbage collector. The operating system knows how to put such work behind
// everything else: in a process of the lowest priority. It refuses to know how
// many passwords may be hashed at once, or for whom.
//
// The form of the hash is ours because alexedwards/argon2id 1.0.0 sets no
// limits to the parameters that a stored hash asks for, so a hostile row could
// ask for terabytes; it compares where it computes, so the other process would
// answer "right" where this one only returns a sum; and it returns at once for
// a hash that it can't read, where ours takes as long as for any other.
package passwords

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// argon2id with the parameters that OWASP names for 19 MiB. Parameters stand in
// each hash, so that they can rise later; no stored one may ask for more than
// the most.
const (
	memoryKiB  = 19 << 10
	passes     = 2
	sumSize    = 32
	saltSize   = 16
	mostKiB    = 1 << 20
	mostPasses = 16
)

// Hasher hashes passwords. It is safe for concurrent use; whoever calls it
// bounds how many do so at once.
type Hasher struct {
	workers *workers // nil: this process hashes
}

// New returns a Hasher. command is the program that calls [Work], with its
// arguments; at most atOnce of it run at once, each from the first password
// that needs it until Close, or until it takes longer than limit. Without a
// command this process hashes, as it does if the command can't be started, dies
// or takes too long; logger hears of that.
func New(command []string, atOnce int, limit time.Duration, logger *slog.Logger) *Hasher {
	if len(command) == 0 {
		return &Hasher{}
	}
	return &Hasher{newWorkers(command, atOnce, limit, logger)}
}

// Close ends the processes. It returns no error.
func (h *Hasher) Close() error {
	if h.workers != nil {
		h.workers.close()
	}
	return nil
}

// Hash returns the PHC string of a password, with a salt of its own.
func (h *Hasher) Hash(password svcauth.Secret) string {
	j := job{
		Password: []byte(password.Reveal()),
		Salt:     make([]byte, saltSize),
		Passes:   passes,
		KiB:      memoryKiB,
		Threads:  1,
	}
	_, _ = rand.Read(j.Salt)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, j.KiB, j.Passes, j.Threads,
		base64.RawStdEncoding.EncodeToString(j.Salt), base64.RawStdEncoding.EncodeToString(h.sum(j)))
}

// Verify reports whether the password has the hash that Hash returned. One
// that can't be read costs as much as one that can.
func (h *Hasher) Verify(password svcauth.Secret, stored string) bool {
	j, want, readable := parse(stored)
	if !readable {
		j, want = job{Salt: make([]byte, saltSize), Passes: passes, KiB: memoryKiB, Threads: 1}, make([]byte, sumSize)
	}
	j.Password = []byte(password.Reveal())
	return subtle.ConstantTimeCompare(h.sum(j), want) == 1 && readable
}

// parse reads a PHC string.
func parse(stored string) (j job, sum []byte, ok bool) {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return job{}, nil, false
	}
	var version int
	_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
	_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &j.KiB, &j.Passes, &j.Threads)
	salt, err3 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err4 := base64.RawStdEncoding.DecodeString(parts[5])
	j.Salt = salt
	ok = err1 == nil && err2 == nil && err3 == nil && err4 == nil && version == argon2.Version && len(sum) == sumSize &&
		j.KiB <= mostKiB && 1 <= j.Passes && j.Passes <= mostPasses && j.Threads >= 1
	return j, sum, ok
}

// job is one password to hash.
type job struct {
	Password, Salt []byte
	Passes, KiB    uint32
	Threads        uint8
}

func (j job) run() []byte {
	return argon2.IDKey(j.Password, j.Salt, j.Passes, j.KiB, j.Threads, sumSize)
}

func (h *Hasher) sum(j job) []byte {
	if h.workers != nil {
		if sum, ok := h.workers.run(j); ok {
			return sum
		}
	}
	return j.run()
}
