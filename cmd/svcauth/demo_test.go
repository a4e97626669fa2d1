package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

// demo is the two programs as `make run` builds and starts them.
type demo struct {
	bin, dir string
	ports    []string
}

func (d demo) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(d.bin, program), args...)
	c.Dir = d.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}
	return c
}

// start returns what the demo prints, once both listen.
func (d demo) start(t *testing.T) (screen string, stop func()) {
	t.Helper()
	var out syncbuf.Buffer
	c := d.command("svcauth", "demo", "--port", d.ports[0], "--api-port", d.ports[1])
	c.Stdout, c.Stderr = &out, &out
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	stop = func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://127.0.0.1:" + d.ports[1] + "/api/1.0/ping")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusUnauthorized
	}, time.Minute, 50*time.Millisecond, "%s", &out)
	return out.String(), stop
}

// toCopy matches the lines of a screen that are to be copied to a shell.
var toCopy = regexp.MustCompile(`(?m)^  +((?:TOKEN|curl|sed|export|svcauth|  sed).*)$`)

func shellLines(screen string) (lines []string) {
	for _, found := range toCopy.FindAllStringSubmatch(screen, -1) {
		lines = append(lines, strings.TrimSpace(found[1]))
	}
	return lines
}

// TestDemo is a newcomer's first minutes: what is printed is copied, line by
// line, and the second start leads back in.
func TestDemo(t *testing.T) {
	needs.Time(t)
	d := demo{bin: t.TempDir(), dir: t.TempDir()}
	build := exec.Command("go", "build", "-o", d.bin+"/", ".", "../example-api")
	raw, err := build.CombinedOutput()
	require.NoError(t, err, "%s", raw)
	for range 2 {
		port, err := freeport.Port()
		require.NoError(t, err)
		d.ports = append(d.ports, strconv.Itoa(port))
	}

	taken, err := net.Listen("tcp", "127.0.0.1:"+d.ports[1])
	require.NoError(t, err)
	raw, err = d.command("svcauth", "demo", "--port", d.ports[0], "--api-port", d.ports[1]).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(raw), "the example API can't listen")
	require.Contains(t, string(raw), "DEMO_API_PORT=")
	require.NoDirExists(t, filepath.Join(d.dir, "data"), "nothing was made")
	require.NoError(t, taken.Close())

	first, stop := d.start(t)
	run := func(script string) string {
		c := exec.Command("sh", "-ec", script)
		c.Dir, c.Env = d.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s\n%s", script, out)
		return string(out)
	}
	lines := shellLines(first)
	require.Len(t, lines, 7, "%s", first)
	curl, commands := lines[:5], strings.Join(lines[5:], "\n")
	before := run(strings.Join(curl[:3], "\n"))
	require.Contains(t, before, `"id"`, "the clusters")
	after := run(strings.Join(curl[:2], "\n") + "\n" + curl[3] + "\nsleep 1\n" + curl[4])
	require.Contains(t, after, "revoked")
	require.Contains(t, run(commands), "example")
	require.NotContains(t, first, "level=INFO")
	password := regexp.MustCompile(`password +(\S+)`).FindStringSubmatch(first)[1]
	stop()

	again, stop := d.start(t)
	defer stop()
	require.NotContains(t, again, password)
	kept, err := os.ReadFile(filepath.Join(d.dir, "data", "credentials"))
	require.NoError(t, err)
	require.Contains(t, again, "data/credentials")
	require.Contains(t, string(kept), password, "what was shown once is not lost")
	require.Contains(t, run(strings.Join(shellLines(again), "\n")), "example")
	info, err := os.Stat(filepath.Join(d.dir, "data", "credentials"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Less(t, bytes.Count([]byte(again), []byte("\n")), 15, "short enough to stay in sight:\n%s", again)
	require.Less(t, bytes.Count([]byte(first), []byte("\n")), 30, "%s", first)
}
