package drill_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program builds the real binary, once for the test binary.
var program = sync.OnceValues(func() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "svcauth-drill-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "svcauth")
	return path, build(strings.TrimSpace(string(root)), path)
})

func build(root, path string, flags ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-o", path}, append(flags, "./cmd/svcauth")...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build svcauth: %w: %s", err, out)
	}
	return nil
}

// nextRelease builds the program once more, as another version: the binary differs, and says so.
func nextRelease(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "svcauth")
	require.NoError(t, build(strings.TrimSpace(string(root)), path, "-ldflags", "-X main.version=next"))
	out, err := exec.Command(path, "version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "svcauth next ")
	return path
}

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := program(); err == nil && status >= 0 {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// node is one svcauth process.
type node struct {
	t       testing.TB
	addr    string
	ops     string
	path    string // of the program; empty: the one that is built for all
	environ []string
	log     string
	cmd     *exec.Cmd
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func newNode(t testing.TB, environ ...string) *node {
	t.Helper()
	n := &node{t: t, addr: freeAddr(t), ops: freeAddr(t), log: filepath.Join(t.TempDir(), "log")}
	own := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "SVCAUTH_") }) // the server refuses what it does not know
	n.environ = append(own, append(environ, "SVCAUTH_LISTEN="+n.addr, "SVCAUTH_OPS_LISTEN="+n.ops, "SVCAUTH_SHUTDOWN_GRACE=10s")...)
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			t.Logf("the last lines of node %s:\n%s", n.addr, tail(n.log, 30))
		}
	})
	return n
}

// tail gives the last lines that are no plain request line.
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
	n.cmd = exec.Command(path, "serve")
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

// stop ends it in good order, and says whether it did.
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

// ready says whether the node calls itself ready.
func (n *node) ready() bool {
	client := &http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + n.addr + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

func (n *node) awaitReady() {
	n.t.Helper()
	require.Eventually(n.t, n.ready, time.Minute, 50*time.Millisecond, "the node is not ready:\n%s", tail(n.log, 20))
}

// metric reads one sample of the node's metrics; 0 where there is none.
func (n *node) metric(name string) float64 {
	resp, err := http.Get("http://" + n.ops + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	for in.Scan() {
		if value, is := strings.CutPrefix(in.Text(), name+" "); is {
			f, _ := strconv.ParseFloat(value, 64)
			return f
		}
	}
	return 0
}

// front stands before the nodes as a load balancer does: each request goes to one node after the other; a node that refuses the connection, breaks it, or answers 502 or 503 is passed over
// where the request may be sent again.
type front struct {
	nodes []*node
	next  func() int
	base  *http.Transport
}

func newFront(nodes []*node) *front {
	var mu sync.Mutex
	turn := 0
	return &front{nodes: nodes, base: &http.Transport{MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, ResponseHeaderTimeout: 4 * time.Second},
		next: func() int {
			mu.Lock()
			defer mu.Unlock()
			turn++
			return turn
		}}
}

// RoundTrip is of http.RoundTripper. The request's host is replaced.
func (f *front) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	first := f.next()
	for try := range f.nodes {
		again := req.Clone(req.Context())
		if try > 0 && req.GetBody != nil {
			if again.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		again.URL.Host = f.nodes[(first+try)%len(f.nodes)].addr
		resp, err = f.base.RoundTrip(again)
		last := try == len(f.nodes)-1 || req.Context().Err() != nil
		if err == nil && (resp.StatusCode != http.StatusServiceUnavailable || last) || last {
			return resp, err
		}
		if err == nil {
			_ = resp.Body.Close()
		} else if req.Method == http.MethodPost && strings.HasPrefix(req.URL.Path, "/v1/") && !refused(err) {
			return nil, err // it may have been done
		}
	}
	return resp, err
}

// refused says whether no connection came about, so that nothing can have been done.
func refused(err error) bool {
	op, is := err.(*net.OpError)
	return is && op.Op == "dial"
}

// pinned reaches one node only.
type pinned struct {
	node *node
	base *http.Transport
}

// RoundTrip is of http.RoundTripper.
func (p pinned) RoundTrip(req *http.Request) (*http.Response, error) {
	again := req.Clone(req.Context())
	again.URL.Host = p.node.addr
	return p.base.RoundTrip(again)
}

func pinnedTo(n *node) *http.Client {
	return &http.Client{Transport: pinned{n, &http.Transport{MaxIdleConnsPerHost: 16, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
