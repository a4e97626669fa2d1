package store

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A serving node says at least every [RecorderSays] how far its records of live
// tokens are in Redis. One that is behind by more than [RecorderLag], or was
// not heard of for recorderGone, may have issued tokens that are on no record.
// So it is until the last of them has expired.
const (
	RecorderSays = 5 * time.Second
	RecorderLag  = 2 * time.Second
	recorderGone = 3 * RecorderSays
	recorderKept = svcauth.MaxTokenTTLSeconds*time.Second + recorderGone
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
func (q *Q) Unrecorded(ctx context.Context, now time.Time) (time.Time, error) {
	seen, err := count(ctx, q, `SELECT COALESCE(MAX(seen_at_ms), 0) FROM recorder
		WHERE seen_at_ms > $1 AND (seen_at_ms < $2 OR recorded_until_ms < seen_at_ms - $3)`,
		now.Add(-recorderKept).UnixMilli(), now.Add(-recorderGone).UnixMilli(), RecorderLag.Milliseconds())
	if err != nil || seen == 0 {
		return time.Time{}, err
	}
	return at(seen).Add(recorderGone), nil
}
