package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxDefaultLook is how long a look for accounts without a default token may
// take.
const maxDefaultLook = 5 * time.Second

// nameDefaultRefused logs once the accounts that get no token without scope and
// resource with the catalogue that has been loaded.
func (a *App) nameDefaultRefused(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, maxDefaultLook)
	defer cancel()
	warnings, err := a.Token.DefaultRefused(look, a.store.Read(), "", "", "")
	if err != nil && ctx.Err() == nil {
		a.logger.Warn("who gets no token by default can't be read", "error", err)
	}
	for _, w := range warnings {
		a.logger.Warn("an account gets a token by scope or resource only",
			"account", w.ID, "reason", w.Reason, "characters", w.Characters, "max_size", w.Max)
	}
	return nil
}

// Rehearsal is what a start would find in the database.
type Rehearsal struct {
	Refused  error                    // what the start would fail with; nil if nothing was found
	Warnings []svcauth.DefaultWarning // accounts that would get no token by default
	Pending  []keyring.Pending        // algorithms that would not sign at once
	Crowding *keyring.Crowding        // nil: keys rotate seldom enough
	Note     string                   // why the database could not be read; empty if it could
	// Bootstrapped reports whether there is an organization, as far as that
	// could be read.
	Bootstrapped bool
}

// Rehearse returns what a start with this configuration and catalogue would
// fail with, as far as the database can be read: a database that refuses the
// connection or has no room for tables, a master key that does not belong to
// it, and privileges that roles hold and the catalogue no longer has. It
// changes nothing.
func Rehearse(ctx context.Context, cfg config.Config, catalog config.Catalog) Rehearsal {
	r := rehearse(ctx, cfg, catalog)
	r.Crowding = keyring.Crowded(cfg.Keys.RotateEvery, cfg.Token.SigningAlgorithm, catalog.APIs)
	return r
}

func rehearse(ctx context.Context, cfg config.Config, catalog config.Catalog) (r Rehearsal) {
	if path, ok := store.SQLiteFile(cfg.Database.URL.Reveal()); ok {
		if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			return r // a new installation; to open the file would make it
		}
	}
	ctx, cancel := context.WithTimeout(ctx, maxDefaultLook)
	defer cancel()
	db, err := store.Open(store.Config{URL: cfg.Database.URL.Reveal(), MaxConns: 1})
	if err != nil {
		return Rehearsal{Refused: err}
	}
	defer db.Close()
	if err := db.Ping(ctx); errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrRefused) {
		r.Note = fmt.Sprintf("whether the database takes this configuration is not known: %v", err)
		return r
	} else if err != nil {
		r.Refused = ofKey("database.url", err)
		return r
	}
	if err := db.Room(ctx); errors.Is(err, store.ErrRefused) {
		r.Refused = ofKey("database.url", err)
		return r
	}
	_, err = db.Read().OperatorOrganization(ctx)
	r.Bootstrapped = err == nil
	r.Pending, r.Refused, err = readKeys(ctx, db, cfg, catalog)
	if err == nil && r.Refused == nil {
		tokenSize := func(form keyring.Form, payload int) int {
			form.Algorithm = cmp.Or(form.Algorithm, cfg.Token.SigningAlgorithm)
			return keyring.TokenSize(form, payload)
		}
		defaults := token.NewDefaults(token.Defaults{Issuer: cfg.Issuer, MaxSize: cfg.Token.MaxSize, Now: time.Now(),
			Algorithm: cfg.Token.SigningAlgorithm,
			TokenSize: tokenSize}, catalog.APIs, catalog.Privileges)
		r.Warnings, err = defaults.DefaultRefused(ctx, db.Read(), "", "", "")
	}
	if err != nil { // the schema of an older release, or of none
		r.Note = fmt.Sprintf("whether a start would take the rows of the database is not known, "+
			"as not all of them can be read: %v", err)
	}
	return r
}

// readKeys returns what a start would refuse of the master key, the signing
// keys and the catalogue, and which algorithms would have to wait.
func readKeys(
	ctx context.Context, db *store.Store, cfg config.Config, catalog config.Catalog,
) (pending []keyring.Pending, refused, err error) {
	missing := masterKeyMissing(cfg)
	master, previous, err := masterKeys(cfg, false)
	if missing {
		master = make([]byte, masterKeySize) // opens nothing
	} else if err != nil {
		return nil, err, nil
	}
	keys, err := keyring.New(keyringConfig(cfg, db, master, previous))
	if err != nil {
		return nil, err, nil
	}
	if err := keys.Check(ctx); errors.Is(err, keyring.ErrOtherMasterKey) || errors.Is(err, keyring.ErrDamaged) {
		if missing {
			err = masterKeyLost(cfg)
		}
		return nil, err, nil
	} else if err != nil {
		return nil, nil, err
	}
	if pending, err = keys.Rehearse(ctx, catalog.APIs); err != nil {
		return nil, nil, err
	}
	err = access.CheckCatalog(ctx, db.Read(), cfg.Issuer, catalog.Privileges, cfg.CatalogAllowRemoval)
	if refused := (*svcauth.Problem)(nil); errors.As(err, &refused) {
		return nil, ofKey("catalog_file", errors.New(refused.Detail)), nil
	}
	return pending, nil, err
}
