package cache

import (
	"container/heap"
	"context"
	"maps"
	"sync"
	"time"
)

// maxRecords bounds the twin as a whole, at about half a kilobyte a record.
// Beyond it, the oldest record of the organization that has most is dropped, so
// that no organization can push out the records of one that has fewer.
const maxRecords = 100_000

// memoryRecords holds the twin's records. What it does for a token does not
// depend on how many it holds, except for the order of the organizations. It
// removes expired records when others come, those of a minute at once, so it
// needs no loop of its own.
type memoryRecords struct {
	clock func() time.Time

	mu       sync.Mutex
	byJTI    map[string]*heldRecord
	byClient map[string]*chain
	byMinute map[int64]*chain // in which they have expired
	byOrg    map[string]*orgRecords
	crowded  crowd // the organization with most records first
	swept    int64 // the last minute whose records were removed

	// lacking has the clients and organizations of which a record was dropped,
	// and until when one of these tokens is live.
	lacking map[string]time.Time
	gap     gap // what an earlier process may have recorded

	oneOfMany bool // other nodes may have records of their own
}

type heldRecord struct {
	TokenRecord
	minute int64
	links  [chains]struct{ before, after *heldRecord }
}

// orgRecords are the records of one organization.
type orgRecords struct {
	chain
	id    string
	index int // in the crowd
}

func newMemoryRecords(cfg Config) *memoryRecords {
	clock := cfg.Clock
	return &memoryRecords{
		clock: clock, gap: gapFrom(clock()), oneOfMany: cfg.OneOfMany, swept: minuteOf(clock()) - 1,
		byJTI: map[string]*heldRecord{}, byClient: map[string]*chain{}, byMinute: map[int64]*chain{},
		byOrg: map[string]*orgRecords{}, lacking: map[string]time.Time{},
	}
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func (m *memoryRecords) record(r TokenRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	if old := m.byJTI[r.JTI]; old != nil {
		m.remove(old)
	}
	if own := m.byClient[r.ClientID]; own != nil && own.n >= maxPerClient {
		m.giveWay(own.first, r.ClientID)
	}
	if len(m.byJTI) >= maxRecords {
		most := m.crowded[0]
		m.giveWay(most.first, most.id)
	}
	m.add(&heldRecord{TokenRecord: r})
}

// sweep removes the records of the minutes that are over.
func (m *memoryRecords) sweep() {
	now := m.clock()
	last := minuteOf(now) - 1
	if m.swept >= last {
		return
	}
	if last-m.swept > int64(len(m.byMinute)) {
		for minute := range m.byMinute {
			m.sweepMinute(minute, last)
		}
	} else {
		for minute := m.swept + 1; minute <= last; minute++ {
			m.sweepMinute(minute, last)
		}
	}
	m.swept = last
	maps.DeleteFunc(m.lacking, func(_ string, until time.Time) bool { return !until.After(now) })
}

func (m *memoryRecords) sweepMinute(minute, last int64) {
	if minute > last {
		return
	}
	for all := m.byMinute[minute]; all != nil && all.n > 0; {
		m.remove(all.first)
	}
}

// giveWay removes a record whose token may be live, and remembers whose it was.
func (m *memoryRecords) giveWay(h *heldRecord, owner string) {
	if h.ExpiresAt.After(m.lacking[owner]) {
		m.lacking[owner] = h.ExpiresAt
	}
	m.remove(h)
}

func (m *memoryRecords) add(h *heldRecord) {
	// If the clock was set back, it is among those that are removed next.
	h.minute = max(minuteOf(h.ExpiresAt), m.swept+1)
	m.byJTI[h.JTI] = h
	chainOf(m.byClient, h.ClientID, ofClient).push(h)
	chainOf(m.byMinute, h.minute, ofMinute).push(h)
	org := m.byOrg[h.OrgID]
	if org == nil {
		org = &orgRecords{chain: chain{of: ofOrg}, id: h.OrgID}
		m.byOrg[h.OrgID] = org
		heap.Push(&m.crowded, org)
	}
	org.push(h)
	heap.Fix(&m.crowded, org.index)
}

func (m *memoryRecords) remove(h *heldRecord) {
	delete(m.byJTI, h.JTI)
	unchain(m.byClient, h.ClientID, h)
	unchain(m.byMinute, h.minute, h)
	org := m.byOrg[h.OrgID]
	org.drop(h)
	if org.n > 0 {
		heap.Fix(&m.crowded, org.index)
		return
	}
	heap.Remove(&m.crowded, org.index)
	delete(m.byOrg, org.id)
}

func (m *memoryRecords) revoke(jti string, _ time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.byJTI[jti]; h != nil {
		m.remove(h)
	}
}

func (m *memoryRecords) list(_ context.Context, orgID, clientID string, made time.Time,
) (out []TokenRecord, partial bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	if own := m.byClient[clientID]; own != nil {
		for h := own.first; h != nil; h = h.links[ofClient].after {
			if h.ExpiresAt.After(now) {
				out = append(out, h.TokenRecord)
			}
		}
	}
	partial = m.lacking[clientID].After(now) || m.lacking[orgID].After(now) || m.gap.hides(made, now) || m.oneOfMany
	return newestFirst(out), partial, nil
}

func (m *memoryRecords) find(_ context.Context, jti string) (TokenRecord, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.byJTI[jti]
	if h == nil || !h.ExpiresAt.After(m.clock()) {
		return TokenRecord{}, false, nil
	}
	return h.TokenRecord, true, nil
}
