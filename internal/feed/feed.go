// Package feed hands revocations to the resource servers that subscribe to
// them, as a stream or in pages. It keeps their receipts, so that whoever has
// revoked something can wait until it is enforced everywhere.
//
// It owns: who may see which entries, what is kept in memory for streams, the
// bounds on streams, polls and receipts, and the receipts of all nodes.
//
// It refuses to know: HTTP, why something was revoked, and how the change log
// is read.
package feed

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/wire"
)

// Scope says whose revocations somebody may see: those of one organization, or
// in the operator's organization everybody's.
type Scope struct {
	OrgID    string
	Operator bool
}

func (s Scope) sees(orgID string) bool { return s.Operator || orgID == s.OrgID }

// key tells scopes apart. The operator's is empty.
func (s Scope) key() string {
	if s.Operator {
		return ""
	}
	return s.OrgID
}

// servedBy returns the keys of the scopes whose resource servers serve s. The
// operator's serve everybody.
func (s Scope) servedBy() []string {
	if s.Operator {
		return []string{""}
	}
	return []string{"", s.OrgID}
}

// Observer measures the feed. [telemetry.Metrics] is one.
type Observer interface {
	// FeedSubscribers is called with the number of streams when it changes.
	FeedSubscribers(n int)
	// QueueDropped is called with "feed" and 1 when a stream is ended because
	// its subscriber did not take what it was sent.
	QueueDropped(queue string, n int)
}

// Config is what a Feed stands on. All is required but Heartbeat and Observer.
type Config struct {
	ChangeLog *changelog.Log
	Store     *store.Store
	Cache     *cache.Cache
	Issuer    string // tells this installation from another one that uses the same Redis
	Node      string // this node's name in receipts; no other node has it
	Clock     func() time.Time
	Logger    *slog.Logger
	Observer  Observer // nil: nothing is measured

	// MaxSubscribers bounds the streams at once. Half are kept for the
	// operator's organization, and another one may have an eighth.
	MaxSubscribers int
	// Heartbeat is the time between two signs of life on a stream; 0: 3 s.
	Heartbeat time.Duration
}

// recentEntries is how many entries are kept in memory for subscribers that
// come back.
const recentEntries = 4096

// Feed hands the revocations that this node applies to their subscribers, and
// knows who enforces what. It is a listener of the change log. It is safe for
// concurrent use.
type Feed struct {
	cfg      Config
	wake     chan struct{}
	streamed slots
	polled   slots
	callers  callers
	reads    *limits.Slots[string]
	receipts *receipts
	exchange *exchange

	mu      sync.Mutex
	closed  bool
	head    int64    // this node has applied the log up to here
	floor   int64    // recent holds every revocation after this one
	recent  []recent // in order
	keys    bool     // the signing keys changed, and live streams were not told yet
	streams map[*Stream]struct{}
	opened  int                   // streams so far: each takes the next of the turns
	turn    int                   // whose sign of life is next
	newest  map[string]int64      // organization → its newest revocation
	last    int64                 // the newest of all
	firsts  map[string]*firstPage // by Scope.key
	// wanted is the newest revocation that somebody waits for, by the
	// Scope.key of who waits, until live streams were asked for receipts.
	wanted map[string]int64
	// expected says who will wait for what is not revoked yet, by Scope.key.
	expected map[string]*expected
	groups   map[string]*group // by Scope.key; those that have live streams
	// receiptsFrom is from when on live streams may be asked for the next
	// receipts.
	receiptsFrom time.Time
}

// recent is a revocation as it goes over the wire.
type recent struct {
	seq   int64
	orgID string
	at    time.Time
	event []byte
	entry json.RawMessage // the part of event that is the entry
}

// New returns a Feed. It serves nothing before the change log has been loaded.
func New(cfg Config) *Feed {
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 3 * time.Second
	}
	room := max(minReceipts, cfg.MaxSubscribers*receiptsPerStream)
	f := &Feed{
		cfg:      cfg,
		wake:     make(chan struct{}, 1),
		streamed: newSlots(cfg.MaxSubscribers),
		polled:   newSlots(maxPolls),
		callers:  newCallers(cfg.MaxSubscribers),
		reads:    limits.NewSlots[string](feedReads, feedReadsKept),
		receipts: newReceipts(cfg.Node, cfg.Cache.Shared(), room, cfg.Clock),
		streams:  map[*Stream]struct{}{},
		newest:   map[string]int64{},
		firsts:   map[string]*firstPage{},
		wanted:   map[string]int64{},
		expected: map[string]*expected{},
		groups:   map[string]*group{},
	}
	f.exchange = newExchange(cfg, f)
	return f
}

