package drill_test

import (
	"io"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"
)

// The bounds that deploy/docs/operate.md states.
const (
	// nobody notices less: the longest time without a token, or with a valid
	// one refused, where the page says "as before"
	gap = time.Second
	// a revocation reaches every node and resource server; through Redis it
	// takes milliseconds
	withRedis    = 2 * time.Second
	withoutRedis = 2 * time.Second // by polling the change log each second
	// after Redis and the database have both been away: the database starts,
	// and the log is read
	bothBack = 2 * withoutRedis
	// a resource server whose own node is gone refuses everything after its
	// MaxStaleness
	cutOff    = maxStaleness + 2*time.Second
	recovered = 30 * time.Second // a node is back in service after the fault
	// a node that hangs: the front waits four seconds for it, as load balancers
	// do, before it asks the other
	hung = 5 * time.Second
	// and then a resource server that had failed closed: it tries again at
	// least so often
	reconnected = 10 * time.Second
)

// fault is one thing that breaks.
type fault struct {
	name    string
	held    time.Duration // how long it lasts
	begin   func()
	end     func()
	late    time.Duration // how late something revoked may be accepted somewhere
	down    time.Duration // for how long, at the most, nobody gets a token; 0: no longer than gap
	refused time.Duration // for how long, at the most, a resource server refuses what is valid; 0: no longer than gap
}

// manyWrong lets the books be checked: removed secrets are tried there, all
// from one address.
const manyWrong = "SVCAUTH_LIMITS_WRONG_SECRETS_PER_ADDRESS=100000"

// drill is one whole drill: load, the faults one after the other, and then the
// books are checked and the nodes are compared with what they were before.
func drill(s *stack, faults ...fault) {
	s.t.Helper()
	time.Sleep(2 * time.Second) // what starts, starts
	before := s.rest()
	drillUnder(s, newLoad(s), before, faults)
}

func drillUnder(s *stack, l *load, before []rest, faults []fault) {
	s.t.Helper()
	var rows []*row
	var phases []*phase
	defer func() { // also where a drill ends half-way
		report.add(rows)
		text := heading()
		for _, r := range rows {
			text += "\n" + r.String()
		}
		s.t.Log(text)
	}()
	time.Sleep(2 * time.Second)
	for _, f := range faults {
		r := &row{fault: f.name}
		rows = append(rows, r)
		phases = append(phases, l.suffer(f, r))
	}
	l.stop()
	l.check(s.t.Context())
	l.count(phases, rows)
	s.backToRest(before, l, rows[len(rows)-1])
	for _, r := range rows {
		require.Empty(s.t, r.broken, r.fault)
	}
	require.Empty(s.t, l.denied)
}

// suffer injects one fault under load and measures what comes of it.
func (l *load) suffer(f fault, r *row) *phase {
	l.t.Helper()
	time.Sleep(time.Second)
	p := newPhase(len(l.verifiers))
	l.phase.Store(p)
	denied := l.deniedSoFar()
	f.begin()
	time.Sleep(f.held)
	f.end()
	healed := time.Now()
	for _, n := range l.nodes {
		require.Eventually(l.t, n.ready, recovered, 20*time.Millisecond,
			"%s: a node does not come back by itself: %s", f.name, tail(n.log, 20))
	}
	r.back = time.Since(healed)
	time.Sleep(3 * time.Second) // what the fault has delayed shows now
	for i := range p.valid {    // a resource server that failed closed must come back too
		require.Eventually(l.t, func() bool { return p.valid[i].fresh() }, reconnected+gap, 20*time.Millisecond,
			"%s: a resource server goes on refusing what is valid", f.name)
	}
	l.reviewed(l.t.Context())
	r.requests, r.errors, r.outage = p.requests.Load(), p.failures.Load(), p.tokens.soFar()
	for i := range p.valid {
		r.refused = max(r.refused, p.valid[i].soFar())
	}
	p.mu.Lock()
	r.late = p.late
	p.mu.Unlock()
	if r.late > f.late {
		r.breaks("something revoked was accepted for %v, not %v", r.late, f.late)
	}
	if r.outage > max(f.down, gap) {
		r.breaks("nobody got a token for %v, not %v", r.outage, max(f.down, gap))
	}
	if r.refused > max(f.refused, gap) {
		r.breaks("valid tokens were refused for %v, not %v", r.refused, max(f.refused, gap))
	}
	if n := l.deniedSoFar() - denied; n > 0 {
		r.breaks("%d times what must never happen", n)
	}
	return p
}

