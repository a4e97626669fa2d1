package keyring

import (
	"context"
	"slices"

	"github.com/svcauth/svcauth/internal/store"
)

// Apply reads the signing keys again if the change log says that they have
// changed. With Reset it makes the Keyring a listener of the change log.
func (k *Keyring) Apply(ctx context.Context, entries []store.Change) {
	if slices.ContainsFunc(entries, func(c store.Change) bool { return c.Kind == store.ChangeKeys }) {
		k.reloadOrLog(ctx)
	}
}

// Reset reads the signing keys again, because an entry of the change log may
// have been missed.
func (k *Keyring) Reset(ctx context.Context, _ int64) { k.reloadOrLog(ctx) }

func (k *Keyring) reloadOrLog(ctx context.Context) {
	if err := k.Reload(ctx); err != nil {
		k.cfg.Logger.Error("the signing keys changed and could not be read", "error", err)
	}
}
