package drill_test

import (
	"fmt"
	"math/rand/v2"
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

const (
	pressureRounds = 5               // quiet and pressed in turn, so often
	pressureWindow = 2 * time.Second // how long each of the two is measured
	distinct       = 100_000         // clients asked in random order
	remembered     = 40_000          // how many of them the node may keep in memory
	// the product's bound on the right clients' 99th percentile under pressure,
	// in quiet ones
	timesQuiet = 2.0
)

// pressed is one node that is pressed, and the right clients who want to be
// served all the while.
type pressed struct {
	*stack
	t              *testing.T
	node           *node
	right          *caller
	clients, wrong []credential
	limit          float64 // GOMEMLIMIT in bytes
	bound          float64 // of the right clients' 99th percentile under pressure, in quiet ones
}

func newPressed(t *testing.T, megabytes int, environ ...string) *pressed {
	t.Helper()
	p := &pressed{t: t, limit: float64(megabytes << 20), bound: timesQuiet,
		stack: newStack(t, 1, pgtest.URL(t), redistest.URL(t),
			append(environ, fmt.Sprint("GOMEMLIMIT=", megabytes, "MiB"))...)}
	p.node = p.nodes[0]
	p.node.take(second)
	for i := range 4 {
		a := p.newAccount(fmt.Sprint("right ", i))
		p.clients = append(p.clients, credential{a.ClientID, a.ClientSecret.Reveal()})
		p.wrong = append(p.wrong,
			credential{svcauth.NewID(svcauth.PrefixServiceAccount),
				svcauth.NewSecret().Reveal()}, credential{a.ClientID, svcauth.NewSecret().Reveal()})
	}
	p.callRight()
	return p
}

// callRight starts the right clients. None of their requests may fail, ever.
func (p *pressed) callRight() {
	p.right = call(p.t, first, job{Kind: "right", Addr: p.node.addr, Count: 4, Clients: p.clients})
	p.right.ask(order{For: time.Second}) // warm
}

func (p *pressed) newAccount(name string) svcauth.ServiceAccount {
	p.t.Helper()
	a, err := p.admin.CreateServiceAccount(p.t.Context(),
		svcauth.NewServiceAccount{Name: name, RoleIDs: []string{p.role.ID}})
	require.NoError(p.t, err)
	return a
}

// press is one way to press: it returns when it does, and what it returns ends
// it and says how it went.
type press func() (end func() string)

// hold is callers that open connections, begin something and stay.
func (p *pressed) hold(count int, begin, trickle string) press {
	return func() func() string {
		c := call(p.t, last, job{Kind: "hold", Addr: p.node.addr, From: []string{"127.0.0.3", "127.0.0.4"},
			Count: count, Begin: begin, Trickle: trickle})
		return func() string { c.hangUp(); return "" }
	}
}

func (p *pressed) idle(count int) press {
	return p.hold(count, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "")
}

func (p *pressed) slowWriters(count int) press {
	return p.hold(count, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2000\r\n\r\ngrant", "write")
}

func (p *pressed) slowReaders(count int) press {
	return p.hold(count, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 40), "read")
}

// flood is wrong secrets, of clients that exist and that do not, from an
// address that sends no right ones.
func (p *pressed) flood(callers int) press {
	return func() func() string {
		c := call(p.t, last, job{Kind: "flood", Addr: p.node.addr, From: []string{"127.0.0.2"}, Count: callers,
			Clients: p.wrong})
		return func() string {
			r := c.ask(order{})
			c.hangUp()
			require.NotZero(p.t, r.Statuses[http.StatusTooManyRequests])
			return fmt.Sprintf("%.0f wrong secrets a second", float64(r.Asked)/r.Took.Seconds())
		}
	}
}

// many is distinct clients, each asking once, in random order: a part in each
// round. Every one must be served.
func (p *pressed) many() press {
	var c *caller
	return func() func() string {
		if c == nil {
			clients := p.addClients(p.newAccount("like all the others"), distinct)
			rand.Shuffle(len(clients), func(i, k int) { clients[i], clients[k] = clients[k], clients[i] })
			c = call(p.t, last,
				job{Kind: "many", Addr: p.node.addr, From: []string{"127.0.0.5"}, Count: 8, Clients: clients})
		}
		c.order(order{Of: distinct / pressureRounds})
		return func() string {
			r := c.answer()
			require.Equal(p.t, distinct/pressureRounds, r.Statuses[http.StatusOK], "all of them are served")
			return fmt.Sprintf("%d others served, %.0f a second", r.Asked, float64(r.Asked)/r.Took.Seconds())
		}
	}
}

func together(all ...press) press {
	return func() func() string {
		var ends []func() string
		for _, start := range all {
			ends = append(ends, start())
		}
		return func() string {
			var said []string
			for _, end := range slices.Backward(ends) {
				if text := end(); text != "" {
					said = append(said, text)
				}
			}
			return strings.Join(said, ", ")
		}
	}
}

// A node with many connections, callers who read and write slowly, many clients
// that it does not remember and a flood of wrong secrets goes on serving right
// clients, within bounds of time and memory.
func TestNodeUnderPressure(t *testing.T) {
	needFull(t)
	p := newPressed(t, 600, "SVCAUTH_LIMITS_MAX_INFLIGHT=500", "SVCAUTH_LIMITS_MAX_CONNECTIONS=16000",
		fmt.Sprint("SVCAUTH_CACHE_CLIENTS=", remembered))
	idle, writers, readers := p.idle(10_000), p.slowWriters(2_000), p.slowReaders(2_000)
	flood := p.flood(1500) // more than are answered late, so that it is one
	p.measure("nothing", func() func() string { return func() string { return "" } })
	p.measure("10,000 idle connections", idle)
	p.measure("2,000 slow writers", writers)
	p.measure("2,000 slow readers", readers)
	p.measure("wrong secrets, 8 callers", p.flood(8))
	p.measure("wrong secrets, 1,500 callers", flood)
	p.measure("all of these at once", together(idle, writers, readers, flood))
	p.measure(fmt.Sprint(distinct, " clients, each once"), p.many())
	t.Logf("afterwards: %.1f MB resident, %v goroutines", p.status("VmRSS")/1e6, p.node.metric("go_goroutines"))
}

// measure has the right clients ask in quiet and under pressure, in turn, and
// compares the medians of the rounds' 99th percentiles, so that what else the
// machine does meanwhile decides nothing. Where it does so much that quiet
// rounds differ by far among themselves, there is nothing to judge by, and it
// says that.
func (p *pressed) measure(name string, start press) {
	outer := p.t
	defer func() { p.t = outer }()
	outer.Run(name, func(t *testing.T) {
		p.t = t
		var quiet, pressed, busy []float64
		var managed, resident float64
		said := ""
		for range pressureRounds {
			quiet = append(quiet, p.right.ask(order{For: pressureWindow}).P99.Seconds()*1e3)
			end := start()
			time.Sleep(time.Second)
			cpu, began := p.node.cpu(), time.Now()
			pressed = append(pressed, p.right.ask(order{For: pressureWindow}).P99.Seconds()*1e3)
			busy = append(busy, (p.node.cpu()-cpu).Seconds()/time.Since(began).Seconds())
			managed, resident = max(managed, p.managed()), max(resident, p.status("VmRSS"))
			said = end()
			require.Eventually(t, func() bool { return p.node.metric("go_goroutines") < 200 }, time.Minute,
				100*time.Millisecond, "connections that ended leave nothing behind")
		}
		ratio := median(pressed) / median(quiet)
		t.Logf("p99 %.1f times quiet   ms: quiet %.2f, pressed %.2f   node: %.2f processors, %.0f MB managed, "+
			"%.0f MB resident   %s", ratio, quiet, pressed, median(busy),
			managed/1e6, resident/1e6, said)
		require.LessOrEqual(t, managed, p.limit*1.02, "GOMEMLIMIT, which the runtime keeps to by and large")
		require.LessOrEqual(t, resident, p.limit+programPages)
		if slices.Sort(quiet); quiet[len(quiet)-2] > 3*quiet[1] { // one of them may be anything
			t.Log("the machine was busy with other things: nothing to judge by")
			return
		}
		require.LessOrEqual(t, ratio, p.bound, "right clients' p99 under pressure, in quiet ones")
	})
}

func median(of []float64) float64 { return slices.Sorted(slices.Values(of))[len(of)/2] }
