package keyring

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What advance does beyond what is due.
const (
	whatIsDue             = false
	replaceOtherAlgorithm = true // at the start: the configuration may have changed
)

// checkEvery is how often [Keyring.Run] looks whether something is due.
const checkEvery = time.Minute

// slots is the state of all signing keys inside one transaction.
type slots struct {
	active, next *store.SigningKeyRow
	retired      []store.SigningKeyRow
	changed      bool
}

// Run rotates by the clock until ctx is done. An active key that has signed for
// RotateEvery is retired, and the next one signs in its place once it has been
// published for PublishBefore. A retired one is deleted when the last token
// that it signed has expired.
func (k *Keyring) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(checkEvery * time.Duration(90+rand.IntN(20)) / 100):
		}
		if err := k.Advance(ctx); err != nil && ctx.Err() == nil {
			k.cfg.Logger.Warn("signing keys could not be rotated; tried again in a minute", "error", err)
		}
	}
}

// Advance does what is due now, once, however many nodes ask for it at the same
// moment.
func (k *Keyring) Advance(ctx context.Context) error {
	if !k.due() {
		return nil
	}
	if err := k.advance(ctx, whatIsDue); err != nil {
		return err
	}
	return k.Reload(ctx)
}

// due reports, from memory, whether a transaction is worth its while.
func (k *Keyring) due() bool {
	current := k.keys.Load()
	if current == nil {
		return true
	}
	now, active, next := k.now(), false, false
	for _, one := range current.byKID {
		switch one.State {
		case svcauth.KeyActive:
			active = now.Sub(since(one.SigningKey)) < k.cfg.RotateEvery
		case svcauth.KeyNext:
			next = true
		case svcauth.KeyRetired:
			if one.DeleteAfter != nil && !now.Before(*one.DeleteAfter) {
				return true
			}
		}
	}
	return !active || !next
}

// advance makes what is missing and does what is due, in one transaction.
func (k *Keyring) advance(ctx context.Context, replace bool) error {
	use := func() {}
	err := k.cfg.Store.Write(ctx, func(q *store.Q) error {
		rows, err := q.SigningKeys(ctx)
		if err != nil {
			return err
		}
		data, err := q.DataKeys(ctx)
		if err != nil {
			return err
		}
		if use, err = k.loadDataKey(ctx, q, data); err != nil {
			return err
		}
		if resealed, err := k.reseal(ctx, q, rows, data); err != nil {
			return err
		} else if resealed > 0 {
			k.cfg.Logger.Info("keys are sealed under the new master key", "count", resealed)
			err := q.AuditSystem(ctx, k.now(), "master_key.change", svcauth.AuditTarget{Kind: "master_key"}, nil,
				map[string]int{"keys_sealed": resealed})
			if err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			if _, err := k.open(rows[0]); err != nil { // the wrong master key must change nothing
				return err
			}
		}
		s := sort(rows)
		if err := k.advanceSlots(ctx, q, s, replace); err != nil || !s.changed {
			return err
		}
		return k.announce(ctx, q)
	})
	if err != nil {
		return err
	}
	use()
	return nil
}

func sort(rows []store.SigningKeyRow) *slots {
	s := &slots{}
	for i := range rows {
		switch rows[i].State {
		case svcauth.KeyActive:
			s.active = &rows[i]
		case svcauth.KeyNext:
			s.next = &rows[i]
		default:
			s.retired = append(s.retired, rows[i])
		}
	}
	return s
}

func (k *Keyring) advanceSlots(ctx context.Context, q *store.Q, s *slots, replace bool) error {
	now := k.now()
	if replace && s.next != nil && s.next.Algorithm != k.cfg.Algorithm {
		if err := k.remove(ctx, q, *s.next); err != nil {
			return err
		}
		s.next, s.changed = nil, true
	}
	if s.active == nil {
		if err := k.insert(ctx, q, s, svcauth.KeyActive); err != nil {
			return err
		}
	}
	if s.next == nil {
		if err := k.insert(ctx, q, s, svcauth.KeyNext); err != nil {
			return err
		}
	}
	if err := k.deleteExpired(ctx, q, s); err != nil {
		return err
	}
	if now.Sub(since(s.active.SigningKey)) < k.cfg.RotateEvery || now.Sub(s.next.CreatedAt) < k.cfg.PublishBefore {
		return nil
	}
	if full := s.full(); full != nil {
		if at := full.Next.Unix(); k.saidFull.Swap(at) != at {
			k.cfg.Logger.Warn("the signing keys are not rotated although they are due", "reason", full.Error())
		}
		return nil
	}
	was := s.active.SigningKey
	if err := k.promote(ctx, q, s); err != nil {
		return err
	}
	return q.AuditSystem(ctx, now, "signing_key.rotate", keyTarget(s.active.KID), was, s.active.SigningKey)
}

// deleteExpired deletes the retired keys whose last token has expired.
func (k *Keyring) deleteExpired(ctx context.Context, q *store.Q, s *slots) error {
	var kept []store.SigningKeyRow
	for _, r := range s.retired {
		if r.DeleteAfter == nil || k.now().Before(*r.DeleteAfter) {
			kept = append(kept, r)
			continue
		}
		if err := k.remove(ctx, q, r); err != nil {
			return err
		}
		s.changed = true
	}
	s.retired = kept
	return nil
}

