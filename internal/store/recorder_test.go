package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestUnrecorded: a node that lags, or has gone without a word, may have issued
// tokens that nobody knows of, until they have expired.
func TestUnrecorded(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		require.NoError(t, s.SayRecorded(t.Context(), "good", now, now.Add(-time.Second)))
		unrecorded := func(at time.Time) time.Time {
			t.Helper()
			until, err := s.Read().Unrecorded(t.Context(), at)
			require.NoError(t, err)
			return until
		}
		until := now.Add(recorderGone + verify.ClockDifference)
		require.Zero(t, unrecorded(now))
		require.Zero(t, unrecorded(now.Add(recorderGone)))
		require.Equal(t, until, unrecorded(now.Add(recorderGone+time.Millisecond)),
			"it has not been heard of since")
		require.NoError(t, s.EndRecorder(t.Context(), "good"))
		require.Zero(t, unrecorded(now.Add(time.Hour)), "it has ended, and left nothing")

		require.NoError(t, s.SayRecorded(t.Context(), "lags", now, now.Add(-RecorderLag-time.Millisecond)))
		require.Equal(t, until, unrecorded(now), "a client that was made just now may be among them")
		require.NoError(t, s.SayRecorded(t.Context(), "lags", now, now))
		require.Zero(t, unrecorded(now), "it has caught up")

		require.NoError(t, s.SayRecorded(t.Context(), "gone", now, now.Add(-time.Minute)))
		require.NotZero(t, unrecorded(now.Add(recorderKept-time.Millisecond)))
		require.Zero(t, unrecorded(now.Add(recorderKept)), "the last of its tokens has expired")
		rows := func() int64 {
			n, err := count(t.Context(), s.Read(), `SELECT COUNT(*) FROM recorder`)
			require.NoError(t, err)
			return n
		}
		sweep := func(at time.Time) {
			require.NoError(t, s.WriteAside(t.Context(),
				func(q *Q) error { _, err := q.Sweep(t.Context(), at, time.Time{}, 100); return err }))
		}
		sweep(now.Add(recorderKept - time.Millisecond))
		require.EqualValues(t, 2, rows())
		sweep(now.Add(recorderKept))
		require.Zero(t, rows())
	})
}

// TestUnrecordedByOtherClocks has nodes say how far their records are by clocks
// that differ from the reader's, as far as clocks may.
func TestUnrecordedByOtherClocks(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		unrecorded := func(at time.Time) time.Time {
			t.Helper()
			until, err := s.Read().Unrecorded(t.Context(), at)
			require.NoError(t, err)
			return until
		}
		ahead := now.Add(verify.ClockDifference)
		require.NoError(t, s.SayRecorded(t.Context(), "gone", now, now.Add(-time.Minute)))
		require.False(t, unrecorded(now).Before(ahead),
			"a client that was made just now by a clock ahead has lost some")
		longest := svcauth.MaxTokenTTLSeconds * time.Second
		require.NotZero(t, unrecorded(ahead.Add(longest)), "by the issuer's clock a token lives on")
		require.NoError(t, s.EndRecorder(t.Context(), "gone"))

		require.NoError(t, s.SayRecorded(t.Context(), "fast", ahead, ahead))
		require.False(t, unrecorded(now).Before(ahead), "it may be gone, and would look alive for an hour")
		require.NoError(t, s.SayRecorded(t.Context(), "fast", now.Add(recorderGone), now.Add(recorderGone)))
		require.Zero(t, unrecorded(now), "its clock has been set right")
	})
}
