package feed

import (
	"sort"
	"time"

	"github.com/svcauth/svcauth/internal/wire"
)

// Why a stream ended, for the log: words from a closed list.
const (
	EndSlow     = "slow"     // it did not take what it was sent
	EndBehind   = "behind"   // this node can't read the change log
	EndReset    = "reset"    // this node began afresh
	EndShutdown = "shutdown" // this node ends
	EndGone     = "gone"     // its subscriber has left
)

// queued is how many chunks may wait for one stream. A chunk is shared by all
// streams that get it.
const queued = 64

// Subscriber is one process that subscribes to the feed.
type Subscriber struct {
	Scope
	ClientID string
	Name     string
	Audience string
	Instance string // tells the processes of one client apart; empty: it has not said
	Version  string // of pkg/resourceserver; empty: it has not said
}

// Stream is one subscriber's connection. It counts from [Feed.Open] to
// [Feed.Leave].
type Stream struct {
	Subscriber
	Chunks <-chan []byte   // events, encoded; closed when the stream must end
	Ended  <-chan struct{} // closed then, too
	Why    string          // set before they are closed
	Last   []byte          // what is still to be written then

	turn    int // of those in which signs of life are given
	chunks  chan []byte
	ended   chan struct{}
	over    bool // Ended is closed
	live    bool // gets what is new
	early   bool // was given what is not in the table yet
	counted bool // there is a receipt of it
}

// Open takes a slot for a stream, which then reads what its subscriber lacks.
// It returns [ErrFull] if there is none.
func (f *Feed) Open(who Subscriber) (*Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || !f.streamed.take(who.Scope) {
		return nil, ErrFull
	}
	f.opened++
	s := &Stream{
		Subscriber: who, turn: f.opened % turns, chunks: make(chan []byte, queued), ended: make(chan struct{}),
	}
	s.Chunks, s.Ended = s.chunks, s.ended
	f.streams[s] = struct{}{}
	f.measureStreams()
	f.countStream(s)
	return s, nil
}

func (f *Feed) measureStreams() {
	if f.cfg.Observer != nil {
		f.cfg.Observer.FeedSubscribers(len(f.streams))
	}
}

// countStream makes a receipt of a stream, if it has none and there is room.
// Otherwise it is tried again with each sign of life. f.mu is held.
func (f *Feed) countStream(s *Stream) {
	if !s.counted {
		s.counted = f.receipts.opened(s.Subscriber)
	}
}

// Subscribe makes a stream live: from now on it gets everything that comes
// after what the caller has been told. missing is what lies between the cursor
// and there, with a sign of life at its end. ok is false if that is too much to
// be in memory: the caller reads on from the table and tries again.
func (f *Feed) Subscribe(s *Stream, cursor int64) (missing []byte, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cursor < f.floor {
		return nil, false
	}
	if g := f.groups[s.key()]; g != nil {
		f.fanOut(time.Now(), map[string]*group{s.key(): g})
	}
	for _, r := range f.after(cursor) {
		if s.sees(r.orgID) {
			missing = append(missing, r.event...)
		}
	}
	f.enliven(s)
	return append(missing, f.beat()...), true
}

// Leave releases the stream's slot. why says why it ended.
func (f *Feed) Leave(s *Stream, why string) {
	if why == EndSlow && f.cfg.Observer != nil {
		f.cfg.Observer.QueueDropped("feed", 1)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, s)
	f.quiet(s)
	f.streamed.release(s.Scope)
	f.measureStreams()
	if s.counted {
		f.receipts.closed(s.Subscriber)
	}
}

// after returns the revocations in memory after a cursor. f.mu is held.
func (f *Feed) after(cursor int64) []recent {
	return f.recent[sort.Search(len(f.recent), func(i int) bool { return f.recent[i].seq > cursor }):]
}

// fanOut gives some groups what they were not given yet, the operator's first,
// and asks those for receipts from whom somebody waits for one. It encodes once
// for all of a group. f.mu is held.
func (f *Feed) fanOut(now time.Time, groups map[string]*group) {
	if f.keys {
		f.keys = false
		// It has no cursor: whoever was away fetches the key set when it is
		// back.
		event := wire.AppendEvent(nil, wire.EventKeys, "", wire.NoData)
		for s := range f.streams {
			if s.live {
				f.send(s, event)
			}
		}
	}
	chunks, fresh := f.chunks(groups)
	scopes := f.toAsk(now, fresh)
	if len(scopes) > 0 {
		scopes[""] = true // the operator's serve everybody, see Scope.servedBy
	}
	confirm := wire.AppendEvent(nil, wire.EventConfirm, "", wire.NoData)
	asked := 0
	for key := range scopes {
		if g := f.groups[key]; g != nil {
			chunks[key] = append(chunks[key], confirm...)
			asked += len(g.streams)
		}
	}
	if len(scopes) > 0 {
		f.receiptsFrom = now.Add(time.Second * time.Duration(asked) / time.Duration(f.callers.receiptsPerSecond))
	}
	f.give("", chunks[""])
	delete(chunks, "")
	for key, chunk := range chunks {
		f.give(key, chunk)
	}
}

// chunks returns what some groups were not given yet, and whose revocations
// that are. The groups have them from now on. f.mu is held.
func (f *Feed) chunks(groups map[string]*group) (chunks map[string][]byte, fresh map[string]bool) {
	chunks, fresh = map[string][]byte{}, map[string]bool{}
	from := f.head
	for _, g := range groups {
		from = min(from, g.fanned)
	}
	for _, r := range f.after(from) {
		for _, key := range [2]string{"", r.orgID} {
			if g := groups[key]; g != nil && r.seq > g.fanned {
				chunks[key], fresh[r.orgID] = append(chunks[key], r.event...), true
			}
		}
	}
	for key, g := range groups {
		if g.beats {
			chunks[key] = append(chunks[key], f.beat()...)
		}
		g.fanned, g.news, g.beats = f.head, false, false
	}
	return chunks, fresh
}

// give sends a chunk, if there is one, to all streams of a group. f.mu is held.
func (f *Feed) give(key string, chunk []byte) {
	if g := f.groups[key]; g != nil && chunk != nil {
		for s := range g.streams {
			f.send(s, chunk)
		}
	}
}

// send never waits. A stream that has not taken the last 64 chunks is ended,
// and its subscriber comes back with its cursor. f.mu is held.
func (f *Feed) send(s *Stream, chunk []byte) {
	select {
	case s.chunks <- chunk:
	default:
		f.end(s, EndSlow)
	}
}

func (f *Feed) end(s *Stream, why string) {
	if s.over {
		return
	}
	s.Why, s.over = why, true
	f.quiet(s)
	close(s.ended)
	close(s.chunks)
}

// End ends a stream, if it has not ended yet.
func (f *Feed) End(s *Stream, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(s, why)
}

func (f *Feed) endAll(why string) {
	for s := range f.streams {
		f.end(s, why)
	}
}
