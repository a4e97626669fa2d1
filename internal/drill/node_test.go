package drill_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
)

// node is one svcauth process.
type node struct {
	t       testing.TB
	addr    string
	ops     string
	path    string // of the program; empty: the one that is built for all
	environ []string
	flags   []string // of serve
	log     string
	client  *http.Client // reaches this node only
	cmd     *exec.Cmd
}

func newNode(t testing.TB, environ ...string) *node {
	t.Helper()
	n := &node{t: t, addr: freeport.Address(t), ops: freeport.Address(t), log: filepath.Join(t.TempDir(), "log")}
	n.client = pinnedTo(n)
	// the server refuses what it does not know
	own := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "SVCAUTH_") })
	n.environ = append(own, append(environ, "SVCAUTH_LISTEN="+n.addr, "SVCAUTH_OPS_LISTEN="+n.ops,
		"SVCAUTH_SHUTDOWN_GRACE=10s")...)
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			t.Logf("the last lines of node %s:\n%s", n.addr, tail(n.log, 30))
		}
	})
	return n
}

// tail returns the last lines that are no plain request line.
func tail(path string, count int) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	var lines []string
	in := bufio.NewScanner(file)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if line := in.Text(); !strings.Contains(line, `"msg":"request"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// start runs the process; it may take its time to answer: see [node.ready].
func (n *node) start() {
	n.t.Helper()
	path := n.path
	if path == "" {
		var err error
		path, err = program()
		require.NoError(n.t, err)
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(n.t, err)
	n.cmd = exec.Command(path, append([]string{"serve"}, n.flags...)...)
	n.cmd.Dir, n.cmd.Env, n.cmd.Stdout, n.cmd.Stderr = filepath.Dir(n.log), n.environ, log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(n.t, n.cmd.Start())
	require.NoError(n.t, log.Close())
}

func (n *node) signal(s syscall.Signal) {
	if n.cmd != nil && n.cmd.Process != nil {
		_ = n.cmd.Process.Signal(s)
	}
}

// kill ends the process at once, as a power cut does.
func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	n.wait()
}

// stop ends it in good order, and reports whether it did.
func (n *node) stop() {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	require.NoError(n.t, n.cmd.Wait(), "SIGTERM ends a node with status 0")
	n.cmd = nil
}

func (n *node) wait() {
	if n.cmd != nil {
		_ = n.cmd.Wait()
		n.cmd = nil
	}
}

// ready reports whether the node calls itself ready, with all that it depends
// on.
func (n *node) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(text), `"status":"ok"`)
}

func (n *node) awaitReady() {
	n.t.Helper()
	require.Eventually(n.t, n.ready, time.Minute, 50*time.Millisecond, "the node is not ready:\n%s", tail(n.log, 20))
}

// metric reads one sample of the node's metrics, or 0 if there is none.
func (n *node) metric(name string) float64 {
	resp, err := http.Get("http://" + n.ops + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	for in.Scan() {
		if value, ok := strings.CutPrefix(in.Text(), name+" "); ok {
			f, _ := strconv.ParseFloat(value, 64)
			return f
		}
	}
	return 0
}
