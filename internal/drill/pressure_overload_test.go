package drill_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A node whose database hangs sheds load: once as many requests wait for the
// database as may, it refuses others that need it at once, for a fraction of
// what serving costs. Meanwhile it serves from memory whom it can, and answers
// probes. When the database answers again, all is as before.
func TestNodeShedsWhatItCannotServe(t *testing.T) {
	postgres := pgtest.Start(t, pgtest.Config{})
	s := newStack(t, 1, postgres.NewDatabase(), redistest.URL(t), "SVCAUTH_LIMITS_MAX_INFLIGHT=10")
	p := &pressed{t: t, stack: s, node: s.nodes[0]}
	a := p.newAccount("right")
	right := credential{a.ClientID, a.ClientSecret.Reveal()}

	many := call(t, last, job{Kind: "many", Addr: p.node.addr, Count: 4,
		Clients: slices.Repeat([]credential{right}, 14_500)})
	many.ask(order{Of: 2000}) // warm

	// A request for a client that the node does not know waits until the
	// database answers, or has been silent for too long.
	postgres.Pause()
	t.Cleanup(postgres.Resume)
	var strangers []credential
	for range 20 {
		strangers = append(strangers,
			credential{svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret().Reveal()})
	}
	flood := job{Kind: "flood", Addr: p.node.addr, Count: 20, Clients: strangers}
	first := call(t, last, flood)
	require.Eventually(t, func() bool { return p.node.metric("svcauth_http_requests_in_flight") >= 5 },
		20*time.Second, 10*time.Millisecond, "half of the slots")
	p.isShedding(strangers[0])
	for range 5 {
		require.Zero(t, many.ask(order{Of: 100}).Refused, "who is known is served")
	}
	first.hangUp()
	var served, shed spent
	for range 6 { // in turn: what else runs on the machine meanwhile makes both dearer
		served.add(p, func() result { return many.ask(order{Of: 2000}) })
		shed.add(p, func() result {
			flooding := call(t, last, flood)
			defer flooding.hangUp()
			time.Sleep(500 * time.Millisecond)
			return flooding.ask(order{})
		})
	}
	t.Logf("shed: %d requests, each for %.2f of the processor time of a token (%d)",
		shed.requests, shed.each()/served.each(), served.requests)
	require.Equal(t, shed.requests, shed.refused)
	require.Less(t, shed.each(), served.each()*0.6,
		"processor time of a shed request against a served one")

	postgres.Resume()
	require.Eventually(t, func() bool { return p.node.metric("svcauth_http_requests_in_flight") == 0 }, recovered,
		50*time.Millisecond, "slots are released")
	require.Zero(t, call(t, last,
		job{Kind: "many", Addr: p.node.addr, Count: 4,
			Clients: slices.Repeat([]credential{right}, 100)}).ask(order{Of: 100}).Refused)
}

// spent is what a node's requests cost it: their number, those of them that
// were answered by 503, and the processor time of all.
type spent struct {
	requests, refused int
	cpu               time.Duration
}

// add counts what ask asks of the node.
func (s *spent) add(p *pressed, ask func() result) {
	began := p.node.cpu()
	r := ask()
	s.cpu += p.node.cpu() - began
	s.requests += r.Asked
	s.refused += r.Statuses[http.StatusServiceUnavailable]
}

// each returns the processor time of a request in seconds.
func (s *spent) each() float64 { return s.cpu.Seconds() / float64(s.requests) }

// isShedding checks the answers of a node whose database hangs, once as many
// requests wait for it as may.
func (p *pressed) isShedding(unknown credential) {
	t := p.t
	ask := func(request string) (*http.Response, string) {
		conn, err := net.Dial("tcp", p.node.addr)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(3*time.Second)),
			"slots are held longer than that: it does not wait for one")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, "it is refused at once")
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(body)
	}
	resp, body := ask(string(tokenRequest(unknown)))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "1", resp.Header.Get("Retry-After"))
	require.Contains(t, resp.Header.Get("Content-Type"), "application/json")
	require.Contains(t, body, `"temporarily_unavailable"`)
	resp, _ = ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Equal(t, http.StatusOK, resp.StatusCode, "a busy node is alive")
	require.Positive(t, p.node.metric("svcauth_http_requests_in_flight"), "metrics are answered")
}

// Wrong secrets beyond the limit are answered by 429 and when to come again; a
// right one is served all the while, from the same address too.
func TestFloodOfWrongSecretsIsToldToWait(t *testing.T) {
	s := newStack(t, 1, pgtest.URL(t), redistest.URL(t))
	p := &pressed{t: t, stack: s, node: s.nodes[0]}
	a := p.newAccount("right")
	ask := func(secret string) *http.Response {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
			"http://"+p.node.addr+"/oauth2/token", strings.NewReader(tokenForm))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(a.ClientID, secret)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		return resp
	}
	wrong := svcauth.NewSecret().Reveal()
	for n := range 21 {
		resp := ask(wrong)
		if n < 20 {
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode, fmt.Sprint("wrong secret ", n+1))
			continue
		}
		require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
	}
	require.Equal(t, http.StatusOK, ask(a.ClientSecret.Reveal()).StatusCode)
}
