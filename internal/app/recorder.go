package app

import (
	"context"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/store"
)

// recorder tells the database how far this node's records of live tokens are in
// Redis, so that whoever lists tokens knows of those that may be missing, also
// when this node has ended without a word. Without Redis there is none: the
// records are the node's own.
type recorder struct {
	a      *App
	said   time.Time
	lags   bool      // as it was said
	served time.Time // when the last token may have been issued
}

// begin says, before the first token is issued, that this node may have some.
func (r *recorder) begin(ctx context.Context) error {
	if !r.a.cache.Shared() {
		return nil
	}
	if err := r.say(ctx); err != nil {
		return fmt.Errorf("note in the database that this node issues tokens: %w", err)
	}
	return nil
}

func (r *recorder) say(ctx context.Context) error {
	now, until := r.a.clock(), r.a.cache.RecordedUntil()
	err := r.a.store.SayRecorded(ctx, r.a.node, now, until)
	if err == nil {
		r.said, r.lags = time.Now(), now.Sub(until) > store.RecorderLag
	}
	return err
}

// run goes on saying it until ctx is done, at once if the node begins to lag or
// has caught up.
func (r *recorder) run(ctx context.Context) error {
	if !r.a.cache.Shared() {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		lags := r.a.clock().Sub(r.a.cache.RecordedUntil()) > store.RecorderLag
		if lags != r.lags || time.Since(r.said) >= store.RecorderSays-time.Second {
			_ = r.say(ctx) // what it said before stands, and soon counts as that of a node that is gone
		}
	}
}

// end says the last: nothing is left to record, or something is.
func (r *recorder) end() {
	if !r.a.cache.Shared() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var err error
	if r.a.cache.RecordedUntil().Before(r.served) {
		err = r.a.store.SayRecorded(ctx, r.a.node, r.a.clock(), time.UnixMilli(0)) // and it will never be more
	} else {
		err = r.a.store.EndRecorder(ctx, r.a.node)
	}
	if err != nil {
		r.a.logger.Warn(
			"this node could not note in the database that it ends; lists of live tokens will say for a "+
				"day that there may be more",
			"error", err,
		)
	}
}
