package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// argon2id with the parameters that OWASP names for 19 MiB. Parameters stand in each hash, so that they can rise later.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSize    = 32
	saltSize     = 16

	minPassword = 15 // NIST SP 800-63B-4 §3.1.1.2: where the password is the only factor
	maxPassword = 128
)

// hashing bounds how many passwords are hashed at once, and how many strangers' wait for it, so that sign-ins can't take the memory and
// the time of everything else.
type hashing struct{ running, waiting chan struct{} }

const maxWaiting = 64

func newHashing() hashing {
	return hashing{make(chan struct{}, max(1, runtime.GOMAXPROCS(0))), make(chan struct{}, maxWaiting)}
}

func (h hashing) key(password, salt []byte, memory, time uint32, threads uint8, size uint32) []byte {
	h.running <- struct{}{}
	defer func() { <-h.running }()
	return argon2.IDKey(password, salt, time, memory, threads, size)
}

// check is verify for a stranger's password: too many at once are sent away.
func (h hashing) check(ctx context.Context, password svcauth.Secret, stored string) (bool, error) {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		p := svcauth.NewProblem(svcauth.CodeUnavailable, "Too many people sign in at this moment. Try again in a few seconds.")
		p.RetryAfter = 5 * time.Second
		return false, p
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return h.verify(password, stored), nil
}

// hash gives the PHC string of a password.
func (h hashing) hash(password svcauth.Secret) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	sum := h.key([]byte(password.Reveal()), salt, argonMemory, argonTime, argonThreads, argonSize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// verify says whether the password has this hash. A hash that can't be read costs as much as one that can.
func (h hashing) verify(password svcauth.Secret, stored string) bool {
	salt, want := make([]byte, saltSize), make([]byte, argonSize)
	var version int
	memory, passes, threads := uint32(argonMemory), uint32(argonTime), uint8(argonThreads)
	parts, readable := strings.Split(stored, "$"), false
	if len(parts) == 6 && parts[1] == "argon2id" {
		_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
		_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads)
		s, err3 := base64.RawStdEncoding.DecodeString(parts[4])
		w, err4 := base64.RawStdEncoding.DecodeString(parts[5])
		readable = err1 == nil && err2 == nil && err3 == nil && err4 == nil && version == argon2.Version && len(w) == argonSize && memory <= 1<<20 && passes <= 16
		if readable {
			salt, want = s, w
		} else {
			memory, passes, threads = argonMemory, argonTime, argonThreads
		}
	}
	got := h.key([]byte(password.Reveal()), salt, memory, passes, threads, argonSize)
	return subtle.ConstantTimeCompare(got, want) == 1 && readable
}

// validPassword is the policy: long enough, not a known one, not made of what everybody knows about its owner.
func (s *Service) validPassword(at string, password svcauth.Secret, context ...string) error {
	text := password.Reveal()
	if n := utf8.RuneCountInString(text); n < minPassword || n > maxPassword || !utf8.ValidString(text) {
		return svcauth.InvalidField(at, "A password has %d to %d characters; a sentence of several words is a good one.", minPassword, maxPassword)
	}
	lower := strings.ToLower(text)
	if s.blocked[lower] || predictable(lower) {
		return svcauth.InvalidField(at, "This password is on the list of those that attackers try first. Choose another one.")
	}
	for _, word := range append(context, "svcauth") {
		local, _, _ := strings.Cut(word, "@")
		for _, word := range []string{strings.ToLower(word), strings.ToLower(local)} {
			if len(word) >= 4 && strings.Contains(lower, word) && littleElse(strings.ReplaceAll(lower, word, "")) {
				return svcauth.InvalidField(at, "This password is little more than a name or address that everybody knows. Choose another one.")
			}
		}
	}
	return nil
}

// littleElse says whether what is left of a password without a name is too little to guess.
func littleElse(rest string) bool {
	return len(rest) < 8 || strings.IndexFunc(rest, unicode.IsLetter) < 0 || predictable(rest)
}

// newPassword makes one that nobody has to remember: 120 random bits.
func newPassword() svcauth.Secret {
	raw := make([]byte, 15)
	_, _ = rand.Read(raw)
	return svcauth.Secret(base64.RawURLEncoding.EncodeToString(raw))
}
