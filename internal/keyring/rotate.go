package keyring

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// checkEvery is how often [Keyring.Run] looks whether something is due.
const checkEvery = time.Minute

// Run rotates by the clock until ctx is done. An active key that has signed for
// RotateEvery is retired, and the next one of its algorithm signs in its place
// once it has been published for PublishBefore. A retired one is deleted when
// the last token that it signed has expired. Run also acts when the catalogue
// has changed: an algorithm that a profile names first gets keys, and those of
// one that none names any more are retired.
func (k *Keyring) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.catalogChanged:
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
	if err := k.advance(ctx, false); err != nil {
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
	if current.use.foreign {
		return false
	}
	var rows []store.SigningKeyRow
	for _, one := range current.byKID {
		rows = append(rows, store.SigningKeyRow{SigningKey: one.SigningKey})
	}
	s, now := sort(rows, current.use), k.now()
	if slices.ContainsFunc(s.retired, func(r store.SigningKeyRow) bool { return expired(r, now) }) {
		return true
	}
	for _, algorithm := range s.use.all {
		if one := s.of(algorithm); one.next == nil || k.ripe(one) {
			return true
		}
	}
	return slices.ContainsFunc(s.unused(), func(algorithm string) bool {
		return s.of(algorithm).next != nil || s.of(s.use.standard).active != nil
	})
}

// advance makes what is missing and does what is due, in one transaction. At
// the start the configured algorithm becomes the server's.
func (k *Keyring) advance(ctx context.Context, start bool) error {
	takeDataKey := func() {}
	err := k.cfg.Store.Write(ctx, func(q *store.Q) error {
		rows, err := q.SigningKeys(ctx)
		if err != nil {
			return err
		}
		if takeDataKey, err = k.prepare(ctx, q, rows); err != nil {
			return err
		}
		changed := false
		if start {
			if changed, err = k.configure(ctx, q); err != nil {
				return err
			}
		}
		use, err := k.usage(ctx, q)
		if err != nil || use.foreign {
			return err
		}
		s := sort(rows, use)
		s.changed = changed
		for _, step := range []func(context.Context, *store.Q, *slots) error{
			k.deleteExpired, k.begin, k.rotateRipe, k.retireUnused, k.publishNext,
		} {
			if err := step(ctx, q, s); err != nil {
				return err
			}
		}
		if !s.changed {
			return nil
		}
		return k.announce(ctx, q)
	})
	if err != nil {
		return err
	}
	takeDataKey()
	return nil
}

// prepare opens or makes the key for secret hashes and seals anew what rests
// under the previous master key. With the wrong master key it fails.
func (k *Keyring) prepare(ctx context.Context, q *store.Q, rows []store.SigningKeyRow) (use func(), err error) {
	data, err := q.DataKeys(ctx)
	if err != nil {
		return nil, err
	}
	if use, err = k.loadDataKey(ctx, q, data); err != nil {
		return nil, err
	}
	resealed, err := k.reseal(ctx, q, rows, data)
	if err != nil {
		return nil, err
	}
	if resealed > 0 {
		k.cfg.Logger.Info("keys are sealed under the new master key", "count", resealed)
		err := q.AuditSystem(ctx, k.now(), "master_key.change", svcauth.AuditTarget{Kind: "master_key"}, nil,
			map[string]int{"keys_sealed": resealed})
		if err != nil {
			return nil, err
		}
	}
	for _, r := range rows {
		if known(r.Algorithm) {
			_, err = k.open(r) // the wrong master key must change nothing
			break
		}
	}
	return use, err
}

// begin lets a key of each algorithm in use sign at once if none signs yet, as
// in a fresh database: nobody can have fetched the key set before.
func (k *Keyring) begin(ctx context.Context, q *store.Q, s *slots) error {
	if s.anyActive() {
		return nil
	}
	for _, algorithm := range s.use.all {
		if err := k.insert(ctx, q, s, algorithm, svcauth.KeyActive); err != nil {
			return err
		}
	}
	return nil
}

// ripe reports whether the next key of an algorithm is to sign now.
func (k *Keyring) ripe(one *slot) bool { return one.next != nil && !k.now().Before(k.ripeAt(one)) }

// ripeAt returns when the next key of an algorithm, which must be there, is to
// sign: when it has been published for long enough, and the active one, if
// there is one, has signed for long enough.
func (k *Keyring) ripeAt(one *slot) time.Time {
	at := one.next.CreatedAt.Add(k.cfg.PublishBefore)
	if one.active != nil {
		if retires := since(one.active.SigningKey).Add(k.cfg.RotateEvery); retires.After(at) {
			return retires
		}
	}
	return at
}

// foretell writes into the next keys when each begins to sign, as far as that
// is known: other algorithms may take the room before.
func (k *Keyring) foretell(s *slots) {
	for _, algorithm := range s.use.all {
		one := s.of(algorithm)
		if one.next == nil {
			continue
		}
		at := k.ripeAt(one)
		if one.active != nil {
			then := *s
			then.retired = slices.DeleteFunc(slices.Clone(s.retired), func(r store.SigningKeyRow) bool {
				return expired(r, at)
			})
			if full := then.full(1); full != nil {
				at = full.Next
			}
		}
		if !at.IsZero() {
			one.next.SignsFrom = &at
		}
	}
}

