package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const audience = "https://api.cloud.example"

// resourceServer returns a verifier that follows the feed of a server with the
// account's own credential. edit may change its configuration.
func resourceServer(t *testing.T, s *svctest.Server, api svcauth.ServiceAccount,
	edit func(*resourceserver.Config)) *resourceserver.Verifier {
	t.Helper()
	tokens, err := tokensource.New(tokensource.Config{TokenURL: s.URL + "/oauth2/token", ClientID: api.ClientID,
		ClientSecret: api.ClientSecret, HTTPClient: s.HTTP,
		Resource: []string{s.Issuer}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tokens.Close() })
	cfg := resourceserver.Config{Issuer: s.Issuer, Audience: audience,
		HTTPClient: &http.Client{Transport: s.HTTP.Transport},
		Feed:       &resourceserver.Feed{Token: tokens.BearerToken, Drop: tokens.Drop}}
	if os.Getenv("SVCAUTH_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if edit != nil {
		edit(&cfg)
	}
	v, err := resourceserver.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	ready, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, v.Ready(ready))
	return v
}

func refused(t *testing.T, v *resourceserver.Verifier, token string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := v.Verify(context.Background(), token)
		return err != nil
	}, patience, time.Millisecond)
	_, err := v.Verify(t.Context(), token)
	require.ErrorIs(t, err, resourceserver.ErrRevoked)
}

func accepted(t *testing.T, v *resourceserver.Verifier, token string) {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
}

func TestResourceServerRefusesWhatWasRevokedAndConfirmsIt(t *testing.T) {
	s := svctest.New(t, svctest.Options{TLS: true})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	one := resourceServer(t, s, api, nil)
	two := resourceServer(t, s,
		api, func(c *resourceserver.Config) { c.Feed.Poll, c.Feed.Every = true, 100*time.Millisecond })
	token := tokenOf(s, account)
	accepted(t, one, token)
	accepted(t, two, token)
	answer := s.Post("/oauth2/revoke?wait=10s", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
	require.Equal(t, 200, answer.Status, answer.Text)
	require.EqualValues(t, 2, answer.JSON["enforced"], answer.Text)
	require.EqualValues(t, 2, answer.JSON["connected"], answer.Text)
	for _, v := range []*resourceserver.Verifier{one, two} {
		_, err := v.Verify(t.Context(), token)
		require.ErrorIs(t, err, resourceserver.ErrRevoked, "it is in force when the answer says so")
	}
}

// A revoked signing key takes its tokens along at a resource server on the
// feed, long before the server would read the keys again by itself.
func TestAResourceServerHearsThatASigningKeyWasRevoked(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	v := resourceServer(t, s, api,
		func(c *resourceserver.Config) { c.KeyRefresh, c.KeyCooldown = 24*time.Hour, 24*time.Hour })
	token := tokenOf(s, account)
	accepted(t, v, token)
	f := follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "")
	require.Equal(t, "snapshot", f.next().Event)
	_, err := s.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
	require.NoError(t, err)
	for f.next().Event != "keys" { // whoever follows is told
	}
	token = tokenOf(s, account)
	accepted(t, v, token)
	keys, err := s.Admin().SigningKeys(t.Context())
	require.NoError(t, err)
	for _, key := range keys.Items {
		if key.State == svcauth.KeyActive {
			_, err := s.Admin().RevokeSigningKey(t.Context(), key.KID)
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), token)
		return err != nil
	}, patience, 5*time.Millisecond)
	_, err = v.Verify(t.Context(), token)
	var refusal *resourceserver.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, 401, refusal.Status, "%v", err)
	accepted(t, v, tokenOf(s, account)) // of the key that signs now
}

// led makes calls to the issuer go to another address: another node, or a
// proxy.
func led(t *testing.T, to string) func(*resourceserver.Config) {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return func(c *resourceserver.Config) { c.HTTPClient = &http.Client{Transport: transport} }
}

