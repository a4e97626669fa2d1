package bench_test

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// BenchmarkCapacity measures what one node costs with few and many service accounts and live revocations: processor time a token and memory, as ratios to a node
// with 1,000 accounts and no revocation that runs beside it and is asked in turn. And it prints what deploy/sizing.md reckons with. Whole processes, PostgreSQL, Redis.
//
//	SVCAUTH_TEST_SERVICES=1 BENCH_SCALE=1000000 go test -run '^$' -bench Capacity -benchtime 1x -timeout 60m -v ./internal/bench/
func BenchmarkCapacity(b *testing.B) {
	many := scale(b)
	m := newMachinery(b)
	few := m.start(b, fewAccounts, 0)
	cases := []struct{ accounts, revocations int }{{fewAccounts, 0}, {100_000, 0}, {fewAccounts, 100_000}}
	if many > 100_000 {
		cases = append(cases, []struct{ accounts, revocations int }{{many, 0}, {fewAccounts, many}, {many, many}}...)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%9s %11s | %11s %11s | %8s %8s %8s\n", "accounts", "revocations", "cpu, warm", "cpu, random", "at rest", "loaded", "start")
	for b.Loop() {
		bare := startProcess(b, "bare", fmt.Sprint("BENCH_SIZE=", few.size(b)))
		bareRequest := func(int64) []byte { return few.warm[0] }
		f := m.measure(b, few.node, bare, few.workingSet, bareRequest, rounds)
		b.Logf("a node with %d accounts: %.2f times the bare handler's processor time a token", fewAccounts, f.ours.cpuEach()/f.theirs.cpuEach())
		for i, c := range cases {
			n := few
			if i > 0 {
				n = m.start(b, c.accounts, c.revocations)
			}
			warm := m.measure(b, n.node, few.node, n.workingSet, few.workingSet, rounds)
			random := m.measure(b, n.node, few.node, n.anyone, few.workingSet, rounds)
			loaded := n.node.memory(b)
			fmt.Fprintf(&table, "%9d %11d | %10.2fx %10.2fx | %5.0f MB %5.0f MB %6.2f s\n", c.accounts, c.revocations,
				warm.ours.cpuEach()/warm.theirs.cpuEach(), random.ours.cpuEach()/random.theirs.cpuEach(), n.rest/1e6, loaded/1e6, n.startedIn.Seconds())
			b.Logf("%d accounts, %d revocations: warm %s; random %s", c.accounts, c.revocations, warm, random)
			if i > 0 {
				n.node.end()
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.Log("\n" + table.String())
	m.sizes(b)
}

// scale is how many there are where there are many: 100,000, or what BENCH_SCALE says.
func scale(b *testing.B) int {
	b.Helper()
	text := os.Getenv(scaleVariable)
	if text == "" {
		return 100_000
	}
	many, err := strconv.Atoi(text)
	require.NoError(b, err)
	return many
}

// machinery is the stores that all nodes stand on, each node with a database of its own.
type machinery struct {
	postgres *pgtest.Server
	redis    *redistest.Server
	seeded   map[string]*seed
	log      string // of the first node
}

func newMachinery(b *testing.B) *machinery {
	return &machinery{postgres: pgtest.Start(b, pgtest.Config{Durable: true}), redis: redistest.Start(b), seeded: map[string]*seed{}}
}

// seed is a database, and what it was filled with so far.
type seed struct {
	*organization
	url     string
	revoked int
}

// seed fills a database, or gives one that is there more revocations: filling takes most of the time. That with few accounts and no revocation stays so.
func (m *machinery) seed(b *testing.B, accounts, revocations int) *seed {
	b.Helper()
	name := fmt.Sprint(accounts, accounts == fewAccounts && revocations > 0)
	s := m.seeded[name]
	if s == nil {
		s = &seed{url: m.postgres.NewDatabase()}
		s.organization = seeded(b, s.url, accounts)
		m.seeded[name] = s
	}
	s.revoke(b, revocations-s.revoked)
	s.revoked = revocations
	return s
}

// settled is a node that has started on a database of so many accounts and revocations, and has come to rest.
type settled struct {
	node      *process
	all       *seed
	warm      [][]byte // requests of 1,000 accounts
	rest      float64  // bytes
	startedIn time.Duration
}

func (m *machinery) start(b *testing.B, accounts, revocations int) *settled {
	b.Helper()
	n := &settled{all: m.seed(b, accounts, revocations)}
	dir := b.TempDir()
	key := filepath.Join(dir, "master.key")
	require.NoError(b, os.WriteFile(key, scaleMaster, 0o600))
	log := filepath.Join(dir, "log")
	if m.log == "" {
		m.log = log
	}
	began := time.Now()
	n.node = startProcess(b, "svcauth", "SVCAUTH_DATABASE_URL="+n.all.url, "SVCAUTH_REDIS_URL="+m.redis.URL(), "SVCAUTH_MASTER_KEY_FILE="+key, "SVCAUTH_ISSUER="+scaleIssuer,
		"SVCAUTH_LISTEN=127.0.0.1:0", "SVCAUTH_OPS_LISTEN=", "BENCH_LOG="+log)
	n.startedIn = time.Since(began)
	time.Sleep(3 * time.Second)
	n.rest = n.node.memory(b)
	for i := range min(1000, accounts) {
		n.warm = append(n.warm, n.request(i*accounts/min(1000, accounts)))
	}
	return n
}

func (n *settled) request(account int) []byte {
	return post("/oauth2/token", credential{n.all.accounts[account], n.all.secrets[account].Reveal()}, tokenForm)
}

func (n *settled) workingSet(i int64) []byte { return n.warm[i%int64(len(n.warm))] }
func (n *settled) anyone(int64) []byte       { return n.request(mathrand.IntN(len(n.all.accounts))) }

// size is that of a token answer's body.
func (n *settled) size(b *testing.B) (size int) {
	load(b, n.node.Addr, time.Minute, func(i int64) []byte {
		if i > 0 {
			return nil
		}
		return n.warm[0]
	}, func(body []byte) { size = len(body) })
	return size
}

// pairing is what two processes spent in turn, and what the stores did for the first.
type pairing struct {
	ours, theirs    figure
	postgres, redis time.Duration
}

func (p pairing) String() string {
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(p.ours.requests) / 1000 }
	return fmt.Sprintf("%d tokens, %.0f a second; processor time a token: node %.1f µs, PostgreSQL %.1f µs, Redis %.1f µs", p.ours.requests, p.ours.perSecond(),
		p.ours.cpuEach()*1e6, each(p.postgres), each(p.redis))
}

func (m *machinery) measure(b *testing.B, ours, theirs *process, our, their func(int64) []byte, rounds int) (p pairing) {
	b.Helper()
	load(b, ours.Addr, window/2, our, nil)
	load(b, theirs.Addr, window/2, their, nil)
	for range rounds {
		postgres, redis := m.postgres.ProcessorTime(), m.redisTime(b)
		p.ours.add(b, ours, func() int64 { return load(b, ours.Addr, window, our, nil) })
		p.postgres += m.postgres.ProcessorTime() - postgres
		p.redis += m.redisTime(b) - redis
		p.theirs.add(b, theirs, func() int64 { return load(b, theirs.Addr, window, their, nil) })
	}
	return p
}

func (m *machinery) info(b *testing.B, section, name string) float64 {
	b.Helper()
	for line := range strings.Lines(m.redis.Must("INFO", section)) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), name+":"); is {
			f, err := strconv.ParseFloat(value, 64)
			require.NoError(b, err)
			return f
		}
	}
	b.Fatalf("Redis does not tell %s", name)
	return 0
}

