// Package changelog follows the change log: it applies each entry once and in order to what this node remembers (the set of revocations, cached
// clients, signing keys), and tells the other nodes and the followers of the revocation feed that there is something new.
//
// Truth is the table. A message through Redis is only a doorbell: whoever hears it reads the table; whoever misses it reads the table a
// second later. So nothing is lost when Redis is, and nothing is applied twice.
//
// It refuses to know: why something changed, SQL, Redis, and what the parts do with what they are told.
package changelog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config is what a Follower reads from and whom it tells. The On functions are called one at a time, in the order of the log; they must not
// block and must not call the Follower. nil: nobody is told.
type Config struct {
	Store       *store.Store
	Cache       *cache.Cache
	Revocations *resourceserver.RevocationSet
	Clock       func() time.Time
	Logger      *slog.Logger

	OnEntries func([]store.Change)  // everything that was applied, before CatchUp returns
	OnReset   func(head int64)      // what was remembered may be wrong: forget all of it
	OnKeys    func(context.Context) // the signing keys changed; may read the database
	OnAhead   func([]store.Change)  // revocations that are committed, and enforced here, while the table can't be read; OnEntries brings them again

	OnEnforced func(time.Duration) // a revocation is enforced here, so long after it was written
}

// How often the table is asked without a doorbell, how many entries are read at once, and after how long without the table a node starts
// afresh rather than trust that the entries it missed are still there.
const (
	pollEvery  = time.Second
	pageSize   = 2000
	tooLongOff = time.Hour

	// readBackWithin is how long the table may take to show what has just been committed, before its revocations are enforced without it.
	readBackWithin = time.Second
)

// Follower is one node's place in the change log.
type Follower struct {
	cfg Config

	applying sync.Mutex // held while entries are read and applied
	served   int64      // the newest request that a finished read covers; guarded by applying
	asked    atomic.Int64

	head    atomic.Int64              // seq of the newest entry applied
	revoked atomic.Int64              // seq of the newest revocation applied
	synced  atomic.Pointer[time.Time] // when the table last answered

	ringing chan struct{}
	mu      sync.Mutex
	news    []rung         // revocations that our own transactions wrote, not yet published
	bell    bool           // something is new
	written int64          // seq of the newest entry that this node wrote
	early   map[int64]rung // in force, but not read from the table yet
}

// New makes a follower. Nothing is read yet: see [Follower.Load].
func New(cfg Config) *Follower {
	return &Follower{cfg: cfg, ringing: make(chan struct{}, 1), early: map[int64]rung{}}
}

// Load reads all live revocations and takes its place at the end of the log. Call it once before serving. On an error nothing may be served.
func (f *Follower) Load(ctx context.Context) error {
	f.applying.Lock()
	defer f.applying.Unlock()
	return f.load(ctx)
}

func (f *Follower) load(ctx context.Context) error {
	began := f.cfg.Clock()
	head, err := f.cfg.Store.Read().LastChange(ctx)
	if err != nil {
		return fmt.Errorf("read the change log: %w", err)
	}
	if err := f.cfg.Revocations.ReplaceFrom(func(add func(...svcauth.Revocation)) error { return f.read(ctx, head, add) }); err != nil {
		return fmt.Errorf("read the live revocations: %w", err)
	}
	f.head.Store(head)
	f.synced.Store(&began)
	if f.cfg.OnKeys != nil {
		f.cfg.OnKeys(ctx)
	}
	if f.cfg.OnReset != nil {
		f.cfg.OnReset(head)
	}
	return nil
}

// read hands on all live revocations up to head, page by page: a million of them at once would take more memory than the set that they go into.
func (f *Follower) read(ctx context.Context, head int64, add func(...svcauth.Revocation)) error {
	live := make([]svcauth.Revocation, 0, pageSize)
	for after := int64(0); ; {
		page, err := f.cfg.Store.Read().LiveRevocations(ctx, after, head, pageSize)
		if err != nil {
			return err
		}
		live = live[:0]
		for _, c := range page {
			after = c.Seq
			if r, ok := f.revocation(c); ok {
				live = append(live, r)
			}
		}
		add(live...)
		if len(page) < pageSize {
			f.revoked.Store(max(f.revoked.Load(), after))
			return nil
		}
	}
}

// Revocation reads the revocation that an entry of that kind carries.
func Revocation(c store.Change) (r svcauth.Revocation, err error) {
	if err = json.Unmarshal([]byte(c.Payload), &r); err != nil {
		return r, fmt.Errorf("entry %d of the change log is no revocation: %w", c.Seq, err)
	}
	return r, nil
}

func (f *Follower) revocation(c store.Change) (svcauth.Revocation, bool) {
	if c.Kind != store.ChangeRevocation {
		return svcauth.Revocation{}, false
	}
	r, err := Revocation(c)
	if err != nil {
		f.cfg.Logger.Error("a revocation can't be read and is not enforced here", "error", err)
	}
	return r, err == nil
}

// CatchUp applies all entries that were committed before it was called. Calls at
// the same time share one read. The error is [store.ErrUnavailable].
func (f *Follower) CatchUp(ctx context.Context) error {
	if err := f.cfg.Store.Admit(ctx); err != nil {
		return err
	}
	_, err := f.catchUp(ctx)
	return err
}

