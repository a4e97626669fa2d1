package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sink counts writes and can be made to block.
type sink struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	writes int
	block  chan struct{} // nil: never
}

func (s *sink) Write(p []byte) (int, error) {
	if s.block != nil {
		<-s.block
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.buf.Write(p)
}

func (s *sink) state() (string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String(), s.writes
}

func TestLinesAreGatheredAndFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		w := NewBufferedWriter(out)
		log, err := NewLogger(w, "text", "info")
		require.NoError(t, err)
		log.Info("before Run")
		text, _ := out.state()
		require.Contains(t, text, "before Run")

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		for range 50 {
			log.With("a", 1).WithGroup("g").Info("gathered")
		}
		synctest.Wait()
		text, writes := out.state()
		require.NotContains(t, text, "gathered")
		require.Equal(t, 1, writes)
		time.Sleep(flushEvery)
		synctest.Wait()
		text, writes = out.state()
		require.Equal(t, 50, strings.Count(text, "gathered"))
		require.Equal(t, 2, writes)

		log.Info("first")
		log.With("a", 1).WithGroup("g").Error("at once") // no time passes
		synctest.Wait()
		text, _ = out.state()
		require.Contains(t, text, "at once")
		require.Less(t, strings.Index(text, "first"), strings.Index(text, "at once"))

		big := []byte(strings.Repeat("x", flushBytes-1) + "\n")
		_, _ = w.Write(big)
		synctest.Wait()
		text, _ = out.state()
		require.True(t, strings.HasSuffix(text, string(big)))

		log.Info("last")
		cancel()
		require.NoError(t, <-done)
		log.Info("after Run")
		text, _ = out.state()
		require.Less(t, strings.Index(text, "last"), strings.Index(text, "after Run"))
		require.Zero(t, w.Dropped())
	})
}

func TestCloseFlushes(t *testing.T) {
	out := &sink{}
	w := NewBufferedWriter(out)
	w.setRunning(true) // as while Run is under way, whose ticks do not come
	_, err := w.Write([]byte("line\n"))
	require.NoError(t, err)
	text, _ := out.state()
	require.Empty(t, text)
	require.NoError(t, w.Close())
	text, _ = out.state()
	require.Equal(t, "line\n", text)
}

func TestStuckWriterNeitherBlocksNorGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{block: make(chan struct{})}
		w := NewBufferedWriter(out)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		line := []byte(strings.Repeat("y", 999) + "\n")
		for range 5000 { // 5 MB; were one of these to block, the test would never end
			_, err := w.Write(line)
			require.NoError(t, err)
		}
		require.Positive(t, w.Dropped())
		require.LessOrEqual(t, len(w.pending), maxPending)
		close(out.block)
		cancel()
		require.NoError(t, <-done)
		text, _ := out.state()
		require.Equal(t, 5000, strings.Count(text, "\n")+int(w.Dropped()))
	})
}

func TestWritesFromManyKeepLinesWhole(t *testing.T) {
	out := &sink{}
	w := NewBufferedWriter(out)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var writers sync.WaitGroup
	for g := range 8 {
		writers.Go(func() {
			for i := range 200 {
				_, _ = fmt.Fprintf(w, "%d:%d\n", g, i)
			}
		})
	}
	writers.Wait()
	cancel()
	require.NoError(t, <-done)
	text, _ := out.state()
	next := map[string]int{}
	for line := range strings.Lines(text) {
		g, i, _ := strings.Cut(strings.TrimSpace(line), ":")
		require.Equal(t, fmt.Sprint(next[g]), i)
		next[g]++
	}
	require.Len(t, next, 8)
	require.Equal(t, 200, next["7"])
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestErrorOfTheWriterBeneathIsReportedOnClose(t *testing.T) {
	w := NewBufferedWriter(broken{})
	w.setRunning(true)
	_, err := w.Write([]byte("x\n"))
	require.NoError(t, err)
	require.ErrorContains(t, w.Close(), "gone")
}

// narrow is a disk that has room for so many bytes.
type narrow struct {
	room int
	text strings.Builder
}

func (n *narrow) Write(p []byte) (int, error) {
	fits := min(n.room, len(p))
	n.room -= fits
	n.text.Write(p[:fits])
	if fits < len(p) {
		return fits, syscall.ENOSPC
	}
	return fits, nil
}

func TestLinesThatAFullDiskTakesAreCountedAndTheNextOnesAreWhole(t *testing.T) {
	disk := &narrow{room: 6}
	w := NewBufferedWriter(disk)
	w.setRunning(true)
	for range 3 {
		_, _ = w.Write([]byte("four\n"))
	}
	require.ErrorIs(t, w.Flush(), syscall.ENOSPC)
	require.EqualValues(t, 2, w.Dropped())
	disk.room = 100
	_, _ = w.Write([]byte("last\n"))
	require.NoError(t, w.Close())
	require.Equal(t, "four\nf\nlast\n", disk.text.String())
	require.EqualValues(t, 2, w.Dropped())
}
