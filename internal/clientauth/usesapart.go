package clientauth

import (
	"context"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
)

// apart is what nodes tell each other through the database of uses that Redis
// lacks: whoever does not reach it can't say so there.
type apart struct {
	noted time.Time // when this node has done so last
	read  time.Time // the last note of any node, by its clock
}

// noteUnshared notes that uses will be recorded of which Redis does not know,
// before they are, once for all of a second. One call is at work at a time.
func (u *Uses) noteUnshared(ctx context.Context, uses []*cache.SharedUse) error {
	lacks := slices.ContainsFunc(uses, func(use *cache.SharedUse) bool { return use.Err != nil })
	if !lacks || !u.apart.noted.IsZero() && time.Since(u.apart.noted) < writeUsesEvery {
		return nil
	}
	began := time.Now()
	if err := u.cfg.Store.NoteUnshared(ctx, u.cfg.Clock()); err != nil {
		return err
	}
	u.apart.noted = began
	return nil
}

// readUnshared tells Redis what a node has noted that does not reach it. What
// that one records after the last note that was read is covered by how much
// clocks may differ ([cache.ClocksDiffer]).
func (u *Uses) readUnshared(ctx context.Context) {
	if !u.cfg.Cache.Shared() {
		return
	}
	noted, err := u.cfg.Store.Read().Unshared(ctx)
	if err != nil || noted.Equal(u.apart.read) {
		return // without the database no such use is recorded
	}
	u.apart.read = noted
	u.cfg.Cache.Lacks()
}
