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

// fewSlots is the number of in-flight requests that a node takes in these
// drills.
const fewSlots = 40

// slowDatabase is how long the database takes in each direction. It holds every
// slot for long but goes on answering.
const slowDatabase = 700 * time.Millisecond

// Strangers and tenants take every in-flight slot that they can get, with
// everything that needs the slow database, and with bodies that never end. A
// quarter of the slots is left, so right clients get every token that they ask
// for. A request that finds no slot is refused at once and told when to retry.
// Probes are answered. Afterwards the node is as it was.
func TestStrangersFillTheInFlightSlots(t *testing.T) {
	needFull(t)
	p := newTroubled(t, fmt.Sprint("SVCAUTH_LIMITS_MAX_INFLIGHT=", fewSlots))
	p.measure("all slots that strangers can get", p.filled)
}

// filled is a press that begins when strangers have all the slots that they can
// get, and ends when the node is whole again.
func (p *troubled) filled() func() string {
	inWork := func() float64 { return p.node.metric("svcauth_http_requests_in_flight") }
	bodies := p.hold(400, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 300\r\n\r\ngrant", "")()
	time.Sleep(time.Second)
	require.Less(p.t, inWork(), 8.0, "bodies that are read take no slots")
	asked := p.everything()
	p.network.set(slowDatabase, false, false)
	strangers := call(p.t, last, job{Kind: "makeup", Addr: p.node.addr, From: fromMany(), Count: 400, Requests: asked})
	const waiting = fewSlots/2 + fewSlots/8 + fewSlots/8 - fewSlots/32 // the last part is the operator's
	require.Eventually(p.t, func() bool { return inWork() >= waiting-2 }, 20*time.Second, time.Millisecond,
		"they have what they can get")
	return func() string {
		most := 0.0
		for range 100 {
			most = max(most, inWork())
		}
		p.isRefusedAtOnce(2 * slowDatabase)
		require.LessOrEqual(p.t, most, fewSlots*3.0/4+float64(len(p.clients)),
			"and no more: right clients have the others")
		seen := strangers.ask(order{})
		strangers.hangUp()
		require.NotZero(p.t, seen.Statuses[http.StatusServiceUnavailable], "%v", seen.Statuses)
		bodies()
		p.network.heal()
		require.Eventually(p.t, func() bool { return inWork() == 0 }, recovered, 10*time.Millisecond,
			"slots are released")
		require.Eventually(p.t, func() bool {
			status, err := p.unseenClient()
			return err == nil && status == http.StatusOK
		}, recovered, 100*time.Millisecond, "the node recovers by itself")
		return fmt.Sprintf("%d answers to strangers: %v; at most %.0f of %d slots taken", seen.Asked, seen.Statuses,
			most, fewSlots)
	}
}

// isRefusedAtOnce asks as a stranger until it is refused for lack of a slot, in
// less time than the database takes.
func (p *pressed) isRefusedAtOnce(database time.Duration) {
	t := p.t
	for try := 0; ; try++ {
		require.Less(t, try, 20, "nobody is refused: the slots are not all taken")
		l, err := dial(job{Addr: p.node.addr, From: []string{"127.0.1.1"}}, 0)
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, l.conn.SetDeadline(began.Add(30*time.Second)))
		_, err = l.conn.Write(tokenRequest(credential{svcauth.NewID(svcauth.PrefixServiceAccount),
			svcauth.NewSecret().Reveal()}))
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
