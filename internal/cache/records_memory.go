package cache

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"
)

// maxRecords bounds the twin as a whole, at about half a kilobyte a record.
const maxRecords = 100_000

// memoryRecords is the twin's store. Expired records leave when others come, soonest first, so it needs no loop of its own.
type memoryRecords struct {
	clock func() time.Time

	mu       sync.Mutex
	byJTI    map[string]*heldRecord
	byClient map[string][]*heldRecord // oldest first
	expiring recordHeap
}

type heldRecord struct {
	TokenRecord
	index int // in expiring
}

func newMemoryRecords(clock func() time.Time) *memoryRecords {
	return &memoryRecords{clock: clock, byJTI: map[string]*heldRecord{}, byClient: map[string][]*heldRecord{}}
}

func (m *memoryRecords) record(r TokenRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for len(m.expiring) > 0 && (len(m.expiring) >= maxRecords || !m.expiring[0].ExpiresAt.After(now)) {
		m.remove(m.expiring[0])
	}
	if old := m.byJTI[r.JTI]; old != nil {
		m.remove(old)
	}
	if own := m.byClient[r.ClientID]; len(own) >= maxPerClient {
		m.remove(own[0])
	}
	h := &heldRecord{TokenRecord: r}
	m.byJTI[r.JTI] = h
	m.byClient[r.ClientID] = append(m.byClient[r.ClientID], h)
	heap.Push(&m.expiring, h)
}

func (m *memoryRecords) remove(h *heldRecord) {
	heap.Remove(&m.expiring, h.index)
	delete(m.byJTI, h.JTI)
	own := m.byClient[h.ClientID]
	if i := slices.Index(own, h); i >= 0 {
		own = slices.Delete(own, i, i+1)
	}
	if len(own) == 0 {
		delete(m.byClient, h.ClientID)
		return
	}
	m.byClient[h.ClientID] = own
}

func (m *memoryRecords) revoke(jti string, _ time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.byJTI[jti]; h != nil {
		m.remove(h)
	}
}

func (m *memoryRecords) list(_ context.Context, clientID string) ([]TokenRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []TokenRecord
	now := m.clock()
	for _, h := range m.byClient[clientID] {
		if h.ExpiresAt.After(now) {
			out = append(out, h.TokenRecord)
		}
	}
	return newestFirst(out), nil
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

func (m *memoryRecords) forget(_ context.Context, clientID, jti string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.byJTI[jti]; h != nil && h.ClientID == clientID {
		m.remove(h)
	}
	return nil
}

// recordHeap has the record that expires first at its top.
type recordHeap []*heldRecord

func (h recordHeap) Len() int           { return len(h) }
func (h recordHeap) Less(i, j int) bool { return h[i].ExpiresAt.Before(h[j].ExpiresAt) }
func (h recordHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *recordHeap) Push(x any) {
	r := x.(*heldRecord)
	r.index = len(*h)
	*h = append(*h, r)
}

func (h *recordHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
