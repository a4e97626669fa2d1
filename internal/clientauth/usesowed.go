package clientauth

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
)

// passByRedis lets pass, while the database is away, what Redis has said to be
// the first, of what it surely remembers.
func (u *Uses) passByRedis(ctx context.Context, uses iter.Seq[*use]) {
	since, err := u.cfg.Cache.RemembersSince(ctx)
	if err != nil {
		return
	}
	from := since.Add(assertionSkew + cache.ClocksDiffer)
	for w := range uses {
		switch {
		case !w.short || w.Err != nil:
		case w.once.made().Before(from):
			w.err = u.mayBeUsed(w.once, from)
		default:
			w.err = nil
			u.owe(w)
		}
	}
}

// owe notes a use that passed by Redis alone, for the database: Redis may have
// forgotten it by the time at which the database is back. If they are too many
// it is Redis's alone.
func (u *Uses) owe(w *use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if row := w.row(); len(u.owed) < maxUnwritten {
		u.owed[row.ID] = row
	}
}

// writeOwed writes what the database has missed, without what is over.
func (u *Uses) writeOwed(ctx context.Context) {
	u.mu.Lock()
	now := u.cfg.Clock()
	maps.DeleteFunc(u.owed, func(_ string, use store.AssertionUse) bool { return !use.Until.After(now) })
	owed := slices.Collect(maps.Values(u.owed))
	u.mu.Unlock()
	for part := range slices.Chunk(owed, store.MaxAssertionUses) {
		if _, err := u.cfg.Store.UseAssertions(ctx, part, now); err != nil {
			return // they are tried again soon, and the log says that the database is away
		}
		u.mu.Lock()
		for _, use := range part {
			delete(u.owed, use.ID)
		}
		u.mu.Unlock()
	}
}