// Apply takes entries of the change log. It only remembers them: [Feed.Run]
// hands them on.
func (f *Feed) Apply(_ context.Context, entries []store.Change) {
	now := f.cfg.Clock()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range entries {
		if c.Kind == store.ChangeKeys {
			f.keys = true
		}
		if c.Kind != store.ChangeRevocation {
			continue
		}
		if _, err := changelog.Revocation(c); err != nil {
			continue // the change log has logged it
		}
		// The payload is JSON that this server wrote: one line.
		event := wire.AppendEvent(nil, wire.EventRevocation, formatCursor(c.Seq), []byte(c.Payload))
		f.recent = append(f.recent, recent{
			seq: c.Seq, orgID: c.OrgID, at: now, event: event, entry: entryOf(event, len(c.Payload)),
		})
		f.newest[c.OrgID], f.last = c.Seq, c.Seq
		for _, key := range [2]string{"", c.OrgID} {
			if g := f.groups[key]; g != nil {
				g.news = true
			}
		}
	}
	f.head = entries[len(entries)-1].Seq
	if len(f.recent) > 2*recentEntries {
		f.fanOut(time.Now(), f.groups) // what leaves memory must be on its way
		f.floor = f.recent[len(f.recent)-recentEntries-1].seq
		f.recent = append([]recent(nil), f.recent[len(f.recent)-recentEntries:]...)
	}
	f.signal()
}

// signal has [Feed.Run] look for what is new.
func (f *Feed) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// ApplyEarly gives live streams revocations that are committed but can't be
// read from the table yet. They carry no cursor: the stream gets them again,
// with theirs.
func (f *Feed) ApplyEarly(entries []store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		for _, c := range entries {
			if s.live && s.sees(c.OrgID) {
				s.early = true
				f.send(s, wire.AppendEvent(nil, wire.EventRevocation, "", []byte(c.Payload)))
			}
		}
	}
}

// entryOf returns the part of an event that is its entry, of the given size.
func entryOf(event []byte, size int) json.RawMessage {
	end := len(event) - len("\n\n")
	return event[end-size : end : end]
}

// Reset forgets what was remembered. Every stream ends, and its subscriber
// comes back with its cursor. One that was given what was not in the table
// comes back for everything: that may be why there is a reset.
func (f *Feed) Reset(_ context.Context, head int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		if s.early && !s.over {
			s.Last = wire.AppendEvent(nil, wire.EventReset, formatCursor(0), wire.NoData)
		}
	}
	f.head, f.floor, f.recent = head, head, nil
	f.firsts = map[string]*firstPage{}
	f.wanted = map[string]int64{} // whoever comes back confirms unasked
	for _, e := range f.expected {
		e.asked = 0
	}
	f.endAll(EndReset)
}

// ParseCursor returns the cursor that a subscriber has sent, and false if the
// text is none.
func ParseCursor(text string) (cursor int64, ok bool) {
	cursor, err := strconv.ParseInt(text, 10, 64)
	return cursor, err == nil && cursor >= 0
}

func formatCursor(cursor int64) string { return strconv.FormatInt(cursor, 10) }

// Begin returns from where a subscriber that holds cursor has to read on, and
// how far this node knows the log. from is 0, the beginning, if there is no
// cursor, or if it lies beyond the log and so belongs to another one. Begin
// catches up with the log first, so that the subscriber never sees a stale
// head.
//
// No cursor is too old: the log keeps a revocation for as long as a token that
// it denies could live.
func (f *Feed) Begin(ctx context.Context, cursor int64) (from, head int64, err error) {
	if err := f.cfg.ChangeLog.CatchUp(ctx); err != nil {
		return 0, 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if cursor < 0 || cursor > f.head {
		cursor = 0
	}
	return cursor, f.head, nil
}

// Head returns the cursor up to which this node has applied the log.
func (f *Feed) Head() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

// Run hands on what is new, and signs of life, until ctx is done.
func (f *Feed) Run(ctx context.Context) error {
	exchanged := make(chan struct{})
	go func() { defer close(exchanged); f.exchange.run(ctx) }()
	defer func() { <-exchanged }()
	ticker := time.NewTicker(max(1, f.cfg.Heartbeat/turns))
	defer ticker.Stop()
	var more <-chan time.Time // when what must wait may go out
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			f.heartbeat()
			continue
		case <-f.wake:
		case <-more:
		}
		more = nil
		if wait := f.handOn(time.Now()); wait > 0 {
			more = time.After(wait)
		}
	}
}

// turns is in how many parts the streams get their signs of life, one after
// another: a revocation must not wait behind those of all.
const turns = 32

// heartbeat tells the live streams whose turn it is that they have everything,
// and up to where. Those that wait for revocations hear it together with these.
// A node that can't read the log does not say so. It ends its streams: their
// subscribers go to another node, or find that they are stale.
func (f *Feed) heartbeat() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.turn = (f.turn + 1) % turns; f.turn == 0 {
		f.receipts.sweep()
	}
	if !f.cfg.ChangeLog.Fresh() {
		f.endAll(EndBehind)
		return
	}
	beat := f.beat()
	for s := range f.streams {
		if s.turn != f.turn {
			continue
		}
		f.countStream(s)
		if g := f.groups[s.key()]; s.live && g.news {
			g.beats = true
		} else if s.live {
			f.send(s, beat)
		}
	}
	for _, g := range f.groups {
		if !g.news {
			g.fanned = f.head // so that nobody looks there again
		}
	}
}

// beat moves the cursor and nothing else. f.mu is held.
func (f *Feed) beat() []byte { return wire.AppendHeartbeat(nil, formatCursor(f.head)) }

// Close ends every stream and every wait at once, and lets no new one begin.
func (f *Feed) Close() {
	f.mu.Lock()
	f.closed = true
	f.endAll(EndShutdown)
	f.mu.Unlock()
	f.receipts.close()
}
