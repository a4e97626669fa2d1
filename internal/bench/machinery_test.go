package bench_test

import (
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// machinery is the stores that all nodes stand on, each node with a database of
// its own.
type machinery struct {
	postgres *pgtest.Server
	redis    *redistest.Server
	filled   map[int]*population // by the number of accounts
	copies   int
}

// population is a database that was filled once. Nodes get copies of it.
type population struct {
	*organization
	url        string
	subscriber string // the account that may read the revocation feed
}

func newMachinery(b *testing.B) *machinery {
	// nothing happens beside what is measured
	settings := map[string]string{"shared_buffers": "1GB", "max_wal_size": "8GB", "autovacuum": "off"}
	return &machinery{postgres: pgtest.Start(b, pgtest.Config{Durable: true, Settings: settings}),
		redis: redistest.Start(b), filled: map[int]*population{}}
}

func (m *machinery) populate(b *testing.B, accounts int) *population {
	b.Helper()
	if p := m.filled[accounts]; p != nil {
		return p
	}
	p := &population{url: m.postgres.NewDatabase()}
	p.organization = seeded(b, p.url, accounts)
	role, err := p.service.CreateRole(p.admin,
		svcauth.NewRole{Name: "Follows the feed", Privileges: []string{svcauth.TokensIntrospect}})
	require.NoError(b, err)
	p.subscriber = p.accounts[0]
	_, err = p.service.AssignServiceAccountRole(p.admin, p.subscriber, role.ID, svcauth.GrantRequest{})
	require.NoError(b, err)
	require.NoError(b, p.store.Close()) // a database in use can't be copied
	m.filled[accounts] = p
	return p
}

func (m *machinery) query(b *testing.B, database, statement string) string {
	b.Helper()
	text, err := m.postgres.Query(database, statement)
	require.NoError(b, err)
	return strings.TrimSpace(text)
}

func (m *machinery) number(b *testing.B, database, query string) float64 {
	b.Helper()
	n, err := strconv.ParseFloat(m.query(b, database, query), 64)
	require.NoError(b, err, query)
	return n
}

// settled is a node that has started on a database of so many accounts and
// revocations, and has come to rest.
type settled struct {
	*population
	database    string
	revocations int
	node        *process
	ops, log    string
	warm        [][]byte // requests of 1,000 accounts

	startedIn        time.Duration
	peak, rest, heap float64 // bytes: at most while it started, and at rest, resident; what lives in its heap at rest
}

func (m *machinery) start(b *testing.B, accounts, revocations int) *settled {
	b.Helper()
	p := m.populate(b, accounts)
	m.copies++
	database := fmt.Sprint("copy", m.copies)
	m.query(b, "postgres", fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy`, database, nameOf(p.url)))
	m.revoke(b, database, p.org, revocations)
	return m.serve(b, &settled{population: p, database: database, revocations: revocations})
}

// serve starts a node on n's database, with a further environment.
func (m *machinery) serve(b *testing.B, n *settled, environ ...string) *settled {
	b.Helper()
	accounts, dir := len(n.accounts), b.TempDir()
	key := filepath.Join(dir, "master.key")
	require.NoError(b, os.WriteFile(key, scaleMaster, 0o600))
	n.log, n.ops = filepath.Join(dir, "log"), freeport.Address(b)
	url := n.url
	if m.postgres != nil {
		url = strings.Replace(url, "/"+nameOf(url), "/"+n.database, 1)
		environ = append(environ, "SVCAUTH_REDIS_URL="+m.redis.URL())
	}
	began := time.Now()
	n.node = startProcess(b, "svcauth", append(environ, "SVCAUTH_DATABASE_URL="+url,
		"SVCAUTH_MASTER_KEY_FILE="+key, "SVCAUTH_ISSUER="+scaleIssuer, "SVCAUTH_LISTEN=127.0.0.1:0",
		"SVCAUTH_OPS_LISTEN="+n.ops, "BENCH_LOG="+n.log)...)
	n.startedIn = time.Since(began)
	n.peak = n.node.memory(b, "VmHWM")
	require.Eventually(b, func() bool { // the listener for metrics may be a moment later than the other
		conn, err := net.Dial("tcp", n.ops)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, time.Millisecond)
	n.heap = n.liveHeap(b)
	time.Sleep(3 * time.Second)
	n.rest = n.node.memory(b, "VmRSS")
	for i := range min(1000, accounts) {
		n.warm = append(n.warm, n.request(i*accounts/min(1000, accounts)))
	}
	return n
}

// revoke writes so many revoked tokens into the change log.
func (m *machinery) revoke(b *testing.B, database, org string, count int) {
	if count == 0 {
		return
	}
	expires := time.Now().Add(24 * time.Hour)
	m.query(b, database, fmt.Sprintf(`INSERT INTO change (seq, org_id, kind, subject, payload, expires_at_ms, at_ms)
		SELECT c.seq + n, '%s', 'revocation', '', '{"jti":"' || left(translate(encode(sha256(n::text::bytea), " +
			"'base64'), '+/', '-_'), 22) || '","exp":%d}', %d, 0
		FROM generate_series(1, %d) n, change_counter c`, org, expires.Unix(), expires.UnixMilli(), count))
	m.query(b, database, fmt.Sprintf(`UPDATE change_counter SET seq = seq + %d`, count))
	m.query(b, database, `ANALYZE change`)
}

// liveHeap is what lives in the node's heap, in bytes: it collects first.
func (n *settled) liveHeap(b *testing.B) float64 {
	b.Helper()
	for range 2 { // what one collection finalizes, the next one frees
		n.fetch(b, "/debug/pprof/heap?gc=1")
	}
	for line := range strings.Lines(n.fetch(b, "/metrics")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "go_memstats_heap_alloc_bytes "); ok {
			f, err := strconv.ParseFloat(value, 64)
			require.NoError(b, err)
			return f
		}
	}
	b.Fatal("the metrics do not tell the heap")
	return 0
}

func (n *settled) fetch(b *testing.B, path string) string {
	b.Helper()
	resp, err := http.Get("http://" + n.ops + path)
	require.NoError(b, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, resp.StatusCode)
	return string(body)
}

func (n *settled) credential(account int) credential {
	return credential{n.accounts[account], n.secrets[account].Reveal()}
}

func (n *settled) request(account int) []byte {
	return post("/oauth2/token", n.credential(account), tokenForm)
}

func (n *settled) workingSet(i int64) []byte { return n.warm[i%int64(len(n.warm))] }
func (n *settled) anyone(int64) []byte       { return n.request(mathrand.IntN(len(n.accounts))) }

// pairing is what two processes spent in turn, and what the stores did for the
// first.
type pairing struct {
	ours, theirs    figure
	postgres, redis time.Duration
}

func (p pairing) ratio() float64 { return p.ours.cpuEach() / p.theirs.cpuEach() }

func (p pairing) String() string {
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(p.ours.requests) / 1000 }
	return fmt.Sprintf("%d tokens, %.0f a second; processor time a token: node %.1f µs, PostgreSQL %.1f µs, "+
		"Redis %.1f µs", p.ours.requests, p.ours.perSecond(),
		p.ours.cpuEach()*1e6, each(p.postgres), each(p.redis))
}

func (m *machinery) measure(b *testing.B, ours, theirs *process, our, their func(int64) []byte) (p pairing) {
	b.Helper()
	load(b, ours.Addr, window/2, our, nil)
	load(b, theirs.Addr, window/2, their, nil)
	for range rounds / 2 { // there are many cases
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
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
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

func nameOf(url string) string {
	name, _, _ := strings.Cut(url[strings.LastIndexByte(url, '/')+1:], "?")
	return name
}
