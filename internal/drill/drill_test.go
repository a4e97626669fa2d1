package drill_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The bounds that the README states.
const (
	withRedis    = 2 * time.Second              // a revocation reaches every node and resource server; through Redis it takes milliseconds
	withoutRedis = 2 * time.Second              // by polling the change log each second
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
	goroutines := goroutines(s)
	faults := []fault{
		{name: "none", held: time.Second, begin: nothing, end: nothing, late: withRedis},
		{name: "node: kill -9", held: 2 * time.Second, begin: s.nodes[0].kill, end: s.nodes[0].start, late: cutOff},
		{name: "Redis: kill -9", held: 3 * time.Second, begin: redis.Kill, end: redis.Start, late: withoutRedis},
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
		}...)
	}
	run(t, l, faults)
	check(t, l)
	rest(t, l, goroutines)
}

func nothing() {}

func goroutines(s *stack) (out []float64) {
	for _, n := range s.nodes {
		out = append(out, n.metric("go_goroutines"))
	}
	return out
}

func needFull(t *testing.T) {
	t.Helper()
	if !full() {
		t.Skip("make drill runs it")
	}
}

// Between all nodes and a store the network is slow, silent, cut.
func TestNetworkFails(t *testing.T) {
	needFull(t)
	postgres := pgtest.Start(t, pgtest.Config{Durable: true})
	redis := redistest.Start(t)
	toPostgres, toRedis := newNetwork(t, postgres.Addr()), newNetwork(t, redis.Addr())
	database := postgres.NewDatabase()
	s := newStack(t, 2, toPostgres.through(t, database), toRedis.through(t, redis.URL()))
	l := newLoad(s)
	time.Sleep(time.Second)
	goroutines := goroutines(s)
	both := func(do func(*network)) func() { return func() { do(toPostgres); do(toRedis) } }
	run(t, l, []fault{
		{name: "network to Redis: 200 ms", held: 5 * time.Second, begin: toRedis.slow, end: toRedis.heal, late: withoutRedis},
		{name: "network to Redis: silent", held: 8 * time.Second, begin: toRedis.silence, end: toRedis.heal, late: withoutRedis},
		{name: "network to Redis: cut", held: 5 * time.Second, begin: toRedis.sever, end: toRedis.heal, late: withoutRedis},
		{name: "network to PostgreSQL: 200 ms", held: 5 * time.Second, begin: toPostgres.slow, end: toPostgres.heal, late: withRedis},
		{name: "network to PostgreSQL: silent", held: 8 * time.Second, begin: toPostgres.silence, end: toPostgres.heal, late: withRedis},
		{name: "network to PostgreSQL: cut", held: 5 * time.Second, begin: toPostgres.sever, end: toPostgres.heal, late: withRedis},
		{name: "network to both: silent", held: 8 * time.Second, begin: both((*network).silence), end: both((*network).heal), late: withoutRedis},
	})
	check(t, l)
	rest(t, l, goroutines)
}

// The primary is gone for ever, and its replica takes over: nodes know both, and go to the one that takes writes.
func TestPostgreSQLReplicaTakesOver(t *testing.T) {
	needFull(t)
	primary := pgtest.Start(t, pgtest.Config{Durable: true})
	database, err := url.Parse(primary.NewDatabase())
	require.NoError(t, err)
	replica := primary.Replica()
	database.Host = primary.Addr() + "," + replica.Addr()
	database.RawQuery += "&target_session_attrs=read-write"
	s := newStack(t, 2, database.String(), redistest.URL(t))
	l := newLoad(s)
	time.Sleep(time.Second)
	goroutines := goroutines(s)
	run(t, l, []fault{{name: "PostgreSQL: replica promoted", held: 2 * time.Second, begin: primary.Kill, end: replica.Promote, late: withRedis}})
	check(t, l)
	rest(t, l, goroutines)
}

// What an operator does on purpose may be felt by nobody.
func TestUpgradeAndRotation(t *testing.T) {
	needFull(t)
	s := newStack(t, 2, pgtest.URL(t), redistest.URL(t))
	next := nextRelease(t)
	l := newLoad(s)
	time.Sleep(time.Second)
	upgrade := func(n *node) func() {
		return func() {
			n.stop()
			n.path = next
			n.start()
			n.awaitReady()
		}
	}
	run(t, l, []fault{
		{name: "signing keys: rotated twice", held: 5 * time.Second, begin: func() { rotate(t, s) }, end: func() { rotate(t, s) }, late: withRedis},
		{name: "rolling upgrade", held: 0, begin: upgrade(s.nodes[0]), end: upgrade(s.nodes[1]), late: cutOff},
	})
	check(t, l)
	revokeKey(t, s, l)
}

// revokeKey revokes a retired key: what it signed is refused by every node at once, and by resource servers when they read the keys again; what others signed lives.
func revokeKey(t *testing.T, s *stack, l *load) {
	t.Helper()
	ctx := t.Context()
	old := l.token(ctx, l.accounts[0])
	require.NotEmpty(t, old)
	rotate(t, s)
	var kid string
	keys, err := s.admin.SigningKeys(ctx)
	require.NoError(t, err)
	header, _, err := jwt.NewParser().ParseUnverified(old, jwt.MapClaims{})
	require.NoError(t, err)
	kid = header.Header["kid"].(string)
	require.Contains(t, kids(keys), kid)
	_, err = s.admin.RevokeSigningKey(ctx, kid)
	require.NoError(t, err)
	for _, n := range s.nodes {
		require.Eventually(t, func() bool {
			_, body, err := l.post(ctx, pinnedTo(n), "/oauth2/introspect", l.accounts[0], url.Values{"token": {old}})
			return err == nil && body["active"] == false
		}, recovered, 50*time.Millisecond, "a node takes a token of a revoked key")
	}
	for _, v := range s.verifiers {
		require.Eventually(t, func() bool { _, err := v.Verify(ctx, old); return err != nil }, recovered, 100*time.Millisecond, "a resource server goes on with a revoked key")
		fresh := l.token(ctx, l.accounts[0])
		_, err := v.Verify(ctx, fresh)
		require.NoError(t, err)
	}
}

func kids(keys svcauth.List[svcauth.SigningKey]) (out []string) {
	for _, key := range keys.Items {
		out = append(out, key.KID)
	}
	return out
}

func rotate(t *testing.T, s *stack) {
	_, err := s.admin.RotateSigningKeys(t.Context())
	require.NoError(t, err)
}

func TestRedisSentinelFailsOver(t *testing.T) {
	needFull(t)
	redis := redistest.StartSentinel(t)
	s := newStack(t, 2, pgtest.URL(t), redis.URL())
	l := newLoad(s)
	run(t, l, []fault{{name: "Sentinel: the master is killed", held: 0, begin: redis.FailOver, end: func() {}, late: withoutRedis}})
	check(t, l)
}

func TestRedisClusterLosesANode(t *testing.T) {
	needFull(t)
	redis := redistest.StartCluster(t)
	s := newStack(t, 2, pgtest.URL(t), redis.URL())
	l := newLoad(s)
	run(t, l, []fault{{name: "Cluster: one of three masters away", held: 8 * time.Second, begin: redis.Nodes[1].Pause, end: redis.Nodes[1].Resume, late: withoutRedis}})
	check(t, l)
}
