package keyring

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// usage is which algorithms are in use. It is never changed.
type usage struct {
	standard string   // of tokens whose profile names none
	all      []string // standard first, then those that profiles name, sorted
	// foreign says that the server's algorithm is one of a newer release, which
	// this one doesn't know: the keys are left to the nodes of that one.
	foreign bool
}

func newUsage(standard string, apis []svcauth.API) usage {
	named := slices.DeleteFunc(profile.Algorithms(apis), func(a string) bool { return a == standard })
	return usage{standard: standard, all: append([]string{standard}, named...)}
}

func (u usage) has(algorithm string) bool { return slices.Contains(u.all, algorithm) }

// usage reads it. The standard algorithm is what the node that started last has
// configured, so that nodes with two configurations don't undo each other's
// work.
func (k *Keyring) usage(ctx context.Context, q *store.Q) (usage, error) {
	standard, err := q.SigningAlgorithm(ctx)
	if err != nil {
		return usage{}, err
	}
	apis, err := q.APIs(ctx)
	if err != nil {
		return usage{}, err
	}
	foreign := standard != "" && !known(standard)
	if foreign {
		standard = k.cfg.Algorithm
	}
	use := newUsage(cmp.Or(standard, k.cfg.Algorithm), apis)
	use.foreign = foreign
	return use, nil
}

// configure makes the configured algorithm the standard one.
func (k *Keyring) configure(ctx context.Context, q *store.Q) (changed bool, err error) {
	standard, err := q.SigningAlgorithm(ctx)
	if err != nil || standard == k.cfg.Algorithm {
		return false, err
	}
	return true, q.SetSigningAlgorithm(ctx, k.cfg.Algorithm)
}

// Pending is an algorithm in use none of whose keys signs yet.
type Pending struct {
	Algorithm string
	SignsAt   time.Time // when one will; zero: not before there is room for it
	StandIn   string    // the algorithm that signs until then
}

// String says when the algorithm's tokens are signed as they should be.
func (p Pending) String() string {
	when := "when fewer keys are published"
	if !p.SignsAt.IsZero() {
		when = "at " + p.SignsAt.UTC().Add(time.Second-1).Format(time.RFC3339) // not one second too early
	}
	return fmt.Sprintf("%s is new, and its first key must be published before it signs: that is %s, and until then "+
		"%s signs in its place (svcauth signing-key rotate --algorithm %s lets it sign at once)",
		p.Algorithm, when, p.StandIn, p.Algorithm)
}

// pending returns the algorithms in use that wait for their first key to sign,
// unless none signs at all.
func (k *Keyring) pending(s *slots) (waiting []Pending) {
	standIn := s.standIn()
	if standIn == "" {
		return nil
	}
	for _, algorithm := range s.use.all {
		one := s.of(algorithm)
		if one.active != nil {
			continue
		}
		p := Pending{Algorithm: algorithm, StandIn: standIn}
		if one.next != nil {
			p.SignsAt = k.ripeAt(one)
		}
		waiting = append(waiting, p)
	}
	return waiting
}

// standIn returns the algorithm whose active key signs what no other has an
// active key for: the standard one if it has. Else it was configured a moment
// ago. Then the one before it signs, which is usually out of use now; if it
// isn't, the one that most verifiers know.
func (s *slots) standIn() string {
	if s.of(s.use.standard).active != nil {
		return s.use.standard
	}
	found := ""
	for _, algorithm := range []string{rs256, es256, eddsa} {
		if s.of(algorithm).active == nil {
			continue
		}
		if !s.use.has(algorithm) {
			return algorithm
		}
		found = cmp.Or(found, algorithm)
	}
	return found
}

// Rehearse returns what a start with these APIs would leave waiting: the
// algorithms whose keys must be published for a while before they sign. It
// changes nothing.
func (k *Keyring) Rehearse(ctx context.Context, apis []svcauth.API) ([]Pending, error) {
	rows, err := k.cfg.Store.Read().SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	s := sort(rows, newUsage(k.cfg.Algorithm, apis))
	waiting := k.pending(s)
	for i := range waiting {
		if waiting[i].SignsAt.IsZero() && s.full(1) == nil {
			waiting[i].SignsAt = k.now().Add(k.cfg.PublishBefore)
		}
	}
	return waiting, nil
}
