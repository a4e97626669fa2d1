package clientauth

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/batch"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
)

const (
	// shortLived is for how long an assertion may live for the database not to
	// be needed: Redis, or the one process, remembers it until its end. That is
	// shortLived, and the skew at both ends ([cache.MaxOnceFor]).
	shortLived = 5 * time.Minute
	maxUses    = 10_000 // of one client that are not over

	writeUsesEvery = time.Second
	maxUnwritten   = 1 << 16
)

// UsesConfig is what [Uses] stands on.
type UsesConfig struct {
	Cache  *cache.Cache
	Store  *store.Store
	Alone  bool // no other process serves the same clients
	Clock  func() time.Time
	Logger *slog.Logger
}

// Uses knows which assertions were used (RFC 7523 §3, jti). No assertion passes
// twice, whichever node it is sent to, and though Redis is flushed or away.
//
// Several nodes ask Redis, which answers soonest, and then the database, which
// forgets nothing: once for all that come meanwhile. If the database is away,
// Redis decides of those that are short-lived and were made since it remembers
// all ([cache.Cache.RemembersSince]), and the database is told once it is back;
// if both are away, none passes. What a process has passed so that ends before
// that is known to Redis alone.
//
// A process alone remembers the short-lived itself, and writes them into the
// database a moment later, many in one row, for the process after it. If it is
// killed, that one does not know the last of them: it takes no short-lived
// assertion that was made before it began ([Store.UseGaps]). Nor does any
// process take one from before the database was restored.
type Uses struct {
	cfg    UsesConfig
	shared batch.Caller[*use]
	gaps   store.UseGaps
	began  time.Time // when Load was called
	noted  time.Time // gaps.Crashed, as the database has it
	apart  apart

	mu        sync.Mutex
	open      bool // a process after this one learns if it was killed
	unwritten []store.AssertionUse
	owed      map[string]store.AssertionUse // by id: passed without the database
	counted   map[string]counted            // by client
	swept     time.Time                     // when room was made among the counted
}

// use is what a request asks about.
type use struct {
	cache.SharedUse
	cache.Owner
	once  Once
	short bool // see [Once.short]
	count bool // the client's uses in the database must be counted first
	ahead bool // made by a clock that is ahead: a crash can't be told to be later
	known bool // this process has forgotten none that may be the same

	again bool
	err   error
}

func (w *use) row() store.AssertionUse {
	return store.AssertionUse{
		ID: base64.RawURLEncoding.EncodeToString(w.ID[:]), ClientID: w.Client, OrgID: w.Org, Until: w.Until,
	}
}

// NewUses returns Uses. Its [Uses.Run] must run beside it.
func NewUses(cfg UsesConfig) *Uses {
	u := &Uses{cfg: cfg, owed: map[string]store.AssertionUse{}, counted: map[string]counted{}}
	u.shared = batch.Caller[*use]{Call: u.ask, Max: min(store.MaxAssertionUses, cache.MaxSharedUses)}
	return u
}

// Load reads what processes before this one have left for it. It is to be
// called before the first [Uses.Use]. Errors are those of the store.
func (u *Uses) Load(ctx context.Context) error {
	now := u.cfg.Clock()
	u.began = time.Now()
	left, err := u.cfg.Store.Read().SavedUses(ctx, cache.MaxOnceFor)
	if err != nil {
		return err
	}
	more := left[:0]
	for _, use := range left {
		var id [32]byte
		if n, err := base64.RawURLEncoding.Decode(id[:], []byte(use.ID)); err != nil || n != len(id) {
			continue // it is none of ours
		}
		// What was remembered has had room.
		owner := cache.Owner{Client: use.ClientID, Org: use.OrgID, Operator: true}
		if !u.cfg.Cache.Remember(owner, id, use.Until) || !u.cfg.Alone {
			more = append(more, use)
		}
	}
	// Where there is no room, or others must know, they become rows of their
	// own.
	for batch := range slices.Chunk(more, store.MaxAssertionUses) {
		if _, err := u.cfg.Store.UseAssertions(ctx, batch, u.cfg.Clock()); err != nil {
			return err
		}
	}
	// A process before may have written some as rows: it had no room, or others
	// beside it. They are not read, but asked for.
	rows, err := u.cfg.Store.Read().UsesEnd(ctx)
	if err != nil {
		return err
	}
	u.cfg.Cache.Unsure(rows)
	u.gaps, err = u.cfg.Store.UseGaps(ctx, now)
	u.noted = u.gaps.Crashed
	if err == nil {
		u.apart.read, err = u.cfg.Store.Read().Unshared(ctx)
	}
	return err
}

// Once is what a client may use once: the jti of an assertion, and its times as
// it says them. A zero IssuedAt is not known.
type Once struct {
	Client              *Client
	JTI                 string
	IssuedAt, ExpiresAt time.Time
	Skew                time.Duration // for how long after ExpiresAt it is not refused yet
}

// short reports whether it never was, and never is, further from its end than
// is remembered. What does not say when it began may have been used long ago.
func (o Once) short() bool { return !o.IssuedAt.IsZero() && o.ExpiresAt.Sub(o.IssuedAt) <= shortLived }

