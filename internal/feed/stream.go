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
	Chunks <-chan []byte   // events, encoded
	Ended  <-chan struct{} // closed when the stream must end
	Why    string          // set before Ended is closed
	Last   []byte          // what is still to be written then

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
	s := &Stream{Subscriber: who, chunks: make(chan []byte, queued), ended: make(chan struct{})}
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
	f.fanOut(time.Now())
	for _, r := range f.after(cursor) {
		if s.sees(r.orgID) {
			missing = append(missing, r.event...)
		}
	}
	s.live = true
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

// fanOut gives live streams what they were not given yet, and asks those for
// receipts from whom somebody waits for one. It encodes once for all. f.mu is
// held.
func (f *Feed) fanOut(now time.Time) {
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
	chunks := map[string][]byte{} // by organization; those of all are the operator's, by Scope.key
	for _, r := range f.after(f.fanned) {
		chunks[""] = append(chunks[""], r.event...)
		chunks[r.orgID] = append(chunks[r.orgID], r.event...)
		f.fanned = r.seq
	}
	scopes := f.toAsk(now, chunks)
	confirm := wire.AppendEvent(nil, wire.EventConfirm, "", wire.NoData)
	for key := range scopes {
		if key != "" {
			chunks[key] = append(chunks[key], confirm...)
		}
	}
	if len(scopes) > 0 { // the operator's serve everybody, see Scope.servedBy
		chunks[""] = append(chunks[""], confirm...)
	}
	asked := 0
	for s := range f.streams {
		chunk := chunks[s.key()]
		if !s.live || chunk == nil {
			continue
		}
		f.send(s, chunk)
		if len(scopes) > 0 && (s.Operator || scopes[s.key()]) {
			asked++
		}
	}
	if len(scopes) > 0 {
		f.pace.asked(now, asked, f.callers.receiptsPerSecond)
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
	s.Why, s.over, s.live = why, true, false
	close(s.ended)
}

func (f *Feed) endAll(why string) {
	for s := range f.streams {
		f.end(s, why)
	}
}
