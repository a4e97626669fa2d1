package feed

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/verify"
)

// withLog is a feed whose change log has been read.
func withLog(t *testing.T, subscribers int) *Feed {
	f := newTestFeed(t, subscribers)
	db, err := store.Open(store.Config{URL: schema.SQLite(t), Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	f.cfg.ChangeLog = changelog.New(changelog.Config{
		Store: db, Cache: f.cfg.Cache, Revocations: verify.NewRevocationSet(),
		Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, f.cfg.ChangeLog.Load(t.Context()))
	return f
}

// beatsOf counts the signs of life that a stream has been given.
func beatsOf(s *Stream) (n int) {
	return bytes.Count(bytes.Join(taken(s), nil), []byte("event: heartbeat\n"))
}

// TestSignsOfLifeComeInTurns has so many streams that the signs of life of all
// at once would hold up a revocation.
func TestSignsOfLifeComeInTurns(t *testing.T) {
	const streams = 200
	f := withLog(t, 8*streams)
	live := join(t, f, streams, operator)
	given := make([]int, streams)
	for range 3 * turns {
		f.heartbeat()
		atOnce := 0
		for i, s := range live {
			n := beatsOf(s)
			given[i] += n
			atOnce += n
		}
		require.LessOrEqual(t, atOnce, streams/turns+1)
	}
	for _, n := range given {
		require.Equal(t, 3, n)
	}
}

// TestWhoWaitsForARevocationHearsASignOfLifeWithIt says that nobody is told to
// have everything before it has.
func TestWhoWaitsForARevocationHearsASignOfLifeWithIt(t *testing.T) {
	f := withLog(t, 100)
	s := join(t, f, 1, org(1))[0]
	now := time.Now()
	f.Apply(t.Context(), []store.Change{revocation(1, "org_1")})
	require.Zero(t, f.handOn(now))
	require.Zero(t, beatsOf(s))
	f.Apply(t.Context(), []store.Change{revocation(2, "org_1")})
	require.Positive(t, f.handOn(now), "it must wait")
	for range turns {
		f.heartbeat()
	}
	require.Empty(t, s.Chunks)
	require.Zero(t, f.handOn(now.Add(gatherMost)))
	event := revocation(2, "org_1")
	require.Equal(t, "event: revocation\nid: 2\ndata: "+event.Payload+"\n\n"+string(f.beat()),
		string(bytes.Join(taken(s), nil)))
}
