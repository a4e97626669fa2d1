package keyring

import (
	"context"

	"github.com/svcauth/svcauth/internal/store"
)

// Apply reads the signing keys again if the change log says that they or the
// catalogue have changed. What the catalogue's profiles demand is then made by
// [Keyring.Run]. With Reset it makes the Keyring a listener of the change log.
func (k *Keyring) Apply(ctx context.Context, entries []store.Change) {
	keys, catalog := false, false
	for _, c := range entries {
		keys = keys || c.Kind == store.ChangeKeys
		catalog = catalog || c.Kind == store.ChangeCatalog
	}
	if keys || catalog {
		k.reloadOrLog(ctx)
	}
	if catalog {
		select {
		case k.catalogChanged <- struct{}{}:
		default: // Run is about to look
		}
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
