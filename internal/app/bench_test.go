package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// BenchmarkTokenAgainstBare compares the warm token endpoint (in-process cache) with a bare gin handler that signs one ES256 JWT and writes as
// many bytes. Both run in turn in each round, so that a noisy machine troubles both alike. The figure that counts is `ratio`.
func BenchmarkTokenAgainstBare(b *testing.B) {
	handler, account := warm(b)
	token := func() *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		return w
	}
	require.Equal(b, 200, token().Code)
	bareHandler := bare(b, token().Body.Len())
	bareCall := func() {
		req := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
		bareHandler.ServeHTTP(httptest.NewRecorder(), req)
	}
	var ours, theirs time.Duration
	const round = 50
	for b.Loop() {
		began := time.Now()
		for range round {
			token()
		}
		middle := time.Now()
		for range round {
			bareCall()
		}
		ours, theirs = ours+middle.Sub(began), theirs+time.Since(middle)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
}

func warm(b *testing.B) (http.Handler, svcauth.ServiceAccount) {
	dir := b.TempDir()
	cfg, err := config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(dir, "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"), "SVCAUTH_OPS_LISTEN=", "SVCAUTH_LISTEN=127.0.0.1:0"}})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, cfg, app.Options{Version: "bench", Log: io.Discard})
	require.NoError(b, err)
	tenant, err := a.Access.Bootstrap(ctx, access.NewTenant{AdminEmail: "admin@example.com"})
	require.NoError(b, err)
	admin := access.WithActor(ctx, access.System(tenant.Organization.ID))
	role, err := a.Access.CreateRole(admin, svcauth.NewRole{Name: "Operator", Privileges: []string{"clusters:view", "clusters:edit"}})
	require.NoError(b, err)
	account, err := a.Access.CreateServiceAccount(admin, svcauth.NewServiceAccount{Name: "bench", RoleIDs: []string{role.ID}})
	require.NoError(b, err)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, nil) }()
	b.Cleanup(func() {
		stop()
		require.NoError(b, <-done)
		require.NoError(b, a.Close())
	})
	return a.Handler(), account
}

// bare signs one ES256 JWT a request through golang-jwt and writes size bytes.
func bare(b *testing.B, size int) http.Handler {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	engine := gin.New()
	engine.POST("/oauth2/token", func(c *gin.Context) {
		now := time.Now()
		text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.RegisteredClaims{Issuer: "http://localhost:8080", Subject: "sa_01h455vb4pex5vsknk084sn02q",
			Audience: jwt.ClaimStrings{"https://api.cloud.example"}, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour))}).SignedString(key)
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		body := text + strings.Repeat(" ", max(0, size-len(text)))
		c.Data(http.StatusOK, "application/json", []byte(body))
	})
	return engine
}
