package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/timespan"
)

const (
	// outageAfter is how many calls in a row must fail for an outage. One alone
	// may have had a short deadline of its caller's.
	outageAfter = 2
	// outageQuiet is how long the database must have answered for the outage to
	// be over, so that one that comes and goes is one outage.
	outageQuiet = 2 * time.Second
)

// outage tells when the database stops answering and when it answers again, in
// one log line each, however many requests and background jobs fail meanwhile.
type outage struct {
	logger *slog.Logger

	mu       sync.Mutex
	failures int       // in a row
	began    time.Time // of the outage; zero: there is none
	answered time.Time // during an outage: the first answer after the last failure
}

// isAway reports whether an error says that the database does not answer at
// all. One that answers and takes no changes is writeHealth's matter.
func isAway(err error) bool { return errors.Is(err, store.ErrUnavailable) && !refusesChanges(err) }

// refusesChanges reports whether the database answers and takes no changes.
func refusesChanges(err error) bool {
	return errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrDiskFull)
}

// record takes the end of a call.
func (o *outage) record(ctx context.Context, err error) {
	if err != nil && (!isAway(err) || errors.Is(ctx.Err(), context.Canceled)) {
		return // it answered, or the caller went away
	}
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.failures++
		o.answered = time.Time{}
		if o.failures >= outageAfter {
			o.begin(now, err)
		}
		return
	}
	o.failures = 0
	switch {
	case o.began.IsZero():
	case o.answered.IsZero():
		o.answered = now
	case now.Sub(o.answered) >= outageQuiet:
		o.logger.Info(away.DatabaseBack, "away", timespan.Text(o.answered.Sub(o.began).Round(time.Millisecond)))
		o.began, o.answered = time.Time{}, time.Time{}
	}
}

// confirm says that somebody failed because the database is away.
func (o *outage) confirm(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begin(time.Now(), err)
}

// begin logs the begin of an outage, unless there is one already. o.mu is held.
func (o *outage) begin(now time.Time, err error) {
	if o.began.IsZero() {
		o.began = now
		o.logger.Warn(away.Database+"; known clients get tokens, changes and revocations are refused until it is",
			"error", err)
	}
}

// now reports whether there is an outage.
func (o *outage) now() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.began.IsZero()
}

// outageHandler takes from the log the lines of those who failed because the
// database does not answer: outage says it for all of them. At level debug they
// stay. A request keeps its line.
type outageHandler struct {
	slog.Handler
	outage *outage
}

// Handle implements slog.Handler.
func (h outageHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn || r.Message == "request" {
		return h.Handler.Handle(ctx, r)
	}
	var cause error
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && isAway(err) {
			cause = err
		}
		return cause == nil
	})
	if cause == nil {
		return h.Handler.Handle(ctx, r)
	}
	h.outage.confirm(cause)
	if r.Level = slog.LevelDebug; !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h outageHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return outageHandler{h.Handler.WithAttrs(attrs), h.outage}
}

// WithGroup implements slog.Handler.
func (h outageHandler) WithGroup(name string) slog.Handler {
	return outageHandler{h.Handler.WithGroup(name), h.outage}
}

// Patience is how long one call may take of what the server depends on:
// [store.Config.Patience], [access.Config.Patience], [cache.Config.Patience].
type Patience struct{ Database, Redis time.Duration }
