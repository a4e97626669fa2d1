package store

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A node that serves says at least every [RecorderSays] how far its records of
// live tokens are in Redis. One that is behind by more than [RecorderLag], or
// that has not been heard of for recorderGone, may have issued tokens that are on
// no record: then, and until the last of them has expired.
const (
	RecorderSays = 5 * time.Second
	RecorderLag  = 2 * time.Second
	recorderGone = 3 * RecorderSays
	recorderKept = svcauth.MaxTokenTTLSeconds*time.Second + recorderGone
)

// SayRecorded notes that a node lives now and has on record all that it had
// issued until some moment.
func (s *Store) SayRecorded(ctx context.Context, node string, now, until time.Time) error {
	return s.WriteAside(ctx, func(q *Q) error {
		_, err := q.exec(ctx, `INSERT INTO recorder (node, seen_at_ms, recorded_until_ms) VALUES ($1, $2, $3)
			ON CONFLICT (node) DO UPDATE SET seen_at_ms = excluded.seen_at_ms, recorded_until_ms = excluded.recorded_until_ms`, node, now.UnixMilli(), until.UnixMilli())
		return err
	})
}

// EndRecorder notes that a node has ended and left nothing unrecorded.
func (s *Store) EndRecorder(ctx context.Context, node string) error {
	return s.WriteAside(ctx, func(q *Q) error {
		_, err := q.exec(ctx, `DELETE FROM recorder WHERE node = $1`, node)
		return err
	})
}

// Unrecorded returns until when tokens that may still live were issued without a
// record, or may have been. The zero time says that there are none.
func (q *Q) Unrecorded(ctx context.Context, now time.Time) (time.Time, error) {
	seen, err := count(ctx, q, `SELECT COALESCE(MAX(seen_at_ms), 0) FROM recorder
		WHERE seen_at_ms > $1 AND (seen_at_ms < $2 OR recorded_until_ms < seen_at_ms - $3)`,
		now.Add(-recorderKept).UnixMilli(), now.Add(-recorderGone).UnixMilli(), RecorderLag.Milliseconds())
	if err != nil || seen == 0 {
		return time.Time{}, err
	}
	return at(seen).Add(recorderGone), nil
}
