package clientauth

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/oautherr"
)

// closeWithin bounds the last note of a process that ends.
const closeWithin = 3 * time.Second

// made returns the earliest moment at which it may have been used.
func (o Once) made() time.Time {
	if o.IssuedAt.IsZero() {
		return o.ExpiresAt.Add(-maxAhead)
	}
	return o.IssuedAt
}

// notMissing returns from when on the like of once must have been made for it
// to be sure that a use of it is known. A restored database has no use of what
// was made by a clock that was ahead, either.
func (u *Uses) notMissing(o Once) (from time.Time) {
	if restored := u.bounded(u.gaps.Restored); !restored.IsZero() {
		from = restored.Add(assertionSkew)
	}
	crashed := u.bounded(u.gaps.Crashed)
	if u.gaps.Found {
		crashed = u.start()
	}
	if o.short() && crashed.After(from) {
		from = crashed
	}
	return from
}

// clockStep is by how much the clock must have been set back to be noticed.
const clockStep = 5 * time.Second

// start returns when this process began, by the clock as it is now.
func (u *Uses) start() time.Time {
	return u.cfg.Clock().Add(-time.Since(u.began)) // the latter is not by the clock
}

// bounded returns until when a gap lasts by the clock as it is now. All of it
// was before this process began: if it seems to be later, it was noted while
// the clock was ahead, as one is after a loss of power.
func (u *Uses) bounded(gap time.Time) time.Time {
	if began := u.start(); gap.Sub(began) > clockStep {
		return began
	}
	return gap
}

// correct notes anew when this process began after a crash, if the clock was
// behind then: the process after it knows that from the database alone.
func (u *Uses) correct(ctx context.Context) {
	began := u.start()
	if !u.gaps.Found || began.Sub(u.noted) <= clockStep {
		return
	}
	if err := u.cfg.Store.NoteCrash(ctx, began); err != nil {
		u.cfg.Logger.Warn("the clock was behind when the server began after a crash, which could not be noted",
			"error", err)
		return
	}
	u.noted = began
}

// mayBeUsed refuses what may have been used before this process began, the
// database was restored or, while that is away, Redis remembers. That is nothing
// that the client has done wrong, so it is told to try again, which libraries do
// with a new assertion.
func (u *Uses) mayBeUsed(o Once, from time.Time) *oautherr.Error {
	text := "the server began anew, was restored or has lost what it remembered after the assertion was made (iat), " +
		"and can't know whether it was used before: make a new assertion"
	if o.IssuedAt.IsZero() {
		text += ", with an iat"
	}
	e := oautherr.New(oautherr.CodeUnavailable, "assertion_before_start", "%s", text)
	e.RetryAfter = max(time.Second, from.Sub(u.cfg.Clock()))
	return e
}

// begin lets uses be written later, once a process after this one would learn
// that some may be missing.
func (u *Uses) begin(ctx context.Context) {
	u.mu.Lock()
	open := u.open
	u.mu.Unlock()
	if open || ctx.Err() != nil {
		return
	}
	if err := u.cfg.Store.OpenUses(ctx, u.cfg.Clock()); err != nil {
		u.cfg.Logger.Warn("used assertions are written at once, since it can't be noted that they are not",
			"error", err)
		return
	}
	u.mu.Lock()
	u.open = true
	u.mu.Unlock()
}

// end tells the process after this one that none is missing, if so.
func (u *Uses) end(ctx context.Context) {
	u.mu.Lock()
	all := u.open && len(u.unwritten) == 0
	u.open = false
	u.mu.Unlock()
	if !all {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	if err := u.cfg.Store.CloseUses(ctx); err != nil {
		u.cfg.Logger.Warn("it could not be noted that all used assertions are written; the next start asks for "+
			"new ones", "error", err)
	}
}
