// Package pgtest runs a real PostgreSQL for tests and drills: the system's own
// binaries, a throw-away data directory, one port on loopback.
//
// It owns: finding the binaries, making and removing the cluster, the faults
// that a drill needs (kill, pause, restart), and that nothing is left behind
// however the process ends. It refuses to know: what is in a database. It
// speaks to the server through PostgreSQL's own commands only, so that no
// driver is imported here.
//
// Tests that use it run if SVCAUTH_TEST_SERVICES=1 or CI is set, and are
// skipped elsewhere. PostgreSQL refuses to run as root. If the process is
// root, the server runs as the user postgres, or nobody.
package pgtest

import (
	"net/url"
	"strings"
	"sync"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// TB is the part of [testing.TB] that is needed here; a program that is no test
// brings its own. Fatalf must not return. Where a TB can also Skip, it is
// skipped when not everything shall be tested: see [needs.Service].
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
}

// Config says what kind of server is wanted. The zero value is the fast one for
// tests.
type Config struct {
	// Durable: every commit reaches the disk, as in production. Otherwise the
	// last commits may be lost with the machine or with [Server.Kill].
	Durable bool
	// Settings are further lines of postgresql.conf, such as "max_connections":
	// "20".
	Settings map[string]string
	// Dir is where the data directory is made, which all may enter. Default:
	// the system's temporary directory.
	Dir string
}

// Start runs a server of its own for t, and returns when it answers. It is
// stopped and removed when t ends.
func Start(t TB, cfg Config) *Server {
	t.Helper()
	needs.Service(t, "a real PostgreSQL")
	s, err := newServer(cfg)
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	s.t = t
	t.Cleanup(s.close)
	return s
}

// One server for the whole test binary, because making a cluster takes seconds
// and a database milliseconds. The watchdog stops it when the process has
// ended, so no TestMain is needed.
var (
	sharedOnce   sync.Once
	sharedServer *Server
	errShared    error
)

// URL returns the URL of a fresh, empty database. All of one test binary are on
// one server, which the first call starts; don't disturb it: [Start] returns a
// server that may be killed. The database stays until the process ends.
func URL(t TB) string {
	t.Helper()
	return fresh(t, "template0")
}

// Copy is [URL], but the database is a copy of one that URL returned. Nobody
// may be connected to that one.
func Copy(t TB, of string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatalf("copy a database: %v", err)
	}
	return fresh(t, strings.TrimPrefix(u.Path, "/"))
}

func fresh(t TB, template string) string {
	t.Helper()
	needs.Service(t, "a real PostgreSQL")
	sharedOnce.Do(func() { sharedServer, errShared = newServer(Config{}) })
	if errShared != nil {
		t.Fatalf("start PostgreSQL: %v", errShared)
	}
	url, err := sharedServer.createDatabase(template)
	if err != nil {
		t.Fatalf("make a database: %v", err)
	}
	return url
}
