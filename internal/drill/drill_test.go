package drill_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// The bounds that the README states.
const (
	withRedis    = 2 * time.Second              // a revocation reaches every node and resource server; through Redis it takes milliseconds
	withoutRedis = 3 * time.Second              // by polling the change log each second
	cutOff       = maxStaleness + 2*time.Second // a resource server whose own node is gone refuses everything after its MaxStaleness
	recovered    = 30 * time.Second             // a node is back in service
)

// fault is one thing that breaks.
type fault struct {
	name  string
	held  time.Duration // how long it lasts
	begin func()
	end   func()
	late  time.Duration // how late a revoked token may be accepted somewhere
	down  time.Duration // for how long, at the most, nobody gets a token; 0: not at all, but for a time-out
}

// run injects the faults one after the other under load, and prints what came of it.
func run(t *testing.T, l *load, faults []fault) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "%-34s %9s %7s %9s %12s\n", "fault", "requests", "errors", "outage", "revoked late")
	for _, f := range faults {
		time.Sleep(time.Second)
		p := newPhase()
		l.phase.Store(p)
		f.begin()
		time.Sleep(f.held)
		f.end()
		healed := time.Now()
		for _, n := range l.nodes {
			require.Eventually(t, n.ready, recovered, 20*time.Millisecond, "%s: a node does not come back: %s", f.name, tail(n.log, 20))
		}
		back := time.Since(healed)
		time.Sleep(3 * time.Second) // what the fault has delayed shows now
		p.mu.Lock()
		worst := p.worst
		p.mu.Unlock()
		p.outage.ok(time.Now())
		fmt.Fprintf(&table, "%-34s %9d %7d %8.2fs %11.2fs   back after %.2fs\n", f.name, p.requests.Load(), p.failures.Load(), p.outage.longest.Seconds(), worst.Seconds(), back.Seconds())
		require.LessOrEqual(t, worst, f.late, "%s: a revoked token was accepted too long", f.name)
		require.LessOrEqual(t, p.outage.longest, f.down+5*time.Second, "%s: nobody got a token for too long", f.name)
	}
	t.Log("\n" + table.String())
}

func full() bool { return os.Getenv("SVCAUTH_DRILL") == "1" }

// rest waits until what the faults have left behind is gone: goroutines as before, and memory near it.
func rest(t *testing.T, l *load, goroutines []float64) {
	t.Helper()
	for i, n := range l.nodes {
		require.Eventually(t, func() bool { return n.metric("go_goroutines") <= goroutines[i]*1.5+30 }, time.Minute, 200*time.Millisecond,
			"node %d has %v goroutines, at first it had %v", i, n.metric("go_goroutines"), goroutines[i])
		require.Less(t, n.metric("process_resident_memory_bytes"), 400e6)
	}
}

func TestNodesRedisAndPostgreSQLFail(t *testing.T) {
	postgres := pgtest.Start(t, pgtest.Config{Durable: true, Settings: map[string]string{"max_connections": "100"}})
	redis := redistest.Start(t)
	s := newStack(t, 2, postgres.NewDatabase(), redis.URL())
	l := newLoad(s)
	time.Sleep(time.Second)
	var goroutines []float64
	for _, n := range s.nodes {
		goroutines = append(goroutines, n.metric("go_goroutines"))
	}
	nothing := func() {}
	faults := []fault{
		{name: "none", held: 3 * time.Second, begin: nothing, end: nothing, late: withRedis},
		{name: "node: kill -9", held: 3 * time.Second, begin: s.nodes[0].kill, end: s.nodes[0].start, late: cutOff},
		{name: "Redis: kill -9", held: 4 * time.Second, begin: redis.Kill, end: redis.Start, late: withoutRedis},
		{name: "PostgreSQL: kill -9", held: 2 * time.Second, begin: postgres.Kill, end: postgres.Restart, late: withRedis},
	}
	if full() {
		faults = append(faults, []fault{
			{name: "node: SIGSTOP", held: 8 * time.Second, begin: func() { s.nodes[1].signal(syscall.SIGSTOP) }, end: func() { s.nodes[1].signal(syscall.SIGCONT) }, late: cutOff, down: 8 * time.Second},
			{name: "node: SIGTERM, started again", held: 2 * time.Second, begin: s.nodes[1].stop, end: s.nodes[1].start, late: cutOff},
			{name: "Redis: SIGSTOP", held: 8 * time.Second, begin: redis.Pause, end: redis.Resume, late: withoutRedis},
			{name: "Redis: FLUSHALL", held: 3 * time.Second, begin: redis.Flush, end: nothing, late: withRedis},
			{name: "Redis: restarted", held: 0, begin: redis.Kill, end: redis.Start, late: withoutRedis},
			{name: "PostgreSQL: SIGSTOP", held: 8 * time.Second, begin: postgres.Pause, end: postgres.Resume, late: withRedis},
			{name: "PostgreSQL: restarted", held: 0, begin: nothing, end: postgres.Restart, late: withRedis},
			{name: "PostgreSQL: away for 40 s", held: 40 * time.Second, begin: postgres.Stop, end: postgres.Restart, late: withRedis},
			{name: "both: kill -9 Redis, PostgreSQL", held: 5 * time.Second, begin: func() { redis.Kill(); postgres.Kill() }, end: func() { postgres.Restart(); redis.Start() }, late: withoutRedis},
			{name: "signing keys: rotated", held: 5 * time.Second, begin: func() { rotate(t, s) }, end: func() { rotate(t, s) }, late: withRedis},
			{name: "rolling restart", held: 0, begin: func() { restart(t, s.nodes[0]) }, end: func() { restart(t, s.nodes[1]) }, late: cutOff},
		}...)
	}
	run(t, l, faults)
	check(t, l)
	rest(t, l, goroutines)
}

func rotate(t *testing.T, s *stack) {
	_, err := s.admin.RotateSigningKeys(t.Context())
	require.NoError(t, err)
}

func restart(t *testing.T, n *node) {
	n.stop()
	n.start()
	n.awaitReady()
}

func TestRedisSentinelFailsOver(t *testing.T) {
	if !full() {
		t.Skip("make drill runs it")
	}
	redis := redistest.StartSentinel(t)
	s := newStack(t, 2, pgtest.URL(t), redis.URL())
	l := newLoad(s)
	run(t, l, []fault{{name: "Sentinel: the master is killed", held: 0, begin: redis.FailOver, end: func() {}, late: withoutRedis}})
	check(t, l)
}

func TestRedisClusterLosesANode(t *testing.T) {
	if !full() {
		t.Skip("make drill runs it")
	}
	redis := redistest.StartCluster(t)
	s := newStack(t, 2, pgtest.URL(t), redis.URL())
	l := newLoad(s)
	run(t, l, []fault{{name: "Cluster: one of three masters away", held: 8 * time.Second, begin: redis.Nodes[1].Pause, end: redis.Nodes[1].Resume, late: withoutRedis}})
	check(t, l)
}
