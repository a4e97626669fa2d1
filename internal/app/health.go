package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/timespan"
)

// writeHealth is how changes of the database end. Reads say nothing of them: a
// read-only replica or a full disk answers reads.
type writeHealth struct {
	logger *slog.Logger
	outage *outage // says it if the database does not answer at all

	mu      sync.Mutex
	err     error     // of the last change; nil if it succeeded
	success time.Time // when one succeeded
	since   time.Time // when the log said that changes fail; zero: it did not
}

// record takes the end of a transaction that changes something.
func (w *writeHealth) record(err error) {
	if errors.Is(err, context.Canceled) {
		return // the caller went away
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.err
	if w.err = err; err == nil {
		w.success = time.Now()
	}
	switch {
	case err != nil && w.since.IsZero() && (refusesChanges(err) || before != nil && !w.outage.now()):
		w.since = time.Now()
		w.logger.Warn("the database takes no changes; what is issued from memory goes on", "error", err)
	case err == nil && !w.since.IsZero():
		w.logger.Info("the database takes changes again",
			"refused", timespan.Text(time.Since(w.since).Round(time.Millisecond)))
		w.since = time.Time{}
	}
}

func (w *writeHealth) last() (success time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.success, w.err
}

// tryChange begins a change that changes nothing, if there was none lately or
// the last one failed. It locks the row that every change locks. writeHealth
// records how it ends.
func (a *App) tryChange(ctx context.Context) {
	if success, err := a.writes.last(); err != nil || time.Since(success) >= measureEvery {
		_ = a.store.Write(ctx, func(*store.Q) error { return nil })
	}
}

// ready reports whether known clients get tokens, and returns for each
// operation on each dependency why it fails, or nil if it succeeds.
func (a *App) ready(ctx context.Context) (serves bool, states map[string]map[string]error) {
	read := a.store.Ready(ctx)
	if errors.Is(read, store.ErrReadOnly) {
		a.writes.record(read) // so that log and metrics say it as soon as this does
		read = nil            // a replica: it can be read
	}
	_, write := a.writes.last()
	if read != nil {
		write = read
	}
	states = map[string]map[string]error{"database": {"read": read, "write": write}}
	if a.cache.Shared() {
		states["redis"] = redisOperations(a.cache.Failing(ctx))
	}
	return !a.clients.Stale(), states
}

// redisOperations returns an entry for each operation on Redis, nil for one
// that succeeds.
func redisOperations(failing map[cache.Operation]error) map[string]error {
	all := map[string]error{}
	for _, op := range cache.Operations() {
		all[string(op)] = failing[op]
	}
	return all
}

// watchOperations adds to the metrics which operations fail.
func (a *App) watchOperations() {
	a.metrics.Operations("database", func() map[string]error {
		var read error
		if !a.changes.Fresh() {
			read = errUnread
		}
		_, write := a.writes.last()
		return map[string]error{"read": read, "write": write}
	})
	if a.cache.Shared() {
		a.metrics.Operations("redis", func() map[string]error { return redisOperations(a.cache.Refused()) })
	}
}

var errUnread = errors.New("the change log has not been read for long")
