package store

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// The causes for which uses may be missing.
const (
	gapOpen     = "open"
	gapCrashed  = "crashed"
	gapRestored = "restored"
	gapUnshared = "unshared"
)

// UseGaps says which uses of assertions the database may not have: of those
// that [Store.SaveUses] writes some that were made before Crashed, and of all
// kinds those that were made before Restored. Zero: none is missing. Found says
// that Crashed is when this process began.
type UseGaps struct {
	Crashed, Restored time.Time
	Found             bool
}

// UseGaps returns where uses may be missing, for a process that begins now. If
// one that has called [Store.OpenUses] has not called [Store.CloseUses], that
// is up to now.
func (s *Store) UseGaps(ctx context.Context, now time.Time) (gaps UseGaps, err error) {
	err = s.WriteAside(ctx, func(q *Q) error {
		open, err := q.gapAt(ctx, gapOpen)
		if gaps.Found = err == nil && !open.IsZero(); gaps.Found {
			if err = q.putGap(ctx, gapCrashed, now); err == nil {
				err = q.closeGap(ctx) // what this process leaves open it notes itself
			}
		}
		if err == nil {
			gaps.Crashed, err = q.gapAt(ctx, gapCrashed)
		}
		if err == nil {
			gaps.Restored, err = q.gapAt(ctx, gapRestored)
		}
		return err
	})
	return gaps, err
}

// OpenUses notes that a process leaves uses to [Store.SaveUses] from now on.
func (s *Store) OpenUses(ctx context.Context, now time.Time) error {
	return s.WriteAside(ctx, func(q *Q) error { return q.putGap(ctx, gapOpen, now) })
}

// CloseUses notes that it has saved all of them.
func (s *Store) CloseUses(ctx context.Context) error {
	return s.WriteAside(ctx, func(q *Q) error { return q.closeGap(ctx) })
}

func (q *Q) closeGap(ctx context.Context) error {
	_, err := q.exec(ctx, `DELETE FROM assertion_gap WHERE cause = $1`, gapOpen)
	return err
}

// NoteCrash notes anew when a process began that was told of a crash.
func (s *Store) NoteCrash(ctx context.Context, began time.Time) error {
	return s.WriteAside(ctx, func(q *Q) error { return q.putGap(ctx, gapCrashed, began) })
}

// NoteRestore notes that the database has no uses from before a moment, since
// it was filled from a backup.
func (q *Q) NoteRestore(ctx context.Context, now time.Time) error {
	return q.putGap(ctx, gapRestored, now)
}

// NoteUnshared notes that a node records uses of which Redis does not know.
func (s *Store) NoteUnshared(ctx context.Context, now time.Time) error {
	return s.writeOne(limits.Own(ctx), func(q *Q) error { return q.putGap(ctx, gapUnshared, now) })
}

// Unshared returns when a node has last noted that, by its clock. It is zero if
// none has.
func (q *Q) Unshared(ctx context.Context) (time.Time, error) { return q.gapAt(ctx, gapUnshared) }

func (q *Q) putGap(ctx context.Context, cause string, at time.Time) error {
	_, err := q.exec(ctx, `INSERT INTO assertion_gap (cause, at_ms) VALUES ($1, $2)
		ON CONFLICT (cause) DO UPDATE SET at_ms = excluded.at_ms`, cause, at.UnixMilli())
	return err
}

func (q *Q) gapAt(ctx context.Context, cause string) (at time.Time, err error) {
	ms, err := count(ctx, q, `SELECT COALESCE(MAX(at_ms), 0) FROM assertion_gap WHERE cause = $1`, cause)
	if ms > 0 {
		at = time.UnixMilli(ms)
	}
	return at, err
}
