package drill_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// clockFile is the variable that names the file in which the seconds stand by
// which a node's clock is off.
const clockFile = "DRILL_CLOCK"

// One node's clock jumps, as the administrator's hand, a broken NTP server or a
// woken virtual machine make it. The monotonic clock goes on, as it does on a
// real machine.
func TestClockJumps(t *testing.T) {
	needFull(t)
	wrong := wrongClock(t)
	s := newStack(t, 2, pgtest.URL(t), redistest.URL(t), manyWrong)
	n, file := s.nodes[1], filepath.Join(t.TempDir(), "seconds")
	set := func(off time.Duration) {
		require.NoError(t, os.WriteFile(file+".new", fmt.Appendf(nil, "%d\n", int(off.Seconds())), 0o644))
		require.NoError(t, os.Rename(file+".new", file))
		time.Sleep(100 * time.Millisecond)
	}
	set(0)
	n.stop()
	n.path, n.environ = wrong, append(n.environ, clockFile+"="+file)
	n.start()
	n.awaitReady()
	time.Sleep(2 * time.Second)
	before := s.rest()
	l := newLoad(s)
	// resource servers allow 30 s
	l.excuse(func(p tokenParts) bool { return p.issuedAt.After(time.Now().Add(25 * time.Second)) })
	jump := func(name string, by, held time.Duration) fault {
		return fault{name: "clock of a node: " + name, held: held, late: withRedis,
			begin: func() { l.clockOff.Store(by.Abs() > 30*time.Second); set(by) },
			end:   func() { set(0) }}
	}
	far := jump("3 h ahead, over a sweep", 3*time.Hour, 70*time.Second)
	// for this node each token has expired, also that by which a resource
	// server follows it
	far.late, far.refused = cutOff, far.held+reconnected
	drillUnder(s, l, before, []fault{
		jump("5 s ahead", 5*time.Second, 5*time.Second),
		jump("5 s behind", -5*time.Second, 5*time.Second),
		jump("10 min ahead", 10*time.Minute, 12*time.Second),
		jump("10 min behind", -10*time.Minute, 12*time.Second),
		far,
	})
	require.True(t, logged(t, n, "this node's clock and the database server's differ"))
	require.True(t, logged(t, n, "agrees with the database server's again"))
}

// wrongClock builds the program with a standard library whose clock can be set
// while it runs: a static program's can't be fooled from outside, and the
// machine's own is not ours.
func wrongClock(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	dir := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	text, err := os.ReadFile(filepath.Join(dir, "time.go"))
	require.NoError(t, err)
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	require.Equal(t, 1, strings.Count(string(text), now),
		"this Go release's time.Now is written in another way: teach the drill")
	patched := strings.Replace(string(text), now, now+"\tsec += drillOff.Load()\n", 1)
	path, err := buildOnce("svcauth-clock", func(to string) (map[string]string, error) {
		first, second := filepath.Join(to, "time.go"), filepath.Join(to, "drill.go")
		require.NoError(t, os.WriteFile(first, []byte(patched), 0o644))
		return map[string]string{filepath.Join(dir, "time.go"): first,
			filepath.Join(dir, "zz_drill.go"): second}, os.WriteFile(second, []byte(offset), 0o644)
	})
	require.NoError(t, err)
	return path
}

// offset is added to package time of that program.
const offset = `package time

import (
	"sync/atomic"
	"syscall"
)

var drillOff atomic.Int64

func init() {
	path, found := syscall.Getenv("` + clockFile + `")
	if !found {
		return
	}
	look := func() {
		fd, err := open(path)
		if err != nil {
			return
		}
		defer closefd(fd)
		var buf [32]byte
		n, _ := read(fd, buf[:])
		off, sign := int64(0), int64(1)
		for _, c := range buf[:max(n, 0)] {
			switch {
			case c == '-':
				sign = -1
			case c >= '0' && c <= '9':
				off = 10*off + int64(c-'0')
			}
		}
		drillOff.Store(sign * off)
	}
	go func() {
		for {
			look()
			Sleep(10 * Millisecond)
		}
	}()
}
`