// Committed is for the node that has just written these entries to the log: it catches up and rings the others. Where the table went away after the commit,
// the revocations among them are enforced as they are, here and by the others.
func (f *Follower) Committed(ctx context.Context, written []store.Change) {
	ctx = context.WithoutCancel(ctx) // the change is committed, whoever asked for it may be gone
	f.mu.Lock()
	f.bell, f.written = true, max(f.written, written[len(written)-1].Seq)
	var own []rung
	for _, c := range written {
		if r, ok := f.revocation(c); ok {
			own = append(own, rung{Seq: c.Seq, OrgID: c.OrgID, Revocation: r})
		}
	}
	f.news = append(f.news, own[:min(len(own), max(0, pageSize-len(f.news)))]...) // beyond that the others read it from the table anyway
	f.mu.Unlock()
	f.ring()
	if f.synced.Load() == nil {
		return // the server is starting: Load, which follows, reads all there is
	}
	soon, cancel := context.WithTimeout(ctx, readBackWithin)
	defer cancel()
	if _, err := f.catchUp(soon); err != nil {
		f.cfg.Logger.WarnContext(ctx, "a change is committed but this node could not read it back; it will when the database answers", "error", err)
		f.ahead(own)
	}
}

func (f *Follower) ring() {
	select {
	case f.ringing <- struct{}{}:
	default:
	}
}

func (f *Follower) catchUp(ctx context.Context) (applied int, err error) {
	// All wait for this read, whoever asked first: it waits in nobody's turn.
	ctx = limits.Own(ctx)
	request := f.asked.Add(1)
	f.applying.Lock()
	defer f.applying.Unlock()
	if f.served >= request {
		return 0, nil // a read that began after our call has covered it
	}
	covers := f.asked.Load()
	began := f.cfg.Clock()
	early := f.known()
	last := f.synced.Load()
	afresh := last != nil && (began.Sub(*last) > tooLongOff || setBack(*last, began))
	if !afresh {
		applied, err = f.apply(ctx)
		if n := f.unconfirmed(early); err == nil && n > 0 {
			f.cfg.Logger.Warn("revocations that were said to be committed are not in the change log; this node forgets them and reads it afresh", "count", n)
			afresh = true
		}
	}
	if afresh {
		if err = f.load(ctx); err == nil {
			f.forget(early)
		}
	}
	if err != nil {
		return applied, err
	}
	f.synced.Store(&began)
	f.served = covers
	return applied, nil
}

func (f *Follower) apply(ctx context.Context) (applied int, err error) {
	for {
		page, err := f.cfg.Store.Read().Changes(ctx, f.head.Load(), pageSize)
		if err != nil {
			return applied, fmt.Errorf("read the change log: %w", err)
		}
		if len(page) > 0 {
			f.applyPage(ctx, page)
		}
		applied += len(page)
		if len(page) < pageSize {
			return applied, nil
		}
	}
}

func (f *Follower) applyPage(ctx context.Context, page []store.Change) {
	var revocations []svcauth.Revocation
	keys := false
	for _, c := range page {
		if r, ok := f.revocation(c); ok {
			revocations = append(revocations, r)
			f.revoked.Store(c.Seq)
		}
		keys = keys || c.Kind == store.ChangeKeys
	}
	f.cfg.Revocations.Add(revocations...)
	f.came(page)
	if f.cfg.OnEnforced != nil {
		for _, c := range page {
			if c.Kind == store.ChangeRevocation && c.At.UnixMilli() > 0 { // the previous release does not say
				f.cfg.OnEnforced(max(0, time.Since(c.At)))
			}
		}
	}
	if keys && f.cfg.OnKeys != nil {
		f.cfg.OnKeys(ctx)
	}
	f.head.Store(page[len(page)-1].Seq)
	if f.cfg.OnEntries != nil {
		f.cfg.OnEntries(page)
	}
}

// Head is the seq of the newest entry that this node has applied; Revoked that of the newest revocation among them.
func (f *Follower) Head() int64 { return f.head.Load() }

// Revoked is the seq of the newest revocation that this node has applied.
func (f *Follower) Revoked() int64 { return f.revoked.Load() }

// Behind is for how long the table has not answered this node.
func (f *Follower) Behind() time.Duration {
	last := f.synced.Load()
	if last == nil {
		return tooLongOff
	}
	return f.cfg.Clock().Sub(*last) // by the monotonic clock, which does not jump
}

// vouchFor is how long the log may be silent before this node no longer says of
// a token that it is live. It is short: with the database away nobody can
// revoke, but a node that is cut off can't know.
const vouchFor = 10 * time.Second

// Vouches reports whether this node has read the log recently enough to say of
// a token that it is not revoked: introspection and the feed ask.
func (f *Follower) Vouches() bool { return f.Behind() <= vouchFor }

// setBack says whether the clock was set back between two of its readings. What was forgotten by the wrong time may be live by the right one.
func setBack(before, now time.Time) bool {
	return now.Round(0).Sub(before.Round(0)) < now.Sub(before)-time.Second
}

// Run follows the log until ctx is done.
func (f *Follower) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.poll(ctx) })
	group.Go(func() error { return f.publish(ctx) })
	group.Go(func() error {
		caughtUp := func() {
			if err := f.CatchUp(ctx); err != nil && ctx.Err() == nil {
				f.cfg.Logger.Debug("the change log could not be read after Redis came back", "error", err)
			}
		}
		return f.cfg.Cache.Subscribe(ctx, cache.ChannelChanges, func(msg []byte) { f.rang(ctx, msg) }, caughtUp)
	})
	return group.Wait()
}

// poll is the backstop, and where expired revocations are forgotten.
func (f *Follower) poll(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		f.cfg.Revocations.Expire(f.cfg.Clock())
		err := f.CatchUp(ctx)
		if err != nil && ctx.Err() == nil && !away {
			f.cfg.Logger.Warn("the change log can't be read; revocations made elsewhere are not known here until it can", "error", err)
		}
		if err == nil && away {
			f.cfg.Logger.Info("the change log is read again")
		}
		away = err != nil
	}
}
