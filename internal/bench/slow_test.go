package bench_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkSlowPath measures what a token costs whose client is not in memory,
// in processor time of all processes that serve it: `slow-ratio` to a token of
// 1,000 clients that ask again and again, `read-ratio` to one of clients in
// random order that are all in memory (each has its use noted, too), and
// `memory-ratio` of the latter two. All work that follows is included.
//
//	SVCAUTH_TEST_SERVICES=1 BENCH_SCALE=1000000 \
//	    go test -run '^$' -bench SlowPath -benchtime 1x -timeout 60m -v \
//	    ./internal/bench/
func BenchmarkSlowPath(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		m := &machinery{filled: map[int]*population{}}
		p := &population{url: "sqlite://" + filepath.Join(b.TempDir(), "svcauth.db")}
		p.organization = seeded(b, p.url, 100_000)
		m.slowPath(b, func(environ ...string) *settled { return m.serve(b, &settled{population: p}, environ...) })
	})
	b.Run("postgresql", func(b *testing.B) {
		m := newMachinery(b)
		first := m.start(b, scale(b), 0)
		first.node.end()
		m.query(b, first.database, `VACUUM (ANALYZE)`) // which autovacuum has done long ago, elsewhere
		m.query(b, first.database, `CHECKPOINT`)       // what has filled it is written before anything is measured
		m.slowPath(b, func(environ ...string) *settled {
			return m.serve(b, &settled{population: first.population, database: first.database}, environ...)
		})
	})
}

// settling is for how long clients that are not in memory ask before they are
// measured. What a database does all day is measured, not how it comes to know
// its pages: each is read from outside its buffers once, mapped by each of its
// processes once, and written to its log whole once a checkpoint.
const settling = 30 * time.Second

// slowPath measures three nodes on one database in turn: what the machine does
// beside them is the same for all.
func (m *machinery) slowPath(b *testing.B, start func(environ ...string) *settled) {
	for b.Loop() {
		few, many := start(), start()
		slow := start(fmt.Sprint("SVCAUTH_CACHE_CLIENTS=", len(few.accounts)/100))
		known := int64(min(len(many.accounts), 100_000))
		many.remember(b)
		load(b, slow.node.Addr, settling, slow.anyone, nil)
		var ofFew, ofMany, missed cost
		for range 3 {
			ofFew.add(m.whole(b, few.node, few.workingSet))
			ofMany.add(m.whole(b, many.node, func(i int64) []byte { return many.request(int(i * 7919 % known)) }))
			missed.add(m.whole(b, slow.node, slow.anyone))
		}
		b.Logf("of 1,000 accounts: %s", ofFew)
		b.Logf("of %d accounts in memory: %s", known, ofMany)
		b.Logf("of %d accounts, of which a hundredth is in memory: %s", len(slow.accounts), missed)
		b.ReportMetric(missed.all()/ofFew.all(), "slow-ratio")
		b.ReportMetric(missed.all()/ofMany.all(), "read-ratio")
		b.ReportMetric(ofMany.all()/ofFew.all(), "memory-ratio")
		for _, n := range []*settled{few, many, slow} {
			n.node.end()
		}
	}
	b.ReportMetric(0, "ns/op")
}

// cost is the processor time that tokens take, in microseconds each, all that
// follows them included: notes of last use, records in Redis.
type cost struct {
	node, postgres, redis float64
	tokens                int64
	perSecond             float64
}

func (c cost) all() float64 { return c.node + c.postgres + c.redis }

// add counts what another time gave in.
func (c *cost) add(other cost) {
	n, m := float64(c.tokens), float64(other.tokens)
	mean := func(a, b float64) float64 { return (a*n + b*m) / (n + m) }
	*c = cost{
		node: mean(c.node, other.node), postgres: mean(c.postgres, other.postgres), redis: mean(c.redis, other.redis),
		tokens: c.tokens + other.tokens, perSecond: mean(c.perSecond, other.perSecond),
	}
}

// String returns the cost in words.
func (c cost) String() string {
	return fmt.Sprintf("a token takes %.1f µs of the node, %.1f µs of PostgreSQL and %.1f µs of Redis (%d tokens, "+
		"%.0f a second)", c.node, c.postgres, c.redis, c.tokens, c.perSecond)
}

// whole measures a load from its begin until what it leaves to do is done. What
// the machinery does at rest does not count.
func (m *machinery) whole(b *testing.B, node *process, next func(int64) []byte) cost {
	b.Helper()
	const pause = 17 * time.Second // longer than a node waits before it notes last uses
	const rest = 4 * time.Second
	used := func() [3]float64 {
		all := [3]float64{node.cpu(b).Seconds() * 1e6}
		if m.postgres != nil {
			all[1], all[2] = m.postgres.ProcessorTime().Seconds()*1e6, m.redisTime(b).Seconds()*1e6
		}
		return all
	}
	load(b, node.Addr, window, next, nil) // what is made once is made: connections, statements, plans
	time.Sleep(pause)
	resting := used()
	time.Sleep(rest)
	began, idle := time.Now(), used()
	answered := load(b, node.Addr, 5*window, next, nil)
	took := time.Since(began)
	require.Positive(b, answered)
	time.Sleep(pause)
	after, all := used(), time.Since(began)
	var each [3]float64
	for i := range each {
		each[i] = (after[i] - idle[i] - (idle[i]-resting[i])*all.Seconds()/rest.Seconds()) / float64(answered)
	}
	return cost{each[0], each[1], each[2], answered, float64(answered) / took.Seconds()}
}
