package keyring

import (
	"context"
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// NotInUseError refuses to rotate the keys of an algorithm that has none.
type NotInUseError struct {
	Algorithm string
	InUse     []string
}

// Error says which algorithms have keys and how another one gets some.
func (e *NotInUseError) Error() string {
	return fmt.Sprintf("No tokens are signed with %s: expected one of the algorithms in use (%s). "+
		"A further one comes into use by the profile of an API in the catalogue, or by token.signing_algorithm.",
		e.Algorithm, strings.Join(e.InUse, ", "))
}

// Rotate lets the next key of an algorithm sign from now on, or without one
// that of each algorithm in use. It is by hand, inside the caller's
// [store.Store.Write]. Verifiers that have not read the JWKS since that key was
// published read it again when they meet its kid. The error is a
// [*NotInUseError], or a [*FullError] if no further key may be published now.
func (k *Keyring) Rotate(ctx context.Context, q *store.Q, algorithm string) error {
	s, err := k.slots(ctx, q)
	if err != nil {
		return err
	}
	which := s.use.all
	if algorithm != "" {
		which = []string{algorithm}
		if !s.use.has(algorithm) {
			return &NotInUseError{Algorithm: algorithm, InUse: s.use.all}
		}
	}
	if err := k.deleteExpired(ctx, q, s); err != nil {
		return err
	}
	adds := 0
	for _, one := range which {
		adds++ // the next one that follows
		if s.of(one).next == nil {
			adds++
		}
	}
	if full := s.full(adds); full != nil {
		return full
	}
	for _, one := range which {
		if err := k.promote(ctx, q, s, one); err != nil {
			return err
		}
	}
	if err := k.retireUnused(ctx, q, s); err != nil {
		return err
	}
	return k.announce(ctx, q)
}

// Revoke takes a key that is no longer trusted out of the JWKS at once, inside
// the caller's [store.Store.Write]: no token that it signed is accepted any
// more. If it was an active one, the next one of its algorithm signs. The error
// is [store.ErrNotFound] if there is no such key.
func (k *Keyring) Revoke(ctx context.Context, q *store.Q, kid string) (gone svcauth.SigningKey, err error) {
	s, err := k.slots(ctx, q)
	if err != nil {
		return gone, err
	}
	revoked, ok := s.take(kid)
	if !ok {
		return gone, store.ErrNotFound
	}
	if err := q.DeleteSigningKey(ctx, kid); err != nil {
		return gone, err
	}
	if err := k.replace(ctx, q, s, revoked.SigningKey); err != nil {
		return gone, err
	}
	return revoked.SigningKey, k.announce(ctx, q)
}

// replace puts another key in the place of one that was taken out. What signed
// in the place of an algorithm that has no active key yet is followed by that
// algorithm's.
func (k *Keyring) replace(ctx context.Context, q *store.Q, s *slots, gone svcauth.SigningKey) error {
	algorithm := gone.Algorithm
	switch {
	case gone.State == svcauth.KeyActive && s.use.has(algorithm):
		return k.promote(ctx, q, s, algorithm)
	case gone.State == svcauth.KeyActive && !s.anyActive():
		return k.promote(ctx, q, s, s.use.standard)
	case gone.State == svcauth.KeyNext && s.use.has(algorithm):
		return k.insert(ctx, q, s, algorithm, svcauth.KeyNext)
	}
	return nil
}

func (k *Keyring) slots(ctx context.Context, q *store.Q) (*slots, error) {
	rows, err := q.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	use, err := k.usage(ctx, q)
	return sort(rows, use), err
}

// take takes a key out of its slot.
func (s *slots) take(kid string) (taken store.SigningKeyRow, ok bool) {
	for _, one := range s.slots {
		for _, place := range []**store.SigningKeyRow{&one.active, &one.next} {
			if *place != nil && (*place).KID == kid {
				taken, *place = **place, nil
				return taken, true
			}
		}
	}
	for _, list := range []*[]store.SigningKeyRow{&s.retired, &s.foreign} {
		for i, r := range *list {
			if r.KID == kid {
				*list = append((*list)[:i:i], (*list)[i+1:]...)
				return r, true
			}
		}
	}
	return taken, false
}
