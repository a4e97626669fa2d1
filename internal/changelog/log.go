// Package changelog reads the change log on behalf of one node. Each entry is
// applied once and in order: to the set of revocations, and to whatever else
// listens (the cached clients, the signing keys, the feed). It also notifies
// the other nodes of what this one has written.
//
// The table is the truth. A message through Redis only says that there is
// something to read: a node that receives it reads the table, and one that
// misses it reads the table a second later. So nothing is lost if Redis is, and
// nothing is applied twice.
//
// It refuses to know: why something changed, SQL, Redis, and what the listeners
// do with what they are told.
package changelog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
)

// Listener acts on the change log at one node. Its methods are called one at a
// time, in the order of the log, and must not call the Log. They may read the
// database, but nothing slower: all who wait for the log wait for them.
type Listener interface {
	// Apply acts on entries that were read from the table. CatchUp returns
	// after it has.
	Apply(ctx context.Context, entries []store.Change)
	// Reset forgets whatever was remembered, because entries may have been
	// missed. The next ones come after head.
	Reset(ctx context.Context, head int64)
}

// EarlyListener is a Listener that also acts on revocations which are committed
// and in force here, but can't be read from the table yet. Apply brings them
// again once they can.
type EarlyListener interface {
	ApplyEarly(revocations []store.Change)
}

// Observer measures how fast changes spread. [telemetry.Metrics] is one.
type Observer interface {
	// RevocationPropagated is called for each revocation, with the time that
	// passed between its writing and its enforcement here.
	RevocationPropagated(after time.Duration)
}

// Config says where a Log reads and what it keeps up to date. All is required
// but Observer.
type Config struct {
	Store       *store.Store
	Cache       *cache.Cache // carries notifications between the nodes
	Revocations *verify.RevocationSet
	Clock       func() time.Time
	Logger      *slog.Logger
	Observer    Observer // nil: nothing is measured
}

const (
	// pollEvery is how often the table is read without a notification.
	pollEvery = time.Second
	// pageSize is how many entries are read at once.
	pageSize = 2000
	// staleAfter is how long a node may go without the table. After that it
	// starts afresh, because entries that it missed may have been deleted.
	staleAfter = time.Hour
	// readBackWithin is how long the table may take to show what has just been
	// committed, before its revocations are enforced without it.
	readBackWithin = time.Second
	// freshFor is how long the log may be silent before this node no longer
	// says of a token that it is live. It is short: while the database is away
	// nobody can revoke, but a node that is cut off can't tell.
	freshFor = 10 * time.Second
)

// Log is one node's reader of the change log. It is safe for concurrent use.
type Log struct {
	cfg            Config
	listeners      []Listener
	earlyListeners []EarlyListener

	applying sync.Mutex // held while entries are read and applied
	served   int64      // the newest request that a finished read covers; guarded by applying
	failed   error      // what came of that read; guarded by applying
	asked    atomic.Int64

	head   atomic.Int64              // seq of the newest entry applied
	synced atomic.Pointer[time.Time] // when the table last answered

	outgoing outbox
	early    earlySet
}

// New returns a Log that has read nothing yet. Register its listeners next,
// then call [Log.Load].
func New(cfg Config) *Log {
	return &Log{
		cfg:      cfg,
		outgoing: outbox{wake: make(chan struct{}, 1)},
		early:    earlySet{bySeq: map[int64]announcement{}},
	}
}

// Listen registers listeners. They are called in the order in which they were
// registered. It must not be called after [Log.Load].
func (l *Log) Listen(listeners ...Listener) { l.listeners = append(l.listeners, listeners...) }

// ListenEarly registers who also acts on what can't be read from the table yet.
// It must not be called after [Log.Load].
func (l *Log) ListenEarly(listener EarlyListener) {
	l.earlyListeners = append(l.earlyListeners, listener)
}

// CatchUp applies all entries that were committed before it was called. Calls
// at the same time share one read. The error is [store.ErrUnavailable].
func (l *Log) CatchUp(ctx context.Context) error {
	if err := l.cfg.Store.Admit(ctx); err != nil {
		return err
	}
	return l.catchUp(ctx)
}

