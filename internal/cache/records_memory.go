package cache

import (
	"container/heap"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// maxRecords bounds the twin as a whole, at about half a kilobyte a record. If
// it is reached, a record of the organization that has most gives way, so that
// no organization can push out those of one that has fewer.
const maxRecords = 100_000

// memoryRecords is the twin's store. Expired records leave when others come,
// soonest first, so it needs no loop of its own.
type memoryRecords struct {
	clock func() time.Time

	mu       sync.Mutex
	byJTI    map[string]*heldRecord
	byClient map[string][]*heldRecord // oldest first
	byOrg    map[string]*orgRecords
	expiring ordered[*heldRecord] // of all organizations
	crowded  ordered[*orgRecords] // that with most records first

	// lacking has the organizations of which a record had to give way, and until
	// when one of these tokens is live.
	lacking map[string]time.Time
}

type heldRecord struct {
	TokenRecord
	index, orgIndex int // in expiring, and in that of its organization
}

// orgRecords are the records of one organization.
type orgRecords struct {
	id       string
	expiring ordered[*heldRecord]
	index    int // in crowded
}

func newMemoryRecords(clock func() time.Time) *memoryRecords {
	return &memoryRecords{
		clock: clock,
		byJTI: map[string]*heldRecord{}, byClient: map[string][]*heldRecord{}, byOrg: map[string]*orgRecords{},
		lacking:  map[string]time.Time{},
		expiring: ordered[*heldRecord]{before: expiresSooner, place: func(h *heldRecord) *int { return &h.index }},
		crowded: ordered[*orgRecords]{
			before: func(a, b *orgRecords) bool { return a.expiring.Len() > b.expiring.Len() },
			place:  func(o *orgRecords) *int { return &o.index },
		},
	}
}

func expiresSooner(a, b *heldRecord) bool { return a.ExpiresAt.Before(b.ExpiresAt) }

func (m *memoryRecords) record(r TokenRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for m.expiring.Len() > 0 && !m.expiring.all[0].ExpiresAt.After(now) {
		m.remove(m.expiring.all[0])
	}
	if old := m.byJTI[r.JTI]; old != nil {
		m.remove(old)
	}
	if own := m.byClient[r.ClientID]; len(own) >= maxPerClient {
		m.remove(own[0])
	}
	if m.expiring.Len() >= maxRecords {
		victim := m.crowded.all[0].expiring.all[0]
		m.lacks(victim.OrgID, victim.ExpiresAt, now)
		m.remove(victim)
	}
	m.add(&heldRecord{TokenRecord: r})
}

// lacks notes that a record of an organization had to give way.
func (m *memoryRecords) lacks(orgID string, until, now time.Time) {
	before, known := m.lacking[orgID]
	if !known {
		maps.DeleteFunc(m.lacking, func(_ string, until time.Time) bool { return !until.After(now) })
	}
	if until.After(before) {
		m.lacking[orgID] = until
	}
}

func (m *memoryRecords) add(h *heldRecord) {
	m.byJTI[h.JTI] = h
	m.byClient[h.ClientID] = append(m.byClient[h.ClientID], h)
	heap.Push(&m.expiring, h)
	org := m.byOrg[h.OrgID]
	if org == nil {
		org = &orgRecords{id: h.OrgID}
		org.expiring = ordered[*heldRecord]{before: expiresSooner, place: func(h *heldRecord) *int { return &h.orgIndex }}
		m.byOrg[h.OrgID] = org
		heap.Push(&m.crowded, org)
	}
	heap.Push(&org.expiring, h)
	heap.Fix(&m.crowded, org.index)
}

func (m *memoryRecords) remove(h *heldRecord) {
	heap.Remove(&m.expiring, h.index)
	delete(m.byJTI, h.JTI)
	org := m.byOrg[h.OrgID]
	heap.Remove(&org.expiring, h.orgIndex)
	heap.Fix(&m.crowded, org.index)
	if org.expiring.Len() == 0 {
		heap.Remove(&m.crowded, org.index)
		delete(m.byOrg, org.id)
	}
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

func (m *memoryRecords) list(_ context.Context, orgID, clientID string) (out []TokenRecord, partial bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for _, h := range m.byClient[clientID] {
		if h.ExpiresAt.After(now) {
			out = append(out, h.TokenRecord)
		}
	}
	return newestFirst(out), len(out) >= maxPerClient || m.lacking[orgID].After(now), nil
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

// ordered is a heap that knows where each of its elements is.
type ordered[T any] struct {
	all    []T
	before func(a, b T) bool
	place  func(T) *int
}

func (o *ordered[T]) Len() int           { return len(o.all) }
func (o *ordered[T]) Less(i, j int) bool { return o.before(o.all[i], o.all[j]) }
func (o *ordered[T]) Swap(i, j int) {
	o.all[i], o.all[j] = o.all[j], o.all[i]
	*o.place(o.all[i]), *o.place(o.all[j]) = i, j
}

func (o *ordered[T]) Push(x any) {
	one := x.(T)
	*o.place(one) = len(o.all)
	o.all = append(o.all, one)
}

func (o *ordered[T]) Pop() any {
	var none T
	last := o.all[len(o.all)-1]
	o.all[len(o.all)-1] = none
	o.all = o.all[:len(o.all)-1]
	return last
}
