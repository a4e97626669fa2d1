package telemetry

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

const (
	flushEvery = 100 * time.Millisecond
	flushBytes = 64 << 10
	maxPending = 1 << 20
)

// BufferedWriter gathers log lines, so that a line costs its request no system
// call. It hands them to the writer beneath every 100 ms, at 64 KiB, and at
// once after a line of level error.
//
// While the writer beneath is stuck it holds at most 1 MiB, and drops and
// counts what comes then: a full disk or a stalled pipe must not stop the
// server. Before [BufferedWriter.Run] begins and after it has ended, each line
// goes straight through.
type BufferedWriter struct {
	out  io.Writer
	wake chan struct{}

	mu      sync.Mutex // guards what follows; never held while writing
	pending []byte
	running bool
	dropped uint64

	writing sync.Mutex // one write at a time, in order; guards what follows
	spare   []byte
	torn    bool // the last line was written in part
}

// NewBufferedWriter returns a writer that gathers lines for out. It starts
// nothing.
func NewBufferedWriter(out io.Writer) *BufferedWriter {
	return &BufferedWriter{out: out, wake: make(chan struct{}, 1)}
}

// Write takes one whole line. It returns an error of the writer beneath only if
// the line goes straight through; a dropped line is no error.
func (b *BufferedWriter) Write(line []byte) (int, error) {
	b.mu.Lock()
	if len(b.pending)+len(line) > maxPending {
		b.dropped++
	} else {
		b.pending = append(b.pending, line...)
	}
	running, full := b.running, len(b.pending) >= flushBytes
	b.mu.Unlock()
	switch {
	case !running:
		return len(line), b.Flush()
	case full:
		b.wakeUp()
	}
	return len(line), nil
}

// Flush writes what is gathered, and returns when it is written.
func (b *BufferedWriter) Flush() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.mu.Lock()
	lines := b.pending
	b.pending = b.spare[:0]
	b.mu.Unlock()
	b.spare = lines
	if len(lines) == 0 {
		return nil
	}
	if b.torn {
		lines = append([]byte{'\n'}, lines...) // or the first would continue half a line
	}
	n, err := b.out.Write(lines)
	if n > 0 {
		b.torn = lines[n-1] != '\n'
	}
	if err != nil {
		b.mu.Lock()
		b.dropped += uint64(bytes.Count(lines[n:], []byte{'\n'}))
		b.mu.Unlock()
	}
	return err
}

// Run flushes until ctx ends, and once more then. It always returns nil: a
// writer beneath that fails does not end it, and the lost lines are counted.
func (b *BufferedWriter) Run(ctx context.Context) error {
	b.setRunning(true)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = b.Close()
			return nil
		case <-ticker.C:
		case <-b.wake:
		}
		_ = b.Flush() // there is no place left to report it; the lines are lost, and counted
	}
}

// Close flushes. Lines that still come go straight through. It does not close
// the writer beneath.
func (b *BufferedWriter) Close() error {
	b.setRunning(false)
	return b.Flush()
}

// Dropped returns how many lines were dropped so far, because the writer
// beneath was stuck or failed.
func (b *BufferedWriter) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

func (b *BufferedWriter) setRunning(on bool) {
	b.mu.Lock()
	b.running = on
	b.mu.Unlock()
}

func (b *BufferedWriter) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