func (o *outage) fresh() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.last) < gap
}

func (l *load) deniedSoFar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.denied)
}

// count says for each fault how much was acknowledged since it began, and how
// much of that was found.
func (l *load) count(phases []*phase, rows []*row) {
	of := func(p *phase) *row {
		for i := range phases {
			if phases[i] == p {
				return rows[i]
			}
		}
		return &row{} // before the first fault
	}
	for _, a := range l.acts {
		r := of(a.since)
		r.acked++
		if a.lost {
			r.breaks("%s of %s is lost", a.action, a.target)
		} else {
			r.kept++
		}
	}
	for _, dead := range l.revoked {
		r := of(dead.since)
		r.acked++
		if l.accepted(l.t.Context(), dead) {
			r.breaks("what died at %s lives", dead.acked.Format("15:04:05"))
		} else {
			r.kept++
		}
	}
}

// rest is what a node holds when nobody asks it for anything.
type rest struct{ goroutines, live, resident float64 }

// What a node may hold more than before the faults. The rest is a leak.
const (
	// Connections of its pools (20 to PostgreSQL, some to Redis) that opened
	// under load and stay idle for minutes, and what waits on them.
	moreGoroutines = 10
	// What each acknowledged account or revocation leaves behind on purpose:
	// the cached client with its claims (some 2 KiB), its token's record, its
	// entry in the feed's memory.
	moreEach = 2 << 10
	// Buffers of connections and of the stores' drivers, and SQL texts that are
	// prepared when they are first used.
	moreLive = 8 << 20
	// The heap may grow to so much before it is collected
	// (internal/app/heap.go), and the system gets what is free back only
	// slowly.
	moreResident = 64 << 20
)

func (s *stack) rest() (all []rest) {
	for _, n := range s.nodes {
		all = append(all, n.rest())
	}
	return all
}

// rest collects the garbage first, so that what is measured is what lives.
func (n *node) rest() rest {
	for range 2 { // what a sync.Pool holds goes with the second
		if resp, err := http.Get("http://" + n.ops + "/debug/pprof/heap?gc=1"); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	return rest{n.metric("go_goroutines"), n.metric("go_memstats_heap_alloc_bytes"),
		n.metric("process_resident_memory_bytes")}
}

// backToRest waits until what the faults have left behind is gone, on every
// node. Without a before there is nothing to compare with: nodes of another
// release hold something else.
func (s *stack) backToRest(before []rest, l *load, r *row) {
	s.t.Helper()
	if before == nil {
		return
	}
	s.front.CloseIdleConnections()
	for i, n := range s.nodes {
		n.client.CloseIdleConnections()
		left := float64(len(l.acts)+len(l.revoked)) * moreEach
		bound := rest{before[i].goroutines + moreGoroutines, before[i].live + left + moreLive, before[i].resident +
			left + moreLive + moreResident}
		var now rest
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
			now = n.rest()
			within := now.goroutines > 0 && now.goroutines <= bound.goroutines && now.live <= bound.live &&
				now.resident <= bound.resident
			if within || time.Now().After(deadline) {
				break
			}
		}
		s.t.Logf("node %d at rest: goroutines %.0f, before %.0f; live heap %.1f MB, before %.1f; resident %.1f MB, "+
			"before %.1f", i+1,
			now.goroutines, before[i].goroutines, now.live/1e6, before[i].live/1e6, now.resident/1e6,
			before[i].resident/1e6)
		if now.goroutines == 0 || now.goroutines > bound.goroutines || now.live > bound.live ||
			now.resident > bound.resident {
			r.breaks("node %d does not come to rest: %+v, before %+v", i+1, now, before[i])
		}
	}
}