func (l *Log) catchUp(ctx context.Context) error {
	// All wait for this read, whoever asked first: it waits in nobody's turn.
	ctx = limits.Own(ctx)
	request := l.asked.Add(1)
	l.applying.Lock()
	defer l.applying.Unlock()
	if l.served >= request {
		return l.failed // a read that began after our call has covered it
	}
	covers := l.asked.Load()
	began := l.cfg.Clock()
	err := l.read(ctx, began)
	if err != nil && ctx.Err() != nil {
		return err // because its caller went away: the others are not told that
	}
	if err == nil {
		l.synced.Store(&began)
	}
	l.served, l.failed = covers, err
	return err
}

// read applies what is new. It loads everything afresh if entries may have been
// missed, or if a revocation that is in force turns out not to be in the table.
// l.applying is held.
func (l *Log) read(ctx context.Context, began time.Time) error {
	early := l.early.all()
	last := l.synced.Load()
	if last == nil || began.Sub(*last) <= staleAfter && !verify.SetBack(*last, began) {
		if err := l.applyNew(ctx); err != nil {
			return err
		}
		missing := l.early.count(early)
		if missing == 0 {
			return nil
		}
		l.cfg.Logger.Warn(
			"revocations that were announced are not in the change log; this node forgets them and reads "+
				"the log afresh",
			"count", missing,
		)
	}
	if err := l.load(ctx); err != nil {
		return err
	}
	l.early.remove(early)
	return nil
}

func (l *Log) applyNew(ctx context.Context) error {
	for {
		page, err := l.cfg.Store.Read().Changes(ctx, l.head.Load(), pageSize)
		if err != nil {
			return fmt.Errorf("read the change log: %w", err)
		}
		if len(page) > 0 {
			l.apply(ctx, page)
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

func (l *Log) apply(ctx context.Context, page []store.Change) {
	news := l.announcements(page)
	l.cfg.Revocations.Add(revocations(news)...)
	l.early.confirm(news)
	if l.cfg.Observer != nil {
		for _, c := range page {
			if c.Kind == store.ChangeRevocation && c.At.UnixMilli() > 0 { // the previous release did not write it
				l.cfg.Observer.RevocationPropagated(max(0, time.Since(c.At)))
			}
		}
	}
	l.head.Store(page[len(page)-1].Seq)
	for _, listener := range l.listeners {
		listener.Apply(ctx, page)
	}
}

// Behind returns for how long the table has not answered this node.
func (l *Log) Behind() time.Duration {
	last := l.synced.Load()
	if last == nil {
		return staleAfter
	}
	return l.cfg.Clock().Sub(*last) // by the monotonic clock, which does not jump
}

// Fresh reports whether this node has read the log within the last 10 seconds.
// Only then may it say of a token that it is not revoked.
func (l *Log) Fresh() bool { return l.Behind() <= freshFor }

// Run follows the log until ctx is done.
func (l *Log) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.poll(ctx) })
	group.Go(func() error { return l.sendNotifications(ctx) })
	group.Go(func() error {
		onGap := func() {
			if err := l.CatchUp(ctx); err != nil && ctx.Err() == nil {
				l.cfg.Logger.Debug("the change log could not be read after Redis came back", "error", err)
			}
		}
		return l.cfg.Cache.Subscribe(ctx, cache.ChannelChanges, func(msg []byte) { l.receive(ctx, msg) }, onGap)
	})
	return group.Wait()
}

// poll reads the table every second, for the notifications that did not arrive,
// and has expired revocations forgotten.
func (l *Log) poll(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		l.cfg.Revocations.Expire(l.cfg.Clock())
		err := l.CatchUp(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			l.cfg.Logger.Warn(
				"the change log can't be read; revocations made elsewhere are not known here until it can",
				"error", err,
			)
		}
		if err == nil && failing {
			l.cfg.Logger.Debug("the change log is read again")
		}
		failing = err != nil
	}
}
