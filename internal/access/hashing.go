package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// argon2id with the parameters that OWASP names for 19 MiB. Parameters stand in
// each hash, so that they can rise later.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSize    = 32
	saltSize     = 16
)

// How many passwords are on their way at once, those that wait for a processor
// included; the part for networks that have sent no wrong one; how many one
// other network may have; and how long a password waits.
const (
	maxAttempts        = 320
	maxCleanAttempts   = 256
	maxNetworkAttempts = 8
	hashWait           = 10 * time.Second
)

// hashing bounds what passwords cost: at most half the processors hash them, so
// that sign-ins can't take the time and the memory of everything else. Every
// use of argon2id goes through its run.
type hashing struct {
	attempts *limits.Shares[netip.Addr]
	slots    *limits.Slots[netip.Addr]
}

func newHashing() hashing {
	slots := max(1, runtime.GOMAXPROCS(0)/2)
	return hashing{
		limits.NewShares[netip.Addr](limits.Bound{Total: maxAttempts, Each: maxNetworkAttempts, Reserved: maxCleanAttempts}),
		limits.NewSlots[netip.Addr](slots, min(1, slots-1)),
	}
}

// run hashes as soon as a slot is free, without a place among the requests in
// work: attempts bounds who waits. Those who wait come in turn by network, clean
// ones first. If right reports false, the slot rests for as long as the hash
// took: strangers get half of its time.
func (h hashing) run(ctx context.Context, network netip.Addr, clean bool, right func() bool) error {
	limits.GiveBack(ctx)
	if err := h.slots.Take(ctx, network, clean); err != nil {
		return err
	}
	began := time.Now()
	if right() {
		h.slots.Give()
	} else {
		time.AfterFunc(time.Since(began), h.slots.Give)
	}
	return nil
}

// passwordAttempt is a password on its way to be checked, or to be set. It
// counts as a wrong one until end.
type passwordAttempt struct {
	s       *Service
	counted counted
	network netip.Addr
}

// beginAttempt counts a password that came from ip for an address, and finds
// room for it, before it costs anything. If it returns no error the caller must
// call end.
func (s *Service) beginAttempt(email string, ip netip.Addr) (*passwordAttempt, error) {
	c, wait := s.attempts.begin(email, ip, s.now())
	if wait > 0 {
		return nil, tooMany(wait)
	}
	a := &passwordAttempt{s, c, limits.NetworkOf(ip)}
	if !s.hashing.attempts.Take(a.network, 1, c.clean) {
		s.attempts.end(c, false)
		return nil, busySigningIn()
	}
	return a, nil
}

// end says whether the password was wrong.
func (a *passwordAttempt) end(wrong bool) {
	a.s.hashing.attempts.Give(a.network, 1)
	a.s.attempts.end(a.counted, wrong)
}

// check reports whether the password has this hash.
func (a *passwordAttempt) check(ctx context.Context, password svcauth.Secret, stored string) (ok bool, err error) {
	err = a.run(ctx, func() bool { ok = verifyPassword(password, stored); return ok })
	return ok, err
}

// hash returns the PHC string of a password.
func (a *passwordAttempt) hash(ctx context.Context, password svcauth.Secret) (text string, err error) {
	err = a.run(ctx, func() bool { text = hashPassword(password); return true })
	return text, err
}

func (a *passwordAttempt) run(ctx context.Context, right func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	err := a.s.hashing.run(ctx, a.network, a.counted.clean, right)
	if errors.Is(err, context.DeadlineExceeded) {
		return busySigningIn()
	}
	return err
}

func busySigningIn() error {
	p := svcauth.NewProblem(svcauth.CodeUnavailable, "Too many people sign in at this moment. Try again in a few seconds.")
	p.RetryAfter = 5 * time.Second
	return p
}

func tooMany(wait time.Duration) error {
	p := svcauth.NewProblem(svcauth.CodeTooMany, "Too many wrong passwords came from your network. Wait as Retry-After says, or ask an administrator of your organization for a link to set another password.")
	p.RetryAfter = wait
	return p
}

// hashPassword returns the PHC string of a password. Only [hashing.run] may
// call it.
func hashPassword(password svcauth.Secret) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	sum := argon2.IDKey([]byte(password.Reveal()), salt, argonTime, argonMemory, argonThreads, argonSize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// verifyPassword reports whether the password has this hash. A hash that can't
// be read costs as much as one that can. Only [hashing.run] may call it.
func verifyPassword(password svcauth.Secret, stored string) bool {
	salt, want := make([]byte, saltSize), make([]byte, argonSize)
	var version int
	memory, passes, threads := uint32(argonMemory), uint32(argonTime), uint8(argonThreads)
	parts, readable := strings.Split(stored, "$"), false
	if len(parts) == 6 && parts[1] == "argon2id" {
		_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
		_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads)
		s, err3 := base64.RawStdEncoding.DecodeString(parts[4])
		w, err4 := base64.RawStdEncoding.DecodeString(parts[5])
		readable = err1 == nil && err2 == nil && err3 == nil && err4 == nil && version == argon2.Version && len(w) == argonSize &&
			memory <= 1<<20 && passes <= 16
		if readable {
			salt, want = s, w
		} else {
			memory, passes, threads = argonMemory, argonTime, argonThreads
		}
	}
	got := argon2.IDKey([]byte(password.Reveal()), salt, passes, memory, threads, argonSize)
	return subtle.ConstantTimeCompare(got, want) == 1 && readable
}
