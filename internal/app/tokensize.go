package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxSizeLook is how long a look for accounts with too long tokens may take.
const maxSizeLook = 5 * time.Second

// nameOversized tells the log once whose tokens would be too long by the
// catalogue that has been loaded.
func (a *App) nameOversized(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, maxSizeLook)
	defer cancel()
	warnings, err := a.Token.Oversized(look, "", "", "")
	if err != nil && ctx.Err() == nil {
		a.logger.Warn("whose tokens would be longer than token.max_size can't be read", "error", err)
	}
	for _, w := range warnings {
		a.logger.Warn("an account gets a token by scope or resource only: without, it would be too long", "account", w.ID, "characters", w.Characters, "max_size", w.Max)
	}
	return nil
}

// CheckTokenSizes says whose tokens would be too long by a catalogue that is not
// in force yet, as far as the database can be read. note says why it can't.
func CheckTokenSizes(ctx context.Context, cfg config.Config, catalog config.Catalog) (warnings []svcauth.SizeWarning, note string) {
	if cfg.Token.MaxSize == 0 {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, maxSizeLook)
	defer cancel()
	sizer := token.NewSizer(token.Sizer{Issuer: cfg.Issuer, MaxSize: cfg.Token.MaxSize, Now: time.Now(),
		TokenSize: func(payload int) int { return keyring.TokenSize(cfg.Token.SigningAlgorithm, payload) }}, catalog.APIs, catalog.Privileges)
	warnings, err := oversizedOf(ctx, cfg, sizer)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "" // a new installation
	case err != nil:
		return nil, fmt.Sprintf("whose tokens would be longer than token.max_size is not known, as the database can't be read: %v", err)
	}
	return warnings, ""
}

func oversizedOf(ctx context.Context, cfg config.Config, sizer token.Sizer) ([]svcauth.SizeWarning, error) {
	url := cfg.Database.URL.Reveal()
	if path, is := strings.CutPrefix(url, "sqlite://"); is {
		path, _, _ = strings.Cut(path, "?")
		if _, err := os.Stat(path); err != nil { // opening it would make it
			return nil, err
		}
	}
	db, err := store.Open(store.Config{URL: url, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return sizer.Oversized(ctx, db.Read(), "", "", "")
}
