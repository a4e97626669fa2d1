package drill_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

const (
	// atRest bounds the memory of its own, in bytes, that a node with nothing
	// to do has. The program's pages are counted apart.
	atRest = 22e6
	// programPages bounds the bytes of the program itself that are resident, no
	// part of what GOMEMLIMIT bounds. That may be all of it that is loaded, 51
	// MB: how much of that the kernel maps ahead is not ours, and was 37 to 46
	// MB of the same program from run to run. So this is how large it may grow.
	programPages = 52e6
)

// A node that has nothing to do is small.
func TestNodeAtRestIsSmall(t *testing.T) {
	needs.Time(t)
	for name, environ := range map[string]func(*testing.T) []string{
		"SQLite": func(t *testing.T) []string {
			return []string{"SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")}
		},
		"PostgreSQL and Redis": func(t *testing.T) []string {
			return []string{"SVCAUTH_DATABASE_URL=" + pgtest.URL(t), "SVCAUTH_REDIS_URL=" + redistest.URL(t)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits until its heap has been given back
			n := newNode(t, append(environ(t), "SVCAUTH_MASTER_KEY_FILE="+filepath.Join(t.TempDir(), "master.key"))...)
			n.start()
			n.awaitReady()
			for range 150 { // five minutes of probes and scrapes: they are what a node at rest has to do
				n.ready()
				n.metric("svcauth_build_info")
			}
			grown, own := n.status("RssAnon"), 0.0
			require.Eventually(t, func() bool { own = n.status("RssAnon"); return own < atRest }, time.Minute,
				100*time.Millisecond, "%.1f MB of its own after the probes and scrapes of five minutes", grown/1e6)
			pages := n.status("RssFile")
			require.Less(t, pages, programPages)
			t.Logf("%.1f MB of its own and %.1f of the program resident; %.1f of its own after the probes and scrapes",
				own/1e6, pages/1e6, grown/1e6)
		})
	}
}

// GOMEMLIMIT holds: with 100 MiB more than at rest, a node under all kinds of
// pressure keeps within it, and serves.
func TestNodeKeepsToItsMemoryLimit(t *testing.T) {
	needFull(t)
	p := newPressed(t, 1000)
	restart := func() {
		p.right.hangUp()
		p.node.stop()
		p.node.start()
		p.node.awaitReady()
		time.Sleep(2 * time.Second)
	}
	restart()
	rest := p.managed()
	p.limit = rest + 100<<20
	p.node.environ = append(p.node.environ, fmt.Sprintf("GOMEMLIMIT=%.0f", p.limit)) // the last one counts
	restart()
	p.callRight()
	all := together(p.idle(1000), p.slowReaders(500), p.slowWriters(500), p.flood(1100))
	var managed, resident float64
	end := all()
	for range 40 {
		p.right.ask(order{For: 250 * time.Millisecond})
		managed, resident = max(managed, p.managed()), max(resident, p.status("VmRSS"))
	}
	said := end()
	t.Logf("%.0f MB managed at rest, limit %.0f MB; under pressure at most %.0f MB, resident %.0f MB; %s", rest/1e6,
		p.limit/1e6, managed/1e6, resident/1e6, said)
	require.LessOrEqual(t, managed, p.limit)
	require.LessOrEqual(t, resident, p.limit+programPages)
}

// managed is what GOMEMLIMIT bounds, in bytes: all that the runtime has mapped
// but for what it gave back.
func (p *pressed) managed() float64 {
	return p.node.metric("go_memstats_sys_bytes") - p.node.metric("go_memstats_heap_released_bytes")
}

func (p *pressed) status(name string) float64 { return p.node.status(name) }

// status reads a figure of the node's process, in bytes.
func (n *node) status(name string) float64 {
	n.t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	require.NoError(n.t, err)
	defer file.Close()
	for in := bufio.NewScanner(file); in.Scan(); {
		if fields := strings.Fields(in.Text()); len(fields) > 1 && fields[0] == name+":" {
			kb, err := strconv.ParseFloat(fields[1], 64)
			require.NoError(n.t, err)
			return kb * 1024
		}
	}
	n.t.Fatalf("the system does not say the %s of a process", name)
	return 0
}

// cpu is the processor time that the node has used.
func (n *node) cpu() time.Duration {
	n.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.cmd.Process.Pid))
	require.NoError(n.t, err)
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	require.NoError(n.t, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(n.t, err)
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on every Linux
}