// rotateRipe lets the next keys sign whose time has come. The first key of an
// algorithm signs even if there is no room for another next one yet: its moment
// was told.
func (k *Keyring) rotateRipe(ctx context.Context, q *store.Q, s *slots) error {
	for _, algorithm := range s.use.all {
		one := s.of(algorithm)
		if !k.ripe(one) || one.active != nil && k.mustWait(s) {
			continue
		}
		var was any
		if one.active != nil {
			was = one.active.SigningKey
		}
		if err := k.promote(ctx, q, s, algorithm); err != nil {
			return err
		}
		err := q.AuditSystem(ctx, k.now(), "signing_key.rotate", keyTarget(one.active.KID), was, one.active.SigningKey)
		if err != nil {
			return err
		}
	}
	return nil
}

// publishNext makes the next keys that are missing.
func (k *Keyring) publishNext(ctx context.Context, q *store.Q, s *slots) error {
	for _, algorithm := range s.use.all {
		if s.of(algorithm).next != nil {
			continue
		}
		if k.mustWait(s) {
			return nil
		}
		if err := k.insert(ctx, q, s, algorithm, svcauth.KeyNext); err != nil {
			return err
		}
	}
	return nil
}

// mustWait reports whether there is no room for one more key, and logs it once
// for each moment at which there will be.
func (k *Keyring) mustWait(s *slots) bool {
	full := s.full(1)
	if full == nil {
		return false
	}
	if at := full.Next.Unix(); k.saidFull.Swap(at) != at {
		k.cfg.Logger.Warn("a signing key is due and can't be published yet", "reason", full.Error())
	}
	return true
}

// retireUnused removes the next keys of algorithms that are no longer in use,
// and retires their active ones: at the earliest when the server's algorithm
// has a key that signs, as until then they sign in its place.
func (k *Keyring) retireUnused(ctx context.Context, q *store.Q, s *slots) error {
	for _, algorithm := range s.unused() {
		one := s.of(algorithm)
		if one.next != nil {
			if err := k.remove(ctx, q, *one.next); err != nil {
				return err
			}
			one.next, s.changed = nil, true
		}
		if one.active == nil || s.of(s.use.standard).active == nil {
			continue
		}
		was := one.active.SigningKey
		if err := k.retire(ctx, q, s, one); err != nil {
			return err
		}
		now := s.retired[len(s.retired)-1].SigningKey
		if err := q.AuditSystem(ctx, k.now(), "signing_key.retire", keyTarget(was.KID), was, now); err != nil {
			return err
		}
	}
	return nil
}

// deleteExpired deletes the retired keys whose last token has expired.
func (k *Keyring) deleteExpired(ctx context.Context, q *store.Q, s *slots) error {
	var kept []store.SigningKeyRow
	for _, r := range s.retired {
		if !expired(r, k.now()) {
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

func expired(r store.SigningKeyRow, now time.Time) bool {
	return r.DeleteAfter != nil && !now.Before(*r.DeleteAfter)
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
func (k *Keyring) insert(ctx context.Context, q *store.Q, s *slots, algorithm, state string) error {
	private, err := generate(algorithm)
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
		s.of(algorithm).active = &r
	} else {
		s.of(algorithm).next = &r
	}
	s.changed = true
	return q.InsertSigningKey(ctx, r)
}

// retire has the active key of an algorithm verify only.
func (k *Keyring) retire(ctx context.Context, q *store.Q, s *slots, one *slot) error {
	now := k.now()
	until := keptUntil(now)
	if err := q.RetireSigningKey(ctx, one.active.KID, now, until); err != nil {
		return err
	}
	gone := *one.active
	gone.State, gone.RetiredAt, gone.DeleteAfter = svcauth.KeyRetired, &now, &until
	s.retired = append(s.retired, gone)
	one.active, s.changed = nil, true
	return nil
}

// promote lets the next key of an algorithm sign, retires the active one and
// publishes a new next one if there is room.
func (k *Keyring) promote(ctx context.Context, q *store.Q, s *slots, algorithm string) error {
	one, now := s.of(algorithm), k.now()
	if one.active != nil {
		if err := k.retire(ctx, q, s, one); err != nil {
			return err
		}
	}
	if one.next == nil {
		if err := k.insert(ctx, q, s, algorithm, svcauth.KeyNext); err != nil {
			return err
		}
	}
	if err := q.ActivateSigningKey(ctx, one.next.KID, now); err != nil {
		return err
	}
	one.active, one.next, s.changed = one.next, nil, true
	one.active.State, one.active.ActivatedAt = svcauth.KeyActive, &now
	if s.full(1) != nil {
		return nil // published when there is room, by publishNext
	}
	return k.insert(ctx, q, s, algorithm, svcauth.KeyNext)
}

func (k *Keyring) announce(ctx context.Context, q *store.Q) error {
	_, err := q.AddChange(ctx, store.Change{Kind: store.ChangeKeys, ExpiresAt: k.now().Add(store.KeepChange)})
	return err
}
