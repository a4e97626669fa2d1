package cache

import (
	"context"
	"time"
)

const (
	writeEvery = 50 * time.Millisecond
	batchSize  = 256
	maxTries   = 20 // of an entry that fails while others succeed
)

// writer carries to Redis what token requests have left.
type writer struct {
	records *redisRecords
	shared  *sharedAttempts
	probe   *probe
	uses    *remembering
}

func (w *writer) run(ctx context.Context) {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.flush(ctx)
		case <-ctx.Done():
			w.end(context.WithoutCancel(ctx))
			return
		}
	}
}

// end flushes for up to a second until all is written that was recorded before,
// since a call may fail.
func (w *writer) end(ctx context.Context) {
	last, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	began := w.records.clock()
	for w.flush(last); w.records.recordedUntil().Before(began) && last.Err() == nil; w.flush(last) {
		time.Sleep(writeEvery)
	}
}

func (w *writer) flush(ctx context.Context) {
	w.records.flush(ctx)
	w.shared.flush(ctx)
	w.probe.run(ctx)
	w.uses.keep(ctx)
}

// queue is bounded. It drops and counts what does not fit. One goroutine
// flushes it.
type queue[T any] struct {
	name    string
	entries chan queued[T]
	held    []queued[T] // taken out, but not written yet
	drops   dropObserver
}

// dropObserver is the part of [Observer] that queues call.
type dropObserver interface{ QueueDropped(queue string, n int) }

type queued[T any] struct {
	value T
	tries int
}

func newQueue[T any](name string, size int, drops dropObserver) *queue[T] {
	return &queue[T]{name: name, entries: make(chan queued[T], size), drops: drops}
}

func (q *queue[T]) put(value T) {
	select {
	case q.entries <- queued[T]{value: value}:
	default:
		q.drops.QueueDropped(q.name, 1)
	}
}

// flush calls write with batches until the queue is empty or write fails, and
// reports whether it is empty. write returns which entries are done. The others
// are tried again with the next flush, maxTries times. If write fails as a
// whole, nothing is lost and no try is counted: only the queue's size is a
// bound then.
func (q *queue[T]) flush(write func([]T) ([]bool, error)) (empty bool) {
	for {
		q.fill()
		if len(q.held) == 0 {
			return true
		}
		values := make([]T, len(q.held))
		for i, entry := range q.held {
			values[i] = entry.value
		}
		done, err := write(values)
		if err != nil {
			return false
		}
		if q.keep(done) > 0 {
			return false
		}
	}
}

func (q *queue[T]) fill() {
	for len(q.held) < batchSize {
		select {
		case entry := <-q.entries:
			q.held = append(q.held, entry)
		default:
			return
		}
	}
}

// keep drops the entries that are done or hopeless, and returns how many are
// left.
func (q *queue[T]) keep(done []bool) int {
	left, hopeless := q.held[:0], 0
	for i, entry := range q.held {
		entry.tries++
		switch {
		case done[i]:
		case entry.tries >= maxTries:
			hopeless++
		default:
			left = append(left, entry)
		}
	}
	clear(q.held[len(left):])
	q.held = left
	if hopeless > 0 {
		q.drops.QueueDropped(q.name, hopeless)
	}
	return len(left)
}