// Use records a use. The error is an [*oautherr.Error] if it was used before or
// cannot be recorded.
func (u *Uses) Use(ctx context.Context, once Once) error {
	if from := u.notMissing(once); once.made().Before(from) {
		return u.mayBeUsed(once, from)
	}
	w := &use{
		Owner: cache.Owner{Client: once.Client.ClientID, Org: once.Client.OrgID, Operator: once.Client.Operator},
		once:  once, short: once.short(), count: !once.short(), ahead: once.made().After(u.cfg.Clock()),
		SharedUse: cache.SharedUse{
			ID: cache.UseID(once.Client.ClientID, once.JTI), Until: once.ExpiresAt.Add(once.Skew),
		},
	}
	switch u.cfg.Cache.OnceHere(w.Owner, w.ID, w.Until) {
	case cache.UseAgain:
		return usedBefore()
	case cache.UseTooMany:
		return tooManyUses()
	case cache.UseFirst:
		w.known = true
	case cache.UseNoRoom:
		w.count = true
	}
	err := u.record(ctx, w)
	if err == nil && w.again {
		return usedBefore()
	}
	if err != nil {
		u.cfg.Cache.Forget(w.ID)
		return oautherr.From(err)
	}
	return nil
}

// record records a use for all nodes and for the processes after this one.
func (u *Uses) record(ctx context.Context, w *use) error {
	if w.short && w.known && u.cfg.Alone && !u.cfg.Cache.Shared() && u.writeLater(w) {
		return nil
	}
	if w.count {
		if err := u.checkCount(ctx, w.Client, u.cfg.Clock()); err != nil {
			return err
		}
	}
	if err := u.cfg.Store.AdmitAnyway(ctx); err != nil {
		return err
	}
	if err := u.shared.Do(ctx, w); err != nil {
		return err
	}
	return w.err
}

func usedBefore() *oautherr.Error {
	return badAssertion("assertion_used", "the assertion's jti was used before: make a new assertion for each request")
}

func tooManyUses() *oautherr.Error {
	e := oautherr.New(oautherr.CodeSlowDown, "too_many_assertions", "the client has used %d assertions that have not "+
		"expired yet: use each token until it expires instead of asking for another, or make assertions with a "+
		"nearer exp, such as 10 s ahead", maxUses)
	e.RetryAfter = time.Minute
	return e
}

// writeLater leaves a use to [Uses.Run]. It reports false if there are too
// many, or if a process after this one could not tell that it is missing.
func (u *Uses) writeLater(w *use) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.open || w.ahead || len(u.unwritten) >= maxUnwritten {
		return false
	}
	u.unwritten = append(u.unwritten, w.row())
	return true
}

// ask asks Redis and then the database about uses.
func (u *Uses) ask(ctx context.Context, uses []*use) {
	seen := make(map[[32]byte]bool, len(uses))
	shared := make([]*cache.SharedUse, 0, len(uses))
	for _, w := range uses {
		if w.again = seen[w.ID]; !w.again { // of two at once the second is not the first
			seen[w.ID], shared = true, append(shared, &w.SharedUse)
		}
	}
	u.cfg.Cache.OnceShared(ctx, shared)
	noted := u.noteUnshared(ctx, shared)
	rows := make([]store.AssertionUse, 0, len(uses))
	byID := make(map[string]*use, len(uses))
	for _, w := range uses {
		w.again = w.again || w.Again
		if w.again || w.short && w.known && u.cfg.Alone && u.writeLater(w) {
			continue
		}
		row := w.row()
		rows, byID[row.ID] = append(rows, row), w
	}
	if len(rows) > 0 {
		first, err := []string(nil), noted
		if err == nil {
			err = u.cfg.Store.Silent()
		}
		if err == nil {
			first, err = u.cfg.Store.UseAssertions(ctx, rows, u.cfg.Clock())
		}
		u.answer(ctx, byID, first, err)
	}
}

// answer says to each of the uses what the database has said.
func (u *Uses) answer(ctx context.Context, byID map[string]*use, first []string, err error) {
	for _, w := range byID {
		w.again, w.err = err == nil, err
	}
	for _, id := range first {
		byID[id].again = false
	}
	if errors.Is(err, store.ErrUnavailable) && u.cfg.Cache.Shared() {
		u.passByRedis(ctx, maps.Values(byID))
	}
}

// Run writes uses that were left to it, until ctx is done, and what is left
// then.
func (u *Uses) Run(ctx context.Context) error {
	if u.cfg.Alone {
		u.begin(ctx)
	}
	store.WriteEvery(ctx, writeUsesEvery, func(ctx context.Context) {
		u.writeUnwritten(ctx)
		u.writeOwed(ctx)
		u.correct(ctx)
		u.readUnshared(ctx)
		if u.cfg.Alone {
			u.begin(ctx)
		}
	})
	u.end(context.WithoutCancel(ctx))
	return nil
}

func (u *Uses) writeUnwritten(ctx context.Context) {
	u.mu.Lock()
	all := u.unwritten
	u.unwritten = nil
	u.mu.Unlock()
	if len(all) == 0 {
		return
	}
	if err := u.cfg.Store.SaveUses(ctx, all); err != nil {
		u.cfg.Logger.Warn("used assertions could not be written; tried again soon", "error", err)
		u.mu.Lock()
		u.unwritten = append(all, u.unwritten...)
		u.mu.Unlock()
	}
}