// FullError refuses a rotation while as many keys are published as may be.
type FullError struct {
	// Next is when enough retired keys will have gone by themselves. Zero:
	// never.
	Next time.Time
}

// Error says when the next rotation is possible and what makes room before.
func (e *FullError) Error() string {
	when := ""
	if !e.Next.IsZero() {
		second := e.Next.UTC().Add(time.Second - 1).Truncate(time.Second) // not one too early
		when = fmt.Sprintf(" The next rotation is possible at %s, when the tokens of a retired one have expired.",
			second.Format(time.RFC3339))
	}
	return fmt.Sprintf("As many keys are published as may be, %d, and a rotation adds one.%s "+
		"To make room before that, revoke a retired key: what it signed is then refused.",
		svcauth.MaxPublishedKeys, when)
}

// full returns the refusal of a rotation, which publishes one key more, or nil
// if there is room for it.
func (s *slots) full() *FullError {
	published := len(s.retired) + 1 // the next one that a rotation makes
	for _, one := range []*store.SigningKeyRow{s.active, s.next} {
		if one != nil {
			published++
		}
	}
	excess := published - svcauth.MaxPublishedKeys
	if excess <= 0 {
		return nil
	}
	var ends []time.Time
	for _, r := range s.retired {
		if r.DeleteAfter != nil {
			ends = append(ends, *r.DeleteAfter)
		}
	}
	if len(ends) < excess {
		return &FullError{}
	}
	slices.SortFunc(ends, time.Time.Compare)
	return &FullError{Next: ends[excess-1]}
}

// remove deletes a key that nothing requires any more.
func (k *Keyring) remove(ctx context.Context, q *store.Q, r store.SigningKeyRow) error {
	if err := q.DeleteSigningKey(ctx, r.KID); err != nil {
		return err
	}
	return q.AuditSystem(ctx, k.now(), "signing_key.delete", keyTarget(r.KID), r.SigningKey, nil)
}

func keyTarget(kid string) svcauth.AuditTarget {
	return svcauth.AuditTarget{Kind: "signing_key", ID: kid, Name: kid}
}

// insert generates a key and puts it into its slot.
func (k *Keyring) insert(ctx context.Context, q *store.Q, s *slots, state string) error {
	private, err := generate(k.cfg.Algorithm)
	if err != nil {
		return fmt.Errorf("generate a signing key: %w", err)
	}
	fresh, err := newKey(private)
	if err != nil {
		return err
	}
	r, err := k.row(fresh, state, k.now())
	if err != nil {
		return err
	}
	if state == svcauth.KeyActive {
		s.active = &r
	} else {
		s.next = &r
	}
	s.changed = true
	return q.InsertSigningKey(ctx, r)
}

// promote lets the next key sign, retires the active one and publishes a new
// next one.
func (k *Keyring) promote(ctx context.Context, q *store.Q, s *slots) error {
	now := k.now()
	if s.active != nil {
		if err := q.RetireSigningKey(ctx, s.active.KID, now, verify.KeptUntil(verify.LastExpiry(now))); err != nil {
			return err
		}
	}
	if s.next == nil {
		if err := k.insert(ctx, q, s, svcauth.KeyNext); err != nil {
			return err
		}
	}
	if err := q.ActivateSigningKey(ctx, s.next.KID, now); err != nil {
		return err
	}
	s.active, s.next, s.changed = s.next, nil, true
	s.active.State, s.active.ActivatedAt = svcauth.KeyActive, &now
	return k.insert(ctx, q, s, svcauth.KeyNext)
}

func (k *Keyring) announce(ctx context.Context, q *store.Q) error {
	_, err := q.AddChange(ctx, store.Change{Kind: store.ChangeKeys, ExpiresAt: k.now().Add(store.KeepChange)})
	return err
}

// Rotate lets the next key sign from now on, by hand, inside the caller's
// [store.Store.Write]. Verifiers that have not read the JWKS since that key was
// published read it again when they meet its kid. A [*FullError] if no further
// key may be published now.
func (k *Keyring) Rotate(ctx context.Context, q *store.Q) error {
	rows, err := q.SigningKeys(ctx)
	if err != nil {
		return err
	}
	s := sort(rows)
	if err := k.deleteExpired(ctx, q, s); err != nil {
		return err
	}
	if full := s.full(); full != nil {
		return full
	}
	if err := k.promote(ctx, q, s); err != nil {
		return err
	}
	return k.announce(ctx, q)
}

// Revoke takes a key that is no longer trusted out of the JWKS at once, inside
// the caller's [store.Store.Write]: no token that it signed is accepted any
// more. If it was the active one, the next one signs. The error is
// [store.ErrNotFound] if there is no such key.
func (k *Keyring) Revoke(ctx context.Context, q *store.Q, kid string) (svcauth.SigningKey, error) {
	rows, err := q.SigningKeys(ctx)
	if err != nil {
		return svcauth.SigningKey{}, err
	}
	for _, r := range rows {
		if r.KID != kid {
			continue
		}
		s := sort(rows)
		switch r.State {
		case svcauth.KeyActive:
			err = k.promote(ctx, q, s)
		case svcauth.KeyNext:
			err = k.insert(ctx, q, s, svcauth.KeyNext)
		}
		if err == nil {
			err = q.DeleteSigningKey(ctx, kid)
		}
		if err == nil {
			err = k.announce(ctx, q)
		}
		return r.SigningKey, err
	}
	return svcauth.SigningKey{}, store.ErrNotFound
}
