package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config says where keys rest and how they rotate. All but PreviousMasterKey,
// Clock and Logger is required.
type Config struct {
	Store *store.Store
	// MasterKey seals; PreviousMasterKey (may be nil) only opens. Each is 32
	// random bytes, and is not kept: the caller may clear them after [New].
	MasterKey, PreviousMasterKey []byte
	// Algorithm of tokens whose profile names none: ES256, RS256 or EdDSA.
	Algorithm string
	// RotateEvery is how long a key signs. PublishBefore is how long it is
	// published before that: at least as long as verifiers may keep the JWKS.
	RotateEvery, PublishBefore time.Duration
	Clock                      func() time.Time // default time.Now
	Logger                     *slog.Logger     // default: silence
}

// Keyring holds the keys. It is safe for concurrent use. Until [Keyring.Load]
// has succeeded it signs, hashes and verifies nothing.
type Keyring struct {
	cfg              Config // without the master keys
	master, previous *master

	keys      atomic.Pointer[set]
	macs      atomic.Pointer[macs]
	reloading sync.Mutex   // so that the set read last is the one that stays
	saidFull  atomic.Int64 // the moment that the log named last; see FullError

	catalogChanged chan struct{} // wakes Run
}

var errNotLoaded = errors.New("the signing keys have not been loaded yet")

// New checks the configuration. Nothing is read or written yet.
func New(cfg Config) (*Keyring, error) {
	k := &Keyring{catalogChanged: make(chan struct{}, 1)}
	var err error
	if k.master, err = newMaster(cfg.MasterKey); err != nil {
		return nil, fmt.Errorf("the master key is unusable: %w", err)
	}
	if cfg.PreviousMasterKey != nil {
		if k.previous, err = newMaster(cfg.PreviousMasterKey); err != nil {
			return nil, fmt.Errorf("the previous master key is unusable: %w", err)
		}
		if k.previous.id == k.master.id {
			return nil, errors.New("the previous master key is the same as the master key; give the other one, or none")
		}
	}
	switch {
	case cfg.Store == nil:
		return nil, errors.New("keyring: Store is missing")
	case cfg.Algorithm != es256 && cfg.Algorithm != rs256 && cfg.Algorithm != eddsa:
		return nil, fmt.Errorf("signing algorithm %q is unknown: expected ES256, RS256 or EdDSA", cfg.Algorithm)
	case cfg.PublishBefore <= 0 || cfg.RotateEvery <= cfg.PublishBefore:
		return nil, fmt.Errorf("keys are published %s before they sign and rotate every %s; "+
			"expected the first above zero and below the second",
			timespan.Text(cfg.PublishBefore), timespan.Text(cfg.RotateEvery))
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.MasterKey, cfg.PreviousMasterKey = nil, nil
	k.cfg = cfg
	return k, nil
}

func (k *Keyring) now() time.Time { return k.cfg.Clock().UTC().Truncate(time.Millisecond) }

// List reads all signing keys, newest first.
func (k *Keyring) List(ctx context.Context) ([]svcauth.SigningKey, error) {
	q := k.cfg.Store.Read()
	rows, err := q.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the signing keys: %w", err)
	}
	use, err := k.usage(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read which algorithms are in use: %w", err)
	}
	k.foretell(sort(rows, use))
	all := make([]svcauth.SigningKey, len(rows))
	for i, r := range rows {
		all[i] = r.SigningKey
	}
	return all, nil
}

// InUse returns the algorithms whose keys can be rotated, that of tokens whose
// profile names none first.
func (k *Keyring) InUse(ctx context.Context) ([]string, error) {
	use, err := k.usage(ctx, k.cfg.Store.Read())
	if err != nil {
		return nil, fmt.Errorf("read which algorithms are in use: %w", err)
	}
	return use.all, nil
}

// KeyAge is how long a key has been in its state.
type KeyAge struct {
	Algorithm string
	State     string // one of svcauth's Key constants
	Age       time.Duration
}

// Ages returns for each algorithm and each of the three states how long the
// oldest key in it has been so, as far as this node knows, and 0 if there is
// none.
func (k *Keyring) Ages(now time.Time) (ages []KeyAge) {
	current := k.keys.Load()
	if current == nil {
		return nil
	}
	for _, algorithm := range algorithms {
		for _, state := range []string{svcauth.KeyNext, svcauth.KeyActive, svcauth.KeyRetired} {
			oldest := KeyAge{Algorithm: algorithm, State: state}
			for _, one := range current.byKID {
				if one.Algorithm == algorithm && one.State == state {
					oldest.Age = max(oldest.Age, now.Sub(since(one.SigningKey)))
				}
			}
			ages = append(ages, oldest)
		}
	}
	return ages
}

// since returns when a key came into its state.
func since(k svcauth.SigningKey) time.Time {
	switch {
	case k.State == svcauth.KeyActive && k.ActivatedAt != nil:
		return *k.ActivatedAt
	case k.State == svcauth.KeyRetired && k.RetiredAt != nil:
		return *k.RetiredAt
	}
	return k.CreatedAt
}

const redacted = "keyring [redacted]"

// Format keeps every verb of fmt from showing a key.
func (k *Keyring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String never shows a key.
func (k *Keyring) String() string { return redacted }

// LogValue keeps slog from showing a key.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format keeps every verb of fmt from showing the master keys.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// String never shows the master keys.
func (c Config) String() string { return "keyring configuration [redacted]" }

// LogValue keeps slog from showing the master keys.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
