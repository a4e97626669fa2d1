package server_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// slowTenants take all the streams that tenants together may have, each as many
// as it may.
const (
	slowTenants = 4
	slowEach    = 500
	slowAll     = slowTenants * slowEach
)

// TestTwoThousandWhoDoNotReadTheFeed has four tenants open all the streams that
// they may. Half of these read nothing, the others one byte a second. Then much
// is revoked. They cost a bounded memory, hold up nobody who reads, and are sent
// away; nothing of them is left.
func TestTwoThousandWhoDoNotReadTheFeed(t *testing.T) {
	needs.Time(t)
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if files.Cur < 2*slowAll+500 {
		t.Skipf("needs %d open files at once; the limit is %d", 2*slowAll+500, files.Cur)
	}
	database := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	s := svctest.New(t, svctest.Options{DatabaseURL: database,
		Environ: []string{fmt.Sprint("SVCAUTH_LIMITS_MAX_FOLLOWERS=", 2*slowAll)}})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	healthy := resourceServer(t, s, api, nil)
	a := slowAttack{t: t, s: s, database: database}
	for n := range slowTenants {
		tenant := s.NewTenant(fmt.Sprint("slow", n))
		a.orgs = append(a.orgs, tenant.Organization.ID)
		a.tokens = append(a.tokens, tokenOf(s, s.AccountIn(tenant, "api", svcauth.TokensIntrospect)))
	}
	late := tokenOf(s, s.AccountIn(s.NewTenant("late"), "api", svcauth.TokensIntrospect))
	quiet := slowest(t, s, account, healthy)
	for _, orgID := range a.orgs {
		addRevocationsOf(t, database, orgID, 500)
	}
	flooded := slowest(t, s, account, healthy)

	goroutines, memory := runtime.NumGoroutine(), inUse()
	a.open()
	defer a.close()
	held := inUse() - memory
	t.Logf("%d who don't read hold %.1f KiB each, their own ends included", slowAll, float64(held)/slowAll/1024)
	require.Less(t, held/slowAll, int64(100<<10))
	require.Equal(t, 503, follow(t, s, late, "").status, "the tenants' half is taken")
	theirs := follow(t, s, tokenOf(s, api), "")
	require.Equal(t, 200, theirs.status, "the operator's is not")
	theirs.cancel()

	pressed, most := time.Duration(0), held
	for began := time.Now(); a.sentAway() < slowAll; {
		require.Less(t, time.Since(began), 4*patience, "%d of them were sent away", a.sentAway())
		for _, orgID := range a.orgs {
			addRevocationsOf(t, database, orgID, 500)
		}
		pressed = max(pressed, slowest(t, s, account, healthy))
		most = max(most, inUse()-memory)
	}
	t.Logf("a revocation reached who reads after %v at most, without them after %v, quiet after %v; all took %.1f MB "+
		"at most", pressed, flooded, quiet, float64(most)/1e6)
	require.Equal(t, slowAll, a.sentAway(), "nobody else was")
	left := goroutines + slowAll/2 + slowAll/20 // those who read are the test's own
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < left }, patience, 10*time.Millisecond,
		"the server is not done with who has not read what it was sent")
	a.close()
	require.Equal(t, 200, follow(t, s, late, "").status, "their places are free")
	accepted(t, healthy, tokenOf(s, account))
}

// slowest revokes tokens one after the other and returns how long it took at
// most until the resource server refused one.
func slowest(t *testing.T, s *svctest.Server, account svcauth.ServiceAccount,
	v *resourceserver.Verifier) (most time.Duration) {
	t.Helper()
	for range 5 {
		text := tokenOf(s, account)
		accepted(t, v, text)
		s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {text}})
		began := time.Now()
		refused(t, v, text)
		most = max(most, time.Since(began))
	}
	return most
}

type slowAttack struct {
	t        *testing.T
	s        *svctest.Server
	database string
	orgs     []string
	tokens   []string
	conns    []net.Conn
	readers  sync.WaitGroup
	stop     chan struct{}
	stopped  sync.Once
}

// open opens all streams, the tenants in turn, no faster than each may.
func (a *slowAttack) open() {
	a.stop = make(chan struct{})
	for n := range slowAll {
		conn, err := net.Dial("tcp", address(a.s))
		require.NoError(a.t, err)
		a.conns = append(a.conns, conn)
		require.NoError(a.t, conn.(*net.TCPConn).SetReadBuffer(4096))
		_, err = fmt.Fprintf(conn, "GET /oauth2/revocations HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"+
			"Svcauth-Instance: %d\r\nAuthorization: Bearer %s\r\n\r\n", n, a.tokens[n%slowTenants])
		require.NoError(a.t, err)
		head := make([]byte, len("HTTP/1.1 200"))
		_, err = io.ReadFull(conn, head)
		require.NoError(a.t, err)
		require.Equal(a.t, "HTTP/1.1 200", string(head), "no %d", n)
		if n >= slowAll/2 {
			a.readers.Go(func() { a.sip(conn) })
		}
		time.Sleep(time.Millisecond)
	}
}

// sip reads one byte a second.
func (a *slowAttack) sip(conn net.Conn) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-ticker.C:
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				return
			}
		}
	}
}

// sentAway returns how many streams the server has ended because nobody read
// them.
func (a *slowAttack) sentAway() int { return strings.Count(a.s.Log(), `"stream_slow"`) }

func (a *slowAttack) close() {
	a.stopped.Do(func() { close(a.stop) })
	for _, conn := range a.conns {
		_ = conn.Close()
	}
	a.readers.Wait()
}
