// Package redistest runs a real Redis for tests and drills: the system's
// redis-server, alone, with Sentinel or as a Cluster, on loopback, in memory
// only.
//
// It owns: starting and ending the processes, the faults that a drill needs
// (kill, pause, flush, fail over), and that nothing is left behind however the
// process ends. It refuses to know: what is in Redis. It speaks Redis's
// protocol by itself, so that no client library is imported here.
//
// Tests that use it run if SVCAUTH_TEST_SERVICES=1 or CI is set, and are
// skipped elsewhere.
package redistest

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// databases is how many the shared server has: one for each call of URL.
const databases = 4096

// One server for the whole test binary. The watchdog stops it when the process
// has ended, so no TestMain is needed.
var (
	sharedOnce   sync.Once
	sharedServer *Server
	errShared    error
	sharedUsed   atomic.Int64
)

// URL returns the URL of an empty database, of t's own, on a server that all of
// one test binary share; don't disturb it: [Start] returns one that may be
// killed. Channels of pub/sub know no databases: what one test publishes there,
// all hear.
func URL(t testing.TB) string {
	t.Helper()
	needs.Service(t, "a real redis-server")
	sharedOnce.Do(func() { sharedServer, errShared = newServer("--databases", strconv.Itoa(databases)) })
	if errShared != nil {
		t.Fatalf("start Redis: %v", errShared)
	}
	return sharedServer.url() + "/" + strconv.FormatInt(sharedUsed.Add(1)%databases, 10)
}

// Start runs a server of its own for t, with further arguments of redis-server,
// and returns when it answers. It is stopped and removed when t ends.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	needs.Service(t, "a real redis-server")
	return start(t, args...)
}

func start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := newServer(args...)
	if err != nil {
		t.Fatalf("start Redis: %v", err)
	}
	s.t = t
	t.Cleanup(s.close)
	return s
}
