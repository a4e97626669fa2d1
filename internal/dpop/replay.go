package dpop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// remembered is for how long a proof could be taken again: from the earliest
// moment at which it can be used to the latest.
const remembered = max(maxAge+maxAhead, (oldSteps+3)*step)

// parts is how many parts of equal length the memory has. The oldest is
// forgotten as a whole.
const (
	parts    = 8
	partTime = remembered / (parts - 2)
)

// DefaultRemember is how many proofs are remembered, if a configuration does
// not say otherwise: some 3,000 a second, in at most 6 MB.
const DefaultRemember = 1 << 18

// Use is a proof that is used.
type Use struct {
	ID       [32]byte  // of its key and its jti
	Earliest time.Time // it can't have been used before
	Until    time.Time // it can't be used from then on
	Now      time.Time
}

// Outcome is what a [Replays] found out.
type Outcome int

// The outcomes of [Replays.Use].
const (
	First   Outcome = iota // nobody has used it
	Again                  // somebody has
	Unknown                // somebody may have
)

// Replays remembers which proofs were used. [Memory] is this process's own.
type Replays interface {
	Use(context.Context, Use) Outcome
}

// Memory remembers in this process which proofs were used. Its size is fixed.
// If more are used than it has room for, it forgets the oldest sooner, and no
// longer takes proofs that may be among them. Whoever makes a proof for each
// request notices nothing, as long as the memory reaches back for as long as
// clocks may differ (maxAhead). It is safe for concurrent use.
type Memory struct {
	perPart int
	seed    [32]byte // so that nobody can look for two proofs that seem the same

	mu    sync.Mutex
	parts [parts]part // the newest first
	since time.Time   // what was used since then is remembered
}

// part is what was used from a moment on, until the next part begins.
type part struct {
	began time.Time
	used  map[uint64]struct{}
}

// NewMemory returns a memory for that many proofs.
func NewMemory(proofs int) *Memory {
	m := &Memory{perPart: max(proofs/parts, 1)}
	_, _ = rand.Read(m.seed[:])
	return m
}

// Use implements [Replays].
func (m *Memory) Use(_ context.Context, u Use) Outcome {
	sum := sha256.Sum256(append(m.seed[:len(m.seed):len(m.seed)], u.ID[:]...))
	key := binary.LittleEndian.Uint64(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(u.Now)
	for i := range m.parts {
		if _, there := m.parts[i].used[key]; there {
			return Again
		}
	}
	if u.Earliest.Before(m.since) {
		return Unknown
	}
	m.parts[0].used[key] = struct{}{}
	return First
}

// advance begins a new part if the newest is old or full, and forgets the
// oldest.
func (m *Memory) advance(now time.Time) {
	newest := &m.parts[0]
	age := now.Sub(newest.began)
	if age < 0 { // the clock was set back: all is as old as it was
		for i := range m.parts {
			m.parts[i].began = m.parts[i].began.Add(age)
		}
		m.since, age = m.since.Add(age), 0
	}
	if newest.used != nil && age < partTime && len(newest.used) < m.perPart {
		return
	}
	oldest := m.parts[parts-1].used
	if ended := m.parts[parts-2].began; oldest != nil && now.Sub(ended) < remembered {
		m.since = ended // too soon: some of it could be used still
	}
	clear(oldest)
	if oldest == nil {
		oldest = make(map[uint64]struct{})
	}
	copy(m.parts[1:], m.parts[:parts-1])
	m.parts[0] = part{now, oldest}
}
