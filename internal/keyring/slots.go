package keyring

import (
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// slots is the state of all signing keys inside one transaction.
type slots struct {
	use     usage
	slots   map[string]*slot // by algorithm
	retired []store.SigningKeyRow
	foreign []store.SigningKeyRow // see known: they are counted, and else left alone
	changed bool
}

// known reports whether this release knows an algorithm. A newer one may have
// put keys of others into the database, which are that release's to rotate.
func known(algorithm string) bool { return slices.Contains(algorithms[:], algorithm) }

// slot is the keys of one algorithm that are not retired.
type slot struct{ active, next *store.SigningKeyRow }

func sort(rows []store.SigningKeyRow, use usage) *slots {
	s := &slots{use: use, slots: map[string]*slot{}}
	for i := range rows {
		if !known(rows[i].Algorithm) {
			s.foreign = append(s.foreign, rows[i])
			continue
		}
		switch rows[i].State {
		case svcauth.KeyActive:
			s.of(rows[i].Algorithm).active = &rows[i]
		case svcauth.KeyNext:
			s.of(rows[i].Algorithm).next = &rows[i]
		default:
			s.retired = append(s.retired, rows[i])
		}
	}
	return s
}

// of returns the slot of an algorithm, which may be empty.
func (s *slots) of(algorithm string) *slot {
	one := s.slots[algorithm]
	if one == nil {
		one = &slot{}
		s.slots[algorithm] = one
	}
	return one
}

// unused returns the algorithms that have keys and are no longer in use,
// sorted.
func (s *slots) unused() []string {
	var out []string
	for algorithm, one := range s.slots {
		if (one.active != nil || one.next != nil) && !s.use.has(algorithm) {
			out = append(out, algorithm)
		}
	}
	slices.Sort(out)
	return out
}

// anyActive reports whether some key signs.
func (s *slots) anyActive() bool {
	for _, one := range s.slots {
		if one.active != nil {
			return true
		}
	}
	return false
}

// published is how many keys verifiers find in the key set.
func (s *slots) published() int {
	n := len(s.retired) + len(s.foreign)
	for _, one := range s.slots {
		if one.active != nil {
			n++
		}
		if one.next != nil {
			n++
		}
	}
	return n
}

// FullError refuses a rotation while as many keys are published as may be.
type FullError struct {
	// Adds is how many keys more would be published.
	Adds int
	// Next is when enough retired keys will have gone by themselves. Zero:
	// never.
	Next time.Time
}

// Error says when the rotation is possible and what makes room before.
func (e *FullError) Error() string {
	adds, room, when := "adds one", "a retired key", ""
	if e.Adds > 1 {
		adds = fmt.Sprintf("of all algorithms adds %d", e.Adds)
		room = "retired keys, or rotate one algorithm alone"
	}
	if !e.Next.IsZero() {
		second := e.Next.UTC().Add(time.Second - 1).Truncate(time.Second) // not one too early
		when = fmt.Sprintf(" The next rotation is possible at %s, when the tokens of a retired one have expired.",
			second.Format(time.RFC3339))
	}
	return fmt.Sprintf("At most %d keys are published, and a rotation %s.%s "+
		"To make room before that, revoke %s: what a revoked one signed is then refused.",
		svcauth.MaxPublishedKeys, adds, when, room)
}

// full returns the refusal of what publishes so many keys more, or nil if there
// is room for them.
func (s *slots) full(adds int) *FullError {
	excess := s.published() + adds - svcauth.MaxPublishedKeys
	if excess <= 0 {
		return nil
	}
	var ends []time.Time
	for _, r := range s.retired {
		if r.DeleteAfter != nil {
			ends = append(ends, *r.DeleteAfter)
		}
	}
	full := &FullError{Adds: adds}
	if len(ends) >= excess {
		slices.SortFunc(ends, time.Time.Compare)
		full.Next = ends[excess-1]
	}
	return full
}
