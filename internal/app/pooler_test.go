// Not under the race detector: PgBouncer changes what the driver sends, not
// which goroutines meet; nodes without it run under the race detector.

//go:build !race

package app_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestNodesServeThroughPgBouncer that lends two connections to all of them, one
// transaction at a time: on an empty database both start at once, and then
// whatever is asked of either works.
func TestNodesServeThroughPgBouncer(t *testing.T) {
	database := pgtest.PgBouncer(t, pgtest.URL(t), nil)
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	cfg := load(t, "SVCAUTH_DATABASE_URL="+database, "SVCAUTH_MASTER_KEY_FILE="+key)
	r := app.Rehearse(t.Context(), cfg, builtIn(t, cfg))
	require.NoError(t, r.Refused)
	require.NotContains(t, r.Note, away.Database)
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		both.Go(func() {
			a, err := app.New(t.Context(), cfg, app.Options{Version: "test", Log: io.Discard,
				Patience: app.Patience{Database: schema.Patience}})
			if err == nil {
				err = a.Close()
			}
			errs[i] = err
		})
	}
	both.Wait()
	require.NoError(t, errors.Join(errs...))

	one := svctest.New(t, svctest.Options{DatabaseURL: database, Redis: true,
		Environ: []string{"SVCAUTH_MASTER_KEY_FILE=" + key}})
	two := one.Node()
	for range 3 { // each time over connections that have been lent to the other one
		walk(t, one, two)
		walk(t, two, one)
	}
	two.Stop()
	two.Start()
	walk(t, two, one)
}

// walk uses one node for all that it does, and looks at the other for what is
// revoked there.
func walk(t *testing.T, s, other *svctest.Server) {
	t.Helper()
	admin := s.Tenant.ApplicationKey
	bearer := s.OwnToken(admin.ClientID, admin.ClientSecret)
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.Get("/openapi.json", "").Text), &doc))
	asked := 0
	for path, verbs := range doc.Paths {
		if _, ok := verbs["get"]; ok && strings.HasPrefix(path, "/v1/") && !strings.Contains(path, "{") {
			answer := s.Get(path, bearer)
			require.Equal(t, http.StatusOK, answer.Status, "%s: %s", path, answer.Text)
			asked++
		}
	}
	require.Greater(t, asked, 5)

	account := s.Account(svcauth.NewID("ci"), "clusters:view")
	token := s.Token(account.ClientID, account.ClientSecret, "")
	require.True(t, other.Active(account.ClientID, account.ClientSecret, token))
	require.Equal(t, http.StatusOK,
		s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}}).Status)
	require.False(t, s.Active(account.ClientID, account.ClientSecret, token))
	require.Eventually(t, func() bool { return !other.Active(account.ClientID, account.ClientSecret, token) }, patience,
		5*time.Millisecond)

	form := url.Values{"email": {svctest.AdminEmail}, "password": {s.Tenant.AdminPassword.Reveal()}}
	req, err := http.NewRequest(http.MethodPost, s.URL+"/console/sign-in", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusSeeOther, s.Do(req).Status)
	ready := s.Get("/readyz", "")
	require.Equal(t, "ok", ready.JSON["status"], ready.Text)
}

// What config check passes of what stands before PostgreSQL, a start takes, and
// the other way round.
func TestConfigCheckAndStartAgreeOnPoolers(t *testing.T) {
	direct := pgtest.URL(t)
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	through := func(name, value string) string {
		return pgtest.PgBouncer(t, direct, map[string]string{name: value})
	}
	for _, c := range []struct{ url, refused string }{
		{through("pool_mode", "transaction"), ""},
		{through("pool_mode", "session"), ""},
		{through("pool_mode", "statement"), "takes no transactions"},
		{through("pool_mode", "transaction") + "&search_path=x", "the URL has search_path"},
		{through("ignore_startup_parameters", "search_path") + "&search_path=x",
			"has not handed on the setting search_path"},
		{through("max_client_conn", "0"), "08P01"},
	} {
		environ := []string{"SVCAUTH_DATABASE_URL=" + c.url, "SVCAUTH_MASTER_KEY_FILE=" + key,
			"SVCAUTH_LISTEN=127.0.0.1:0", "SVCAUTH_OPS_LISTEN=", "SVCAUTH_SHUTDOWN_DELAY=0s"}
		cfg, err := config.Load(config.LoadOptions{Environ: environ, Check: app.CheckConfig})
		require.NoError(t, err)
		refused, started := app.Rehearse(t.Context(), cfg, builtIn(t, cfg)).Refused, startOnce(t, environ)
		if c.refused == "" {
			require.NoError(t, refused)
			require.NoError(t, started)
			continue
		}
		require.ErrorContains(t, refused, c.refused)
		require.ErrorContains(t, started, c.refused)
	}
}
