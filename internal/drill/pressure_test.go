package drill_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// pressed is one node that is pressed, and the right clients who want to be served all the while.
type pressed struct {
	*load
	t       *testing.T
	account []svcauth.ServiceAccount
}

// served asks for tokens as two right clients do, for d, and gives the 99th percentile of the time and how many were not served.
func (p *pressed) served(d time.Duration) (p99 time.Duration, asked, refused int) {
	p.t.Helper()
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	for w := range 2 {
		group.Go(func() {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
				began := time.Now()
				status, _, err := p.post(context.Background(), p.front, "/oauth2/token", p.account[w], url.Values{"grant_type": {"client_credentials"}})
				mu.Lock()
				took = append(took, time.Since(began))
				if err != nil || status != http.StatusOK {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(took)
	return took[len(took)*99/100], len(took), refused
}

// A node with many connections, callers who read and write slowly, and a flood of wrong secrets goes on serving right clients, within bounds of memory.
func TestNodeUnderPressure(t *testing.T) {
	needFull(t)
	const connections = 9000
	manyFiles(t, connections*2+2000)
	s := newStack(t, 1, pgtest.URL(t), redistest.URL(t), "GOMEMLIMIT=400MiB", "SVCAUTH_LIMITS_MAX_INFLIGHT=500", "SVCAUTH_LIMITS_MAX_CONNECTIONS=12000")
	n := s.nodes[0]
	time.Sleep(3 * time.Second)
	t.Logf("at rest: %.1f MB resident, %v goroutines", n.metric("process_resident_memory_bytes")/1e6, n.metric("go_goroutines"))
	p := &pressed{load: &load{stack: s}, t: t}
	for i := range 2 {
		a, err := s.admin.CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: fmt.Sprint("right ", i), RoleIDs: []string{s.role.ID}})
		require.NoError(t, err)
		p.account = append(p.account, a)
	}
	p.served(time.Second) // warm
	quiet, _, _ := p.served(4 * time.Second)
	report := func(name string, press func(context.Context)) {
		ctx, stop := context.WithCancel(t.Context())
		var pressing sync.WaitGroup
		pressing.Go(func() { press(ctx) })
		time.Sleep(2 * time.Second)
		p99, asked, refused := p.served(4 * time.Second)
		rss := n.metric("process_resident_memory_bytes")
		stop()
		pressing.Wait()
		t.Logf("%-32s %6d asked %5d not served   p99 %.1f times quiet   %.0f MB resident", name, asked, refused, p99.Seconds()/quiet.Seconds(), rss/1e6)
		require.Zero(t, refused, "%s: right clients are served", name)
		require.Less(t, rss, 600e6, name)
	}
	report("quiet", func(ctx context.Context) { <-ctx.Done() })
	report(fmt.Sprint(connections, " idle connections"), func(ctx context.Context) { hold(t, n, ctx, connections, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") })
	report("2000 slow writers", func(ctx context.Context) {
		hold(t, n, ctx, 2000, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 200\r\n\r\ngrant")
	})
	report("2000 slow readers", func(ctx context.Context) {
		hold(t, n, ctx, 2000, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 40))
	})
	report("wrong secrets, 8 callers", func(ctx context.Context) { p.wrong(ctx, 8) })
	require.Eventually(t, func() bool { return n.metric("go_goroutines") < 150 }, 90*time.Second, 500*time.Millisecond, "connections that ended leave nothing behind")
	t.Logf("afterwards: %.1f MB resident, %v goroutines", n.metric("process_resident_memory_bytes")/1e6, n.metric("go_goroutines"))
}

// manyFiles lets this process, and the node that it starts, open enough files.
func manyFiles(t *testing.T, want uint64) {
	t.Helper()
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if limit.Cur >= want {
		return
	}
	limit.Cur, limit.Max = want, max(want, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Skipf("this machine lets a process open %d files, the drill needs %d: %v", limit.Cur, want, err)
	}
}

// hold opens connections, sends the beginning of a request on each, and reads nothing until ctx ends.
func hold(t *testing.T, n *node, ctx context.Context, count int, begin string) {
	var conns []net.Conn
	for range count {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", n.addr)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("connection %d: %v", len(conns), err)
			}
			break
		}
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte(begin))
		conns = append(conns, conn)
	}
	<-ctx.Done()
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// wrong sends wrong secrets of one unknown client, from an address that sends no right ones, until ctx ends.
func (p *pressed) wrong(ctx context.Context, callers int) {
	var group sync.WaitGroup
	var sent atomic.Int64
	stranger := p.account[0]
	stranger.ClientID, stranger.ClientSecret = svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.Secret(p.account[1].ClientSecret.Reveal())
	from := &http.Client{Transport: pinned{p.nodes[0], &http.Transport{MaxIdleConnsPerHost: callers,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}}}
	for range callers {
		group.Go(func() {
			for ctx.Err() == nil {
				if status, _, err := p.post(ctx, from, "/oauth2/token", stranger, url.Values{"grant_type": {"client_credentials"}}); err == nil && status == http.StatusOK {
					p.t.Error("a wrong secret got a token")
				}
				sent.Add(1)
			}
		})
	}
	group.Wait()
	p.t.Logf("%d wrong secrets were sent", sent.Load())
}
