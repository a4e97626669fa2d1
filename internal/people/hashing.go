package people

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/passwords"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// How many passwords are on their way at once, those that wait for a processor
// included; the part for networks that have sent no wrong one; how many one
// other network may have; how long a password waits; how long its hash takes
// before the process is taken to hang; and how long a wrong one rests the slot
// at most.
//
// The process gives way to everything else: when four others of ordinary
// priority wanted two processors, one hash took up to 23 s. A hash that hangs
// holds one slot.
const (
	maxAttempts        = 320
	maxCleanAttempts   = 256
	maxNetworkAttempts = 8
	hashWait           = 10 * time.Second
	hashLimit          = 30 * time.Second
	maxHashRest        = 5 * time.Second
)

// hashing bounds what passwords cost: at most half the processors hash them, so
// that sign-ins can't take the time and the memory of everything else. Every
// use of hasher goes through its run.
type hashing struct {
	hasher   *passwords.Hasher
	attempts *limits.Shares[netip.Addr]
	slots    *limits.Slots[netip.Addr]
}

// maxHashes is how many passwords are hashed at once.
func maxHashes() int { return max(1, runtime.GOMAXPROCS(0)/2) }

func newHashing(command []string, logger *slog.Logger) hashing {
	return hashing{
		passwords.New(command, maxHashes(), hashLimit, logger),
		limits.NewShares[netip.Addr](
			limits.Bound{Total: maxAttempts, Each: maxNetworkAttempts, Reserved: maxCleanAttempts},
		),
		limits.NewSlots[netip.Addr](maxHashes(), min(1, maxHashes()-1)),
	}
}

// run hashes as soon as a slot is free, without a place among the requests in
// work: attempts bounds who waits. Those who wait come in turn by network,
// clean ones first. If right reports false, the slot rests for as long as the
// hash took, or maxHashRest: strangers get half of its time.
func (h hashing) run(ctx context.Context, network netip.Addr, clean bool, right func() bool) error {
	limits.Release(ctx)
	if err := h.slots.Take(ctx, network, clean); err != nil {
		return err
	}
	began := time.Now()
	if right() {
		h.slots.Give()
	} else {
		time.AfterFunc(min(time.Since(began), maxHashRest), h.slots.Give)
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

// end ends the attempt and records if the password was wrong.
func (a *passwordAttempt) end(wrong bool) {
	a.s.hashing.attempts.Give(a.network, 1)
	a.s.attempts.end(a.counted, wrong)
}

// check reports whether the password has this hash.
func (a *passwordAttempt) check(ctx context.Context, password svcauth.Secret, stored string) (ok bool, err error) {
	err = a.run(ctx, func() bool { ok = a.s.hashing.hasher.Verify(password, stored); return ok })
	return ok, err
}

// hash returns the PHC string of a password.
func (a *passwordAttempt) hash(ctx context.Context, password svcauth.Secret) (text string, err error) {
	err = a.run(ctx, func() bool { text = a.s.hashing.hasher.Hash(password); return true })
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
	p := svcauth.NewProblem(
		svcauth.CodeUnavailable,
		"Too many people sign in at this moment. Try again in a few seconds.",
	)
	p.RetryAfter = 5 * time.Second
	return p
}

func tooMany(wait time.Duration) error {
	p := svcauth.NewProblem(
		svcauth.CodeTooMany,
		"Too many wrong passwords came from your network. Wait as Retry-After says, or ask an "+
			"administrator of your organization for a link to set another password.",
	)
	p.RetryAfter = wait
	return p
}