func (m *machinery) redisTime(b *testing.B) time.Duration {
	return time.Duration((m.info(b, "cpu", "used_cpu_user") + m.info(b, "cpu", "used_cpu_sys")) * float64(time.Second))
}

// sizes prints what rests where: bytes on disk, in memory, on the wire.
func (m *machinery) sizes(b *testing.B) {
	records := strings.Count(m.redis.Must("KEYS", "*:token"), "\n") + 1
	b.Logf("Redis: %.0f bytes a live token's record (%d of them)", m.info(b, "memory", "used_memory_dataset")/float64(records), records)
	small, large := m.databaseSize(b, m.seed(b, fewAccounts, 0)), m.databaseSize(b, m.seed(b, 100_000, 0))
	b.Logf("PostgreSQL: %.0f bytes a service account with one secret, one role and the audit event of its creation, indexes included", (large-small)/(100_000-fewAccounts))
	lines, err := os.ReadFile(m.log)
	require.NoError(b, err)
	count := strings.Count(string(lines), "\n")
	b.Logf("log: %d bytes a line (%d lines)", len(lines)/max(1, count), count)
}

func (m *machinery) databaseSize(b *testing.B, s *seed) float64 {
	b.Helper()
	text, err := m.postgres.Query(nameOf(s.url), `SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`)
	require.NoError(b, err)
	size, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	require.NoError(b, err)
	return size
}

func nameOf(url string) string {
	_, name, _ := strings.Cut(url[strings.LastIndexByte(url, '/'):], "/")
	name, _, _ = strings.Cut(name, "?")
	return name
}

// revoke writes so many revoked tokens into the change log.
func (o *organization) revoke(b *testing.B, count int) {
	b.Helper()
	const batch = 10_000
	expires := time.Now().Add(24 * time.Hour)
	for done := 0; done < count; done += batch {
		require.NoError(b, o.store.Write(context.WithoutCancel(b.Context()), func(q *store.Q) error {
			for i := range min(batch, count-done) {
				_, err := q.AddChange(b.Context(), store.Change{OrgID: o.org, Kind: store.ChangeRevocation, ExpiresAt: expires,
					Payload: fmt.Sprintf(`{"jti":"%016x%06d","exp":%d}`, mathrand.Uint64(), i, expires.Unix())})
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
}
