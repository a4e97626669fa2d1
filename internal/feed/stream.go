package feed

import (
	"errors"
	"sort"
)

// Why a stream ended, for the log: words from a closed list.
const (
	EndSlow     = "slow"     // it did not take what it was sent
	EndBehind   = "behind"   // this node can't read the change log
	EndReset    = "reset"    // this node began afresh
	EndShutdown = "shutdown" // this node ends
)

// ErrFull says that there are as many streams as there may be.
var ErrFull = errors.New("too many follow the feed at this node")

// queued is how many chunks may wait for one stream. A chunk is shared by all streams that get it.
const queued = 64

// Identity is who follows the feed. Instance tells the processes of one client apart; empty: it has not said.
type Identity struct {
	Scope
	ClientID string
	Name     string
	Audience string
	Instance string
}

// Stream is one follower's connection. It counts from [Feed.Open] to [Feed.Leave].
type Stream struct {
	Identity
	Chunks <-chan []byte   // events, encoded
	Ended  <-chan struct{} // closed when the stream must end
	Why    string          // set before Ended is closed
	Last   []byte          // what is still to be written then

	chunks chan []byte
	ended  chan struct{}
	over   bool // Ended is closed
	live   bool // gets what is new
	early  bool // was given what is not in the table yet

	counted bool // there is a receipt of it
}

// Open takes a place for a follower, which then reads what it lacks. [ErrFull]: there is none.
func (f *Feed) Open(who Identity) (*Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || !f.places.take(who.Scope) {
		return nil, ErrFull
	}
	s := &Stream{Identity: who, chunks: make(chan []byte, queued), ended: make(chan struct{})}
	s.Chunks, s.Ended = s.chunks, s.ended
	f.streams[s] = struct{}{}
	f.cfg.OnFollowers(len(f.streams))
	f.countStream(s)
	return s, nil
}

// countStream makes a receipt of a stream, if it has none and there is room;
// else it is tried again with each sign of life. f.mu is held.
func (f *Feed) countStream(s *Stream) {
	if !s.counted {
		s.counted = f.receipts.opened(s.Identity)
	}
}

// Join makes a stream live: after it, the stream gets everything that comes after what the caller has been told. missing is what lies between the
// cursor and there, with a sign of life at its end. ok is false where that is too much to be in memory: read on from the table and come again.
func (f *Feed) Join(s *Stream, cursor int64) (missing []byte, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cursor < f.floor {
		return nil, false
	}
	f.fanOut()
	for _, r := range f.after(cursor) {
		if s.sees(r.orgID) {
			missing = append(missing, r.event...)
		}
	}
	s.live = true
	return append(missing, f.beat()...), true
}

// Leave gives the place back and says why the stream ended.
func (f *Feed) Leave(s *Stream, why string) {
	if why == EndSlow {
		f.cfg.OnSlow()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, s)
	f.places.give(s.Scope)
	f.cfg.OnFollowers(len(f.streams))
	if s.counted {
		f.receipts.closed(s.Identity)
	}
}

// Followers is how many streams there are.
func (f *Feed) Followers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams)
}

// after gives the remembered revocations after a cursor. f.mu is held.
func (f *Feed) after(cursor int64) []recent {
	return f.recent[sort.Search(len(f.recent), func(i int) bool { return f.recent[i].seq > cursor }):]
}

// fanOut gives live streams what they were not given yet, encoded once for all. f.mu is held.
func (f *Feed) fanOut() {
	if f.keys {
		f.keys = false
		for s := range f.streams {
			if s.live {
				f.give(s, []byte(keysEvent))
			}
		}
	}
	fresh := f.after(f.fanned)
	if len(fresh) == 0 {
		return
	}
	f.fanned = fresh[len(fresh)-1].seq
	if len(f.streams) == 0 {
		return
	}
	var all []byte
	own := map[string][]byte{}
	for _, r := range fresh {
		all = append(all, r.event...)
		own[r.orgID] = append(own[r.orgID], r.event...)
	}
	for s := range f.streams {
		switch {
		case !s.live:
		case s.Operator:
			f.give(s, all)
		case own[s.OrgID] != nil:
			f.give(s, own[s.OrgID])
		}
	}
}

// give never waits: who has not taken the last 64 chunks is sent away and comes back by its cursor. f.mu is held.
func (f *Feed) give(s *Stream, chunk []byte) {
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
