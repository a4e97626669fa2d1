package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/oauth"
	"github.com/svcauth/svcauth/internal/server"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/token"
)

// frame returns a frame of its own around the faces.
func frame(t *testing.T, cfg server.Config, endpoints oauth.Config, api manage.Config) (*server.Server, http.Handler) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Ready == nil {
		cfg.Ready = func(context.Context) (bool, map[string]map[string]error) { return true, nil }
	}
	if endpoints.ClientAuth == nil { // the document names its methods
		endpoints.ClientAuth = clientauth.New(clientauth.Config{})
	}
	if endpoints.Token == nil { // and its grants
		endpoints.Token = &token.Service{}
	}
	endpoints.Issuer, api.Issuer, api.Logger = cfg.Issuer, cfg.Issuer, cfg.Logger
	cfg.OAuth = oauth.New(endpoints)
	var err error
	cfg.Manage, err = manage.New(api)
	require.NoError(t, err)
	s, handler, err := server.New(cfg)
	require.NoError(t, err)
	return s, handler
}

// reframed returns s with another frame around its rules. It serves the
// management API alone.
func reframed(t *testing.T, s *svctest.Server, slots int, api manage.Config) *svctest.Server {
	t.Helper()
	api.Access, api.People, api.Token = s.App.Access, s.App.People, s.App.Token
	_, handler := frame(t, server.Config{Issuer: s.Issuer, MaxInflight: slots}, oauth.Config{}, api)
	listener := httptest.NewServer(handler)
	t.Cleanup(listener.Close)
	via := *s
	via.URL = listener.URL
	return &via
}

// pages stand in for the console's.
type pages func(gin.IRouter)

func (p pages) Mount(r gin.IRouter) { p(r) }

func (p pages) NotFound(c *gin.Context) { c.Status(http.StatusNotFound) }
