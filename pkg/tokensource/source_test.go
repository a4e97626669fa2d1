package tokensource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTokenIsFetchedOnceAndServedToAll(t *testing.T) {
	e := newEndpoint(t)
	s := e.source(t, func(c *Config) {
		c.Scopes, c.Resource, c.Audience = []string{"clusters:view", "clusters:edit"}, []string{"https://a.example",
			"https://b.example"}, []string{"c"}
		c.UserAgent = "my-program/1.0"
	})
	first, err := s.Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, "token-1", first.AccessToken)
	require.Equal(t, "Bearer", first.TokenType)
	require.Equal(t, "clusters:view", first.Extra("scope"))
	require.Empty(t, first.RefreshToken)
	require.Nil(t, first.Extra("refresh_token"))
	require.WithinDuration(t, time.Now().Add(time.Hour), first.Expiry, time.Minute)
	first.AccessToken = "the caller's own copy"

	second, err := s.TokenSource(soon(t)).Token()
	require.NoError(t, err)
	require.Equal(t, "token-1", second.AccessToken)
	require.Equal(t, 1, e.asked())
	form, header := e.last()
	require.Equal(t, "clusters:view clusters:edit", form.Get("scope"))
	require.Equal(t, []string{"https://a.example", "https://b.example"}, form["resource"])
	require.Equal(t, []string{"c"}, form["audience"])
	require.False(t, form.Has("client_secret") || form.Has("client_id"),
		"Basic sends the credential in the header only (RFC 6749 §2.3)")
	require.Equal(t, "my-program/1.0", header.Get("User-Agent"))
}

func TestPostSendsTheCredentialInTheBodyOnly(t *testing.T) {
	e := newEndpoint(t)
	_, err := e.source(t, func(c *Config) { c.AuthStyle = Post }).Token(soon(t))
	require.NoError(t, err)
	form, header := e.last()
	require.Equal(t, e.secret, form.Get("client_secret"))
	require.Empty(t, header.Get("Authorization"))
}

func TestTenThousandFirstRequestsAreOneFetch(t *testing.T) {
	e := newEndpoint(t)
	e.hold = make(chan struct{})
	s := e.source(t, func(c *Config) { c.Timeout = time.Minute })
	const callers = 10_000
	var wrong, entered atomic.Int32
	var all sync.WaitGroup
	ctx := soon(t)
	for range callers {
		all.Go(func() {
			entered.Add(1)
			if got, err := s.Token(ctx); err != nil || got.AccessToken != "token-1" {
				wrong.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return entered.Load() == callers && e.asked() == 1 }, 20*time.Second,
		time.Millisecond)
	close(e.hold)
	all.Wait()
	require.Zero(t, wrong.Load())
	require.Equal(t, 1, e.asked())
	require.Equal(t, 1, e.lookups)
}

func TestAllWaitersShareARefusal(t *testing.T) {
	e := newEndpoint(t)
	e.hold = make(chan struct{})
	s := e.source(t, func(c *Config) { c.ClientSecret = "wrong" })
	const callers = 200
	results := make(chan error, callers)
	var entered atomic.Int32
	ctx := soon(t)
	for range callers {
		go func() { entered.Add(1); _, err := s.Token(ctx); results <- err }()
	}
	require.Eventually(t, func() bool { return entered.Load() == callers && e.asked() == 1 }, 20*time.Second,
		time.Millisecond)
	close(e.hold)
	for range callers {
		var refused *Error
		require.ErrorAs(t, <-results, &refused)
		require.Equal(t, "invalid_client", refused.Code)
	}
	require.Less(t, e.asked(), callers/2, "few, if any, can have come after the answer")
}

func TestAWaiterThatLeavesDoesNotEndTheFlight(t *testing.T) {
	e := newEndpoint(t)
	e.hold = make(chan struct{})
	s := e.source(t, func(c *Config) { c.Timeout = time.Minute })
	first, leave := context.WithCancelCause(t.Context())
	gone := make(chan error, 1)
	go func() { _, err := s.Token(first); gone <- err }()
	require.Eventually(t, func() bool { return e.asked() == 1 }, 20*time.Second, time.Millisecond)
	bored := errors.New("bored")
	leave(bored) // the one who caused the request
	require.ErrorIs(t, <-gone, bored)
	close(e.hold)
	got, err := s.Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, "token-1", got.AccessToken)
	require.Equal(t, 1, e.asked())

	_, err = e.source(t).Token(first)
	require.ErrorIs(t, err, bored)
	require.Equal(t, 1, e.asked(), "a call whose context has ended sends nothing")
}

func TestCloseEndsTheFlightAndAllCalls(t *testing.T) {
	e := newEndpoint(t)
	e.hold = make(chan struct{})
	defer close(e.hold)
	s := e.source(t, func(c *Config) { c.Timeout = time.Minute })
	ended := make(chan error, 1)
	ctx := soon(t)
	go func() { _, err := s.Token(ctx); ended <- err }()
	require.Eventually(t, func() bool { return e.asked() == 1 }, 20*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-ended, ErrClosed)
	_, err := s.Token(ctx)
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, s.Close())
}

