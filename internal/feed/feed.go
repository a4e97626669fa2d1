// Package feed hands revocations to the resource servers that subscribe to them:
// as a stream or in pages. It keeps their receipts, so that whoever has revoked
// something can wait until it is enforced everywhere.
//
// It owns: who may see which entries, what is kept in memory for streams, the
// bounds on streams and polls, and the receipts of all nodes.
// It refuses to know: HTTP, why something was revoked, and how the change log is
// read.
package feed

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
)

// Scope is whose revocations somebody may see: those of one organization, or in the operator's organization everybody's.
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

// served gives the keys of the scopes whose resource servers serve s: the
// operator's serve everybody.
func (s Scope) served() []string {
	if s.Operator {
		return []string{""}
	}
	return []string{"", s.OrgID}
}

// Config is what a Feed stands on.
type Config struct {
	ChangeLog *changelog.Log
	Store     *store.Store
	Cache     *cache.Cache
	Issuer    string // tells this installation from another one that uses the same Redis
	Node      string // this node's name in receipts; no other node has it
	Clock     func() time.Time
	Logger    *slog.Logger

	MaxFollowers int           // streams at once; half are kept for the operator's organization, and another one may have an eighth
	Heartbeat    time.Duration // between two signs of life on a silent stream; 0: 3 s

	OnFollowers func(int) // how many streams there are; nil: nobody is told
	OnSlow      func()    // a follower was sent away because it did not take what it was sent; nil: nobody is told
}

// Entries kept in memory for those who come back, and rows read at once.
const (
	recentEntries = 4096
	feedPageSize  = 2000
)

// Feed hands the revocations that this node applies to their subscribers, and
// knows who enforces what. It is a listener of the change log.
type Feed struct {
	cfg      Config
	wake     chan struct{}
	places   places // streams
	polls    places
	asking   asking
	reads    *limits.Slots[string]
	receipts *receipts
	heard    atomic.Int64 // when this node last heard itself through Redis, ms
	speaking sync.Mutex
	said     int64            // how often this node has spoken; guarded by speaking
	hearing  map[string]int64 // node → number of its word heard last; only hear uses it

	mu      sync.Mutex
	closed  bool
	head    int64    // this node has applied the log up to here
	floor   int64    // recent holds every revocation after this one
	fanned  int64    // live streams were given every revocation up to here
	recent  []recent // in order
	keys    bool     // the signing keys changed, and live streams were not told yet
	streams map[*Stream]struct{}
	newest  map[string]int64      // organization → its newest revocation
	last    int64                 // the newest of all
	firsts  map[string]*firstPage // by Scope.key
}

// recent is a revocation as it goes over the wire.
type recent struct {
	seq   int64
	orgID string
	at    time.Time
	event []byte
	entry json.RawMessage // the part of event that is the entry
}

// New makes a feed. It serves nothing before the follower has loaded.
func New(cfg Config) *Feed {
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 3 * time.Second
	}
	if cfg.OnFollowers == nil {
		cfg.OnFollowers = func(int) {}
	}
	if cfg.OnSlow == nil {
		cfg.OnSlow = func() {}
	}
	return &Feed{cfg: cfg, wake: make(chan struct{}, 1), places: newPlaces(cfg.MaxFollowers), polls: newPlaces(maxPolls), asking: newAsking(cfg.MaxFollowers),
		reads: limits.NewSlots[string](feedReads, feedReadsKept), receipts: newReceipts(cfg.Node, max(minReceipts, cfg.MaxFollowers*receiptsPerStream), cfg.Clock),
		hearing: map[string]int64{}, streams: map[*Stream]struct{}{}, newest: map[string]int64{}, firsts: map[string]*firstPage{}}
}

