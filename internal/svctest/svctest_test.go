package svctest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

func TestAServerIsStoppedAndStartedOnItsData(t *testing.T) {
	s := svctest.New(t, svctest.Options{TLS: true})
	account := s.Account("ci", "clusters:view")
	token := s.Token(account.ClientID, account.ClientSecret, "clusters:view")
	s.Stop()
	s.Start()
	require.True(t, s.Active(account.ClientID, account.ClientSecret, token))
	require.Equal(t, s.Issuer, s.Get("/.well-known/oauth-authorization-server", "").JSON["issuer"])
	require.Contains(t, s.Log(), `"route":"/oauth2/token"`)
}

func TestTwoNodesShareOneDatabase(t *testing.T) {
	a := svctest.New(t, svctest.Options{Postgres: true, Redis: true})
	b := a.Node()
	account := a.Account("ci", "clusters:view")
	token := b.Token(account.ClientID, account.ClientSecret, "")
	require.True(t, a.Active(account.ClientID, account.ClientSecret, token))
}
