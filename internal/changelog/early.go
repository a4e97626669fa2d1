package changelog

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/svcauth/svcauth/internal/store"
)

// maxEarly bounds what is enforced before it was read from the table.
const maxEarly = 10 * pageSize

// earlySet holds the revocations that are in force although they were not read
// from the table yet. Each stays until it is.
type earlySet struct {
	mu    sync.Mutex
	bySeq map[int64]announcement
}

// applyEarly enforces revocations that were not read from the table yet.
func (l *Log) applyEarly(news []announcement) {
	entries := l.addEarly(news)
	if len(entries) == 0 {
		return
	}
	for _, listener := range l.earlyListeners {
		listener.ApplyEarly(entries)
	}
}

// addEarly adds the revocations that are new to the set of early ones and puts
// them into force. It returns them as entries of the log.
func (l *Log) addEarly(news []announcement) (entries []store.Change) {
	l.early.mu.Lock()
	defer l.early.mu.Unlock()
	for _, a := range news {
		_, known := l.early.bySeq[a.Seq]
		if known || a.Seq <= l.head.Load() || len(l.early.bySeq) >= maxEarly {
			continue
		}
		payload, err := json.Marshal(a.Revocation)
		if err != nil {
			continue
		}
		l.early.bySeq[a.Seq] = a
		l.cfg.Revocations.Add(a.Revocation) // under the lock: confirm must not come between
		entries = append(entries, store.Change{
			Seq: a.Seq, OrgID: a.OrgID, Kind: store.ChangeRevocation, Payload: string(payload),
		})
	}
	return entries
}

// confirm removes those that have now been read from the table.
func (s *earlySet) confirm(read []announcement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range read {
		if s.bySeq[a.Seq] == a {
			delete(s.bySeq, a.Seq)
		}
	}
}

// all returns the positions of all early revocations.
func (s *earlySet) all() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.bySeq))
}

// count returns how many of the given ones are still in the set. After the
// table has been read to its end, those are not in it.
func (s *earlySet) count(seqs []int64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		if _, ok := s.bySeq[seq]; ok {
			n++
		}
	}
	return n
}

// remove forgets the given ones. What came since they were listed stays.
func (s *earlySet) remove(seqs []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		delete(s.bySeq, seq)
	}
}
