package store

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A serving node says at least every [RecorderSays] how far its records of live
// tokens are in Redis. One that is behind by more than [RecorderLag], or was
// not heard of for recorderGone, may have issued tokens that are on no record.
// So it is until the last of them has expired, by whichever clock.
const (
	RecorderSays = 5 * time.Second
	RecorderLag  = 2 * time.Second
	recorderGone = 3 * RecorderSays
	recorderKept = svcauth.MaxTokenTTLSeconds*time.Second + recorderGone + verify.ClockDifference
)

// SayRecorded writes that a node is alive now and has on record all tokens that
// it issued until the given moment.
func (s *Store) SayRecorded(ctx context.Context, node string, now, until time.Time) error {
	return s.WriteAside(ctx, func(q *Q) error {
		_, err := q.exec(ctx, `INSERT INTO recorder (node, seen_at_ms, recorded_until_ms) VALUES ($1, $2, $3)
			ON CONFLICT (node) DO UPDATE
			SET seen_at_ms = excluded.seen_at_ms, recorded_until_ms = excluded.recorded_until_ms`,
			node, now.UnixMilli(), until.UnixMilli())
		return err
	})
}

// EndRecorder writes that a node has ended and left nothing unrecorded.
func (s *Store) EndRecorder(ctx context.Context, node string) error {
	return s.WriteAside(ctx, func(q *Q) error {
		_, err := q.exec(ctx, `DELETE FROM recorder WHERE node = $1`, node)
		return err
	})
}

// Unrecorded returns until when tokens may have been issued without a record
// that may still live. It returns the zero time if there are none.
//
// What a node has said bears the time of its own clock. now is another's, and a
// client may have been made by a third: the result is that of the clock which
// is ahead most. Of a node that said something in what is the future here,
// nobody can tell when it was last heard of. It counts as gone, until the
// clocks agree.
func (q *Q) Unrecorded(ctx context.Context, now time.Time) (time.Time, error) {
	seen, err := count(ctx, q, `SELECT COALESCE(MAX(seen_at_ms), 0) FROM recorder
		WHERE seen_at_ms > $1 AND (seen_at_ms < $2 OR seen_at_ms > $3 OR recorded_until_ms < seen_at_ms - $4)`,
		now.Add(-recorderKept).UnixMilli(), now.Add(-recorderGone).UnixMilli(), now.Add(recorderGone).UnixMilli(),
		RecorderLag.Milliseconds())
	if err != nil || seen == 0 {
		return time.Time{}, err
	}
	return at(seen).Add(recorderGone + verify.ClockDifference), nil
}
