package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/svcauth/svcauth/internal/store"
)

// Load makes what is missing in the database: the key for secret hashes, and
// for each algorithm in use an active and a next signing key. The catalogue
// should be there already, so that in a fresh database all sign at once. It
// seals anew what is sealed under the previous master key, and takes the keys
// into use. Nodes that start at once agree. If another algorithm is configured
// than before, its first key signs when it has been published for
// PublishBefore, and those of the former one are then retired. With the wrong
// master key Load changes nothing and returns an error that says so.
func (k *Keyring) Load(ctx context.Context) error {
	if err := k.advance(ctx, true); err != nil {
		return fmt.Errorf("load the keys: %w", err)
	}
	return k.Reload(ctx)
}

// Check reports whether the master key opens all that a start must open, and
// changes nothing.
func (k *Keyring) Check(ctx context.Context) error {
	q := k.cfg.Store.Read()
	data, err := q.DataKeys(ctx)
	if err != nil {
		return err
	}
	rows, err := q.SigningKeys(ctx)
	if err != nil {
		return err
	}
	for _, r := range data {
		if _, err := k.openDataKey(r); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if !known(r.Algorithm) {
			continue
		}
		if _, err := k.open(r); err != nil {
			return err
		}
	}
	return nil
}

// Reload reads the signing keys again. [Keyring.Apply] calls it. After an error
// the keys stay as they were.
func (k *Keyring) Reload(ctx context.Context) error {
	k.reloading.Lock()
	defer k.reloading.Unlock()
	q := k.cfg.Store.Read()
	rows, err := q.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	use, err := k.usage(ctx, q)
	if err != nil {
		return fmt.Errorf("read which algorithms are in use: %w", err)
	}
	old := k.keys.Load()
	fresh, err := k.assemble(rows, use, old)
	if err != nil {
		return err
	}
	k.keys.Store(fresh)
	k.logPending(fresh, old)
	if old == nil || !slices.Equal(old.use.all, fresh.use.all) {
		if c := crowded(k.cfg.RotateEvery, fresh.use); c != nil {
			k.cfg.Logger.Warn("signing keys rotate too often", "reason", c.String())
		}
	}
	return nil
}

// logPending logs, once for each, the algorithms that wait for their first key
// to sign.
func (k *Keyring) logPending(fresh, old *set) {
	for _, p := range fresh.pending {
		if p.SignsAt.IsZero() || old != nil && slices.Contains(old.pending, p) {
			continue // it is about to be published, or waits for room, which mustWait logs
		}
		k.cfg.Logger.Warn("a signing algorithm waits for its first key to sign",
			"algorithm", p.Algorithm, "reason", p.String())
	}
}

// loadDataKey opens the key for secret hashes, or makes it if there is none.
// use takes it into use, and is for after the commit.
func (k *Keyring) loadDataKey(ctx context.Context, q *store.Q, rows []store.DataKeyRow) (use func(), err error) {
	for _, r := range rows {
		if r.Name != dataKeySecretHash {
			continue
		}
		plain, err := k.openDataKey(r)
		if err != nil {
			return nil, err
		}
		defer clear(plain)
		ready := newMACs(plain)
		return func() { k.macs.CompareAndSwap(nil, ready) }, nil
	}
	plain := make([]byte, dataKeySize)
	defer clear(plain)
	_, _ = rand.Read(plain) // never fails: crypto/rand ends the program instead
	err = q.InsertDataKey(ctx, store.DataKeyRow{
		Name: dataKeySecretHash, Sealed: k.Seal(dataKeySecretHash, plain), CreatedAt: k.now(),
	})
	ready := newMACs(plain)
	return func() { k.macs.CompareAndSwap(nil, ready) }, err
}

func (k *Keyring) openDataKey(r store.DataKeyRow) ([]byte, error) {
	what := "the key for secret hashes"
	plain, err := k.Open(r.Name, r.Sealed)
	if err != nil {
		return nil, explain(what, err)
	}
	if len(plain) != dataKeySize {
		return nil, explain(what, ErrDamaged)
	}
	return plain, nil
}

// reseal seals under the current master key what is sealed under the previous
// one, and returns how much that was.
func (k *Keyring) reseal(
	ctx context.Context, q *store.Q, keys []store.SigningKeyRow, data []store.DataKeyRow,
) (resealed int, err error) {
	again := func(name string, sealed []byte, store func(context.Context, string, []byte) error) {
		if !k.stale(sealed) {
			return
		}
		plain, openErr := k.Open(name, sealed)
		if openErr != nil {
			err = errors.Join(err, explain("key "+name, openErr))
			return
		}
		defer clear(plain)
		resealed++
		err = errors.Join(err, store(ctx, name, k.Seal(name, plain)))
	}
	for _, r := range keys {
		again(r.KID, r.Sealed, q.ResealSigningKey)
	}
	for _, r := range data {
		again(r.Name, r.Sealed, q.ResealDataKey)
	}
	return resealed, err
}