// Apply takes entries of the change log. It only remembers them: [Feed.Run] hands
// them on.
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
		event := event(c)
		f.recent = append(f.recent, recent{seq: c.Seq, orgID: c.OrgID, at: now, event: event, entry: entryOf(c, event)})
		f.newest[c.OrgID], f.last = c.Seq, c.Seq
	}
	f.head = entries[len(entries)-1].Seq
	if len(f.recent) > 2*recentEntries {
		f.fanOut() // what leaves memory must be on its way
		f.floor = f.recent[len(f.recent)-recentEntries-1].seq
		f.recent = append([]recent(nil), f.recent[len(f.recent)-recentEntries:]...)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// keysEvent says that the key set is another one. It has no cursor: who was away then fetches the key set when it is back.
const keysEvent = "event: keys\ndata: {}\n\n"

// ApplyEarly gives live streams revocations that are committed but can't be read
// from the table yet. They carry no cursor: the stream gets them again, with
// theirs.
func (f *Feed) ApplyEarly(entries []store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		for _, c := range entries {
			if s.live && s.sees(c.OrgID) {
				s.early = true
				f.give(s, []byte("event: revocation\ndata: "+c.Payload+"\n\n"))
			}
		}
	}
}

// event writes an entry as a server-sent event. Its payload is JSON that this server wrote: one line.
func event(c store.Change) []byte {
	b := make([]byte, 0, len(c.Payload)+64)
	b = append(b, "event: revocation\nid: "...)
	b = strconv.AppendInt(b, c.Seq, 10)
	b = append(b, "\ndata: "...)
	b = append(b, c.Payload...)
	return append(b, "\n\n"...)
}

// entryOf returns the part of an event that is its entry.
func entryOf(c store.Change, event []byte) json.RawMessage {
	end := len(event) - len("\n\n")
	return event[end-len(c.Payload) : end : end]
}

// beginAnew moves a follower's cursor to the beginning. It has data because
// usual readers drop a block without, and its id with it.
const beginAnew = "event: reset\nid: 0\ndata: {}\n\n"

// Reset forgets what was remembered; every stream ends and comes back by its
// cursor. One that was given what was not in the table comes back for all of
// it: that may be why there is a reset.
func (f *Feed) Reset(_ context.Context, head int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		if s.early && !s.over {
			s.Last = []byte(beginAnew)
		}
	}
	f.head, f.floor, f.fanned, f.recent = head, head, head, nil
	f.firsts = map[string]*firstPage{}
	f.endAll(EndReset)
}

// Begin says where a follower that holds cursor has to read on, and how far this node knows the log. from 0 means from the beginning: because there is no
// cursor, or because it is ahead of the log and so of another one. It first reads what is new, so that who asks is told no old story.
//
// No cursor is too old: the log keeps a revocation for as long as a token that it denies could live.
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

// Run hands on what is new, and signs of life, until ctx is done.
func (f *Feed) Run(ctx context.Context) error {
	shared := make(chan struct{})
	go func() { defer close(shared); f.share(ctx) }()
	defer func() { <-shared }()
	ticker := time.NewTicker(f.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
			f.mu.Lock()
			f.fanOut()
			f.mu.Unlock()
		case <-ticker.C:
			f.receipts.sweep()
			f.heartbeat()
		}
	}
}

// heartbeat tells live streams that they have everything, and up to where. A node that can't read the log does not say so: it sends its followers away, to another
// node or to their own bound of staleness.
func (f *Feed) heartbeat() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.cfg.ChangeLog.Fresh() {
		f.endAll(EndBehind)
		return
	}
	f.fanOut()
	beat := f.beat()
	for s := range f.streams {
		if s.live {
			f.give(s, beat)
		}
		f.countStream(s)
	}
}

// beat moves the cursor and nothing else.
func (f *Feed) beat() []byte {
	// The comment is what older followers of ours know, the event what standard
	// clients hear: those drop a block without data (WHATWG HTML §9.2.6).
	return append(strconv.AppendInt([]byte(": heartbeat\nevent: heartbeat\nid: "), f.head, 10), "\ndata: {}\n\n"...)
}

// Close ends every stream and every wait at once, and lets no new one begin.
func (f *Feed) Close() {
	f.mu.Lock()
	f.closed = true
	f.endAll(EndShutdown)
	f.mu.Unlock()
	f.receipts.close()
}
