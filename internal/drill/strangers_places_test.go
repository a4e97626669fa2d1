package drill_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// fewPlaces is how many requests a node has room for that is to be filled.
const fewPlaces = 40

// Strangers and tenants fill every place of a node that they can get, by all that
// needs a database which takes long to answer, and by bodies that never end. A
// quarter of the places is left: right clients get every token that they ask
// for. Whoever finds no place is refused at once, and told when to come again;
// probes are answered; and when it is over all is as it was.
func TestStrangersFillThePlaces(t *testing.T) {
	needFull(t)
	p := newTroubled(t, fmt.Sprint("SVCAUTH_LIMITS_MAX_INFLIGHT=", fewPlaces))
	inWork := func() float64 { return p.node.metric("svcauth_http_requests_in_flight") }
	bodies := p.hold(400, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 300\r\n\r\ngrant", "")()
	require.Zero(t, p.right.ask(order{For: time.Second}).Refused)
	require.Less(t, inWork(), 5.0, "bodies that are read take no places")

	asked := p.everything()
	const slow = 700 * time.Millisecond // each way
	p.network.set(slow, false, false)
	strangers := call(t, last, job{Kind: "makeup", Addr: p.node.addr, From: fromMany(), Count: 400, Requests: asked})
	const waiting = fewPlaces/2 + fewPlaces/8 + fewPlaces/8 - fewPlaces/32 // the last part is the operator's
	require.Eventually(t, func() bool { return inWork() >= waiting-2 }, 20*time.Second, time.Millisecond, "they have what they can get")
	most := 0.0
	for range 5 {
		require.Zero(t, p.right.ask(order{For: time.Second}).Refused, "who is known is served")
		most = max(most, inWork())
		p.isRefusedAtOnce(2 * slow)
	}
	require.LessOrEqual(t, most, fewPlaces*3.0/4+4, "and no more: the right clients themselves have the others")
	seen := strangers.ask(order{})
	require.NotZero(t, seen.Statuses[http.StatusServiceUnavailable], "%v", seen.Statuses)
	t.Logf("%d answers to strangers in %v: %v; at most %.0f of %d places taken", seen.Asked, seen.Took.Round(time.Second/10), seen.Statuses, most, fewPlaces)

	strangers.hangUp()
	bodies()
	p.network.heal()
	require.Eventually(t, func() bool { return inWork() == 0 }, recovered, 10*time.Millisecond, "places are given back")
	require.Eventually(t, func() bool {
		status, err := p.unseenClient()
		return err == nil && status == http.StatusOK
	}, recovered, 100*time.Millisecond, "the node recovers by itself")
	require.Zero(t, p.right.ask(order{For: time.Second}).Refused)
}

// isRefusedAtOnce asks as a stranger until it is refused for want of a place: in
// less time than the database takes.
func (p *pressed) isRefusedAtOnce(database time.Duration) {
	t := p.t
	for try := 0; ; try++ {
		require.Less(t, try, 20, "nobody is refused: the places are not full")
		l, err := dial(job{Addr: p.node.addr, From: []string{"127.0.1.1"}}, 0)
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, l.conn.SetDeadline(began.Add(30*time.Second)))
		_, err = io.WriteString(l.conn, string(tokenRequest(credential{svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret().Reveal()})))
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(l.conn), nil)
		require.NoError(t, err)
		took := time.Since(began)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = l.conn.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || took > database {
			continue
		}
		require.Equal(t, "1", resp.Header.Get("Retry-After"))
		require.True(t, strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json"))
		require.Contains(t, string(body), `"temporarily_unavailable"`)
		break
	}
	for _, probe := range []string{"/healthz", "/readyz"} {
		resp, err := http.Get("http://" + p.node.addr + probe)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s of a busy node that serves whom it knows", probe)
	}
}