func TestDropForgetsThatVeryTokenOnly(t *testing.T) {
	e := newEndpoint(t)
	s := e.source(t)
	for _, step := range []struct{ drop, want string }{{"", "token-1"}, {"token-0", "token-1"}, {"token-1", "token-2"},
		{"token-1", "token-2"}} {
		s.Drop(step.drop)
		got, err := s.Token(soon(t))
		require.NoError(t, err)
		require.Equal(t, step.want, got.AccessToken)
	}
}

func TestRotatedSecretFileNeedsNoRestart(t *testing.T) {
	e := newEndpoint(t)
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(" "+e.secret+"\r\n"), 0o600))
	s := e.source(t, func(c *Config) { c.ClientSecret, c.ClientSecretFile = "", file })
	_, err := s.Token(soon(t))
	require.NoError(t, err)

	e.set(func() { e.secret = "the new one" })
	s.Drop("token-1")
	require.Equal(t, "invalid_client", failure(t, s).Code)
	require.NoError(t, os.WriteFile(file, []byte("the new one"), 0o600))
	got, err := s.Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, "token-3", got.AccessToken)

	for _, bad := range []string{"", " \n", "two\nlines", strings.Repeat("x", maxFile+1)} {
		require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
		s.Drop("token-3")
		want := "does not hold one line"
		if len(bad) > maxFile {
			want = "is longer than 64 KiB"
		}
		require.ErrorContains(t, failure(t, s), want)
		_, err := New(Config{Issuer: e.URL, ClientID: "x", ClientSecretFile: file})
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.Remove(file))
	require.ErrorIs(t, failure(t, s), os.ErrNotExist)
	require.Equal(t, 3, e.asked())
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Issuer: "https://auth.example.com", ClientID: "sa_x", ClientSecret: "correct horse"}
	_, err := New(good)
	require.NoError(t, err)
	for want, change := range map[string]func(*Config){
		"neither Issuer nor TokenURL": func(c *Config) { c.Issuer = "" },
		"ClientID is empty":           func(c *Config) { c.ClientID = "" },
		"ClientSecret holds a line":   func(c *Config) { c.ClientSecret += "\n" },
		"nothing to authenticate with is set; set one of ClientSecret, ClientSecretFile, " +
			"PrivateKeyFile": func(c *Config) { c.ClientSecret = "" },
		"both ClientSecret and":       func(c *Config) { c.ClientSecretFile = "f" },
		"neither Basic nor Post":      func(c *Config) { c.AuthStyle = 7 },
		"Timeout is negative":         func(c *Config) { c.Timeout = -1 },
		"more than one entry":         func(c *Config) { c.Audience = []string{"a", "b"} },
		"is not one privilege":        func(c *Config) { c.Scopes = []string{"a:b c:d"} },
		"absolute URI":                func(c *Config) { c.Resource = []string{"/relative"} },
		"a resource names a port":     func(c *Config) { c.Resource = []string{"https://api.example.com:99999"} },
		"Issuer names a port":         func(c *Config) { c.Issuer = "https://auth.example.com:65536" },
		"TokenURL has a part":         func(c *Config) { c.TokenURL = "https://auth.example.com/x/../token" },
		"Issuer has a query":          func(c *Config) { c.Issuer += "?a" },
		"Issuer is not an address":    func(c *Config) { c.Issuer = "auth.example.com" },
		"TokenURL is not an address":  func(c *Config) { c.TokenURL = "ftp://auth.example.com" },
		"user name or password":       func(c *Config) { c.Issuer = "https://me:correct%20horse@auth.example.com" },
		"has a fragment":              func(c *Config) { c.TokenURL = "https://auth.example.com/token#" },
		"would send secrets in clear": func(c *Config) { c.Issuer = "http://auth.example.com" },
	} {
		c := good
		change(&c)
		_, err := New(c)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "horse")
	}
	for _, local := range []string{"http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"} {
		good.Issuer = local
		_, err := New(good)
		require.NoError(t, err, local)
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", good, good, good), "horse")
}

func TestPrintedSourceShowsNeitherSecretNorToken(t *testing.T) {
	e := newEndpoint(t)
	s := e.source(t)
	_, err := s.Token(soon(t))
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		shown := fmt.Sprintf(verb, s)
		require.NotContains(t, shown, "token-1")
		require.NotContains(t, shown, e.secret)
	}
}