func address(s *svctest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func TestARevocationAtOneNodeReachesAResourceServerAtAnother(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := svctest.New(t, svctest.Options{Postgres: true, RedisURL: redis.URL()})
	b := a.Node()
	account, api := a.Account("ci", "clusters:view"), a.Account("api", svcauth.TokensIntrospect)
	atA, atB := resourceServer(t, a, api, nil), resourceServer(t, a, api, led(t, address(b)))
	wait := func(s *svctest.Server) (e svcauth.Enforcement) {
		token := tokenOf(s, account)
		accepted(t, atA, token)
		accepted(t, atB, token)
		answer := s.Post("/oauth2/revoke?wait=10s", account.ClientID, account.ClientSecret,
			url.Values{"token": {token}})
		require.Equal(t, 200, answer.Status, answer.Text)
		require.NoError(t, json.Unmarshal([]byte(answer.Text), &e))
		for _, v := range []*resourceserver.Verifier{atA, atB} {
			refused(t, v, token)
		}
		return withoutTime(e)
	}
	// Each node counts the other's subscribers once it has heard of them.
	everybody := svcauth.Enforcement{Enforced: 2, Connected: 2}
	for _, s := range []*svctest.Server{a, b} {
		require.Eventually(t, func() bool { return wait(s) == everybody }, patience, 10*time.Millisecond)
	}
	bearer := a.OwnToken(a.Tenant.ApplicationKey.ClientID, a.Tenant.ApplicationKey.ClientSecret)
	var list svcauth.List[svcauth.ResourceServer]
	require.Eventually(t, func() bool { // the last receipt is told by the other node, in its own time
		servers := a.Get("/v1/resource-servers", bearer)
		list = svcauth.List[svcauth.ResourceServer]{}
		return servers.Status == 200 && json.Unmarshal([]byte(servers.Text), &list) == nil && len(list.Items) == 2 &&
			list.Items[0].Behind+list.Items[1].Behind == 0
	}, patience, 10*time.Millisecond, "two resource servers that have confirmed all")
	require.NotEqual(t, list.Items[0].Node, list.Items[1].Node)
	for _, one := range list.Items {
		require.Equal(t, api.ClientID, one.ClientID)
		require.Equal(t, audience, one.Name)
	}

	// Without Redis the other node reads the table, a second later. This one
	// answers that it counts its own only.
	redis.Kill()
	require.Eventually(t, func() bool {
		e := wait(a)
		return e.Partial && e.Enforced == 1 && e.Connected == 1
	}, 2*patience, time.Second)

	// Back again, everybody is counted again.
	redis.Start()
	require.Eventually(t, func() bool { return wait(a) == everybody }, 2*patience, 100*time.Millisecond)
}

func TestManagementCallsWaitForEnforcement(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	v := resourceServer(t, s, api, nil)
	token := tokenOf(s, account)
	accepted(t, v, token)
	require.Eventually(t, func() bool { return enforcement(t, s, account, "1s").Enforced == 1 }, patience,
		10*time.Millisecond)
	e, err := s.Admin().DeleteServiceAccount(t.Context(), account.ID, 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, svcauth.Enforcement{Enforced: 1, Connected: 1}, withoutTime(*e))
	_, err = v.Verify(t.Context(), token)
	require.ErrorIs(t, err, resourceserver.ErrRevoked)
}

func TestAResourceServerOutlivesARestartOfTheServer(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	v := resourceServer(t, s, api, nil)
	before, after := tokenOf(s, account), tokenOf(s, account)
	s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {before}})
	refused(t, v, before)
	s.Stop()
	accepted(t, v, after)
	s.Start()
	s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {after}})
	refused(t, v, after)
	refused(t, v, before)
}

// cutter is a proxy that passes a number of bytes on to the client, and then
// cuts the connection.
type cutter struct {
	net.Listener
	left atomic.Int64 // negative: no limit
	cuts atomic.Int64
}

func newCutter(t *testing.T, to string) *cutter {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	c := &cutter{Listener: listener}
	c.left.Store(-1)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go c.copy(client, server)
		}
	}()
	return c
}

func (c *cutter) copy(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		left := c.left.Load()
		if left >= 0 && int64(n) > left {
			_, _ = client.Write(buffer[:left])
			c.left.Store(-1)
			c.cuts.Add(1)
			return
		}
		if left >= 0 {
			c.left.Add(int64(-n))
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func TestNothingIsMissedWhereTheFeedIsCutInMidEvent(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	proxy := newCutter(t, address(s))
	v := resourceServer(t, s, api, led(t, proxy.Addr().String()))
	for _, bytes := range []int64{0, 1, 7, 23, 40, 60, 90, 110, 120} {
		tokens := []string{tokenOf(s, account), tokenOf(s, account), tokenOf(s, account)}
		for _, token := range tokens {
			accepted(t, v, token)
		}
		before := proxy.cuts.Load()
		proxy.left.Store(bytes)
		for _, token := range tokens {
			s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
		}
		for _, token := range tokens {
			refused(t, v, token)
		}
		require.Greater(t, proxy.cuts.Load(), before, "cut after %d bytes", bytes)
	}
}

func TestASlowFollowerIsSentAwayAndHoldsNobodyUp(t *testing.T) {
	needs.Time(t)
	t.Parallel()
	database := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	v := resourceServer(t, s, api, nil)
	// It asks, and then reads nothing.
	slow, err := net.Dial("tcp", address(s))
	require.NoError(t, err)
	defer slow.Close()
	require.NoError(t, slow.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(slow,
		"GET /oauth2/revocations HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\n\r\n",
		tokenOf(s, api))
	require.NoError(t, err)
	for began := time.Now(); !strings.Contains(s.Log(), "stream_slow"); {
		require.Less(t, time.Since(began), 2*patience, "it was not sent away")
		flood(t, s, database, account, v)
	}
	token := tokenOf(s, account)
	s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
	refused(t, v, token)
}

// flood writes many revocations, and sees that one who reads gets a new one
// nevertheless.
func flood(t *testing.T, s *svctest.Server, database string, account svcauth.ServiceAccount,
	v *resourceserver.Verifier) {
	t.Helper()
	addRevocations(t, s, database, 2000)
	token := tokenOf(s, account)
	s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
	refused(t, v, token)
}
