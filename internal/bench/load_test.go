package bench_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// connections is how many callers there are at once, each on a connection that
// it keeps.
const connections = 16

// post writes one request as it goes over the wire.
func post(path string, c credential, body string) []byte {
	auth := base64.StdEncoding.EncodeToString([]byte(c.ID + ":" + c.Secret))
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, auth, len(body), body)
}

// postForm writes one request without the Authorization header.
func postForm(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// load sends what next returns until it returns nil or the time is up, and says
// how many were answered by 200. Any other answer ends the benchmark. seen,
// where not nil, gets each body.
func load(b *testing.B, addr string, d time.Duration, next func(n int64) []byte, seen func([]byte)) (answered int64) {
	b.Helper()
	var n, done atomic.Int64
	end := time.Now().Add(d)
	var group errgroup.Group
	for range connections {
		group.Go(func() error {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			in := bufio.NewReaderSize(conn, 16<<10)
			for time.Now().Before(end) {
				request := next(n.Add(1) - 1)
				if request == nil {
					return nil
				}
				if _, err := conn.Write(request); err != nil {
					return err
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					return err
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					return err
				}
				if resp.StatusCode != http.StatusOK {
					return fmt.Errorf("answer %d: %s", resp.StatusCode, body)
				}
				done.Add(1)
				if seen != nil {
					seen(body)
				}
			}
			return nil
		})
	}
	require.NoError(b, group.Wait())
	return done.Load()
}

// figure is what a process spent on its load.
type figure struct {
	requests int64
	cpu      time.Duration
	took     time.Duration
}

func (f *figure) add(b *testing.B, p *process, run func() int64) {
	b.Helper()
	cpu, began := p.cpu(b), time.Now()
	f.requests += run()
	f.took += time.Since(began)
	f.cpu += p.cpu(b) - cpu
}

func (f figure) cpuEach() float64   { return f.cpu.Seconds() / float64(f.requests) }
func (f figure) perSecond() float64 { return float64(f.requests) / f.took.Seconds() }

// window is how long each of the two runs in its turn; rounds how often.
const (
	window = 2 * time.Second
	rounds = 4
)

// against runs ours and the bare server in turn and reports the ratios:
// processor time a request (lower is better), and requests a second.
func against(b *testing.B, ours, bare *process, next func(n int64) []byte) {
	b.Helper()
	bareRequest := post("/oauth2/token",
		credential{"sa_01h455vb4pex5vsknk084sn02q",
			"svcs_0000000000000000000000000000000000000000000000000"}, "grant_type=client_credentials")
	same := func(int64) []byte { return bareRequest }
	load(b, ours.Addr, window/2, next, nil) // warm up
	load(b, bare.Addr, window/2, same, nil)
	var our, their figure
	for b.Loop() {
		for range rounds {
			our.add(b, ours, func() int64 { return load(b, ours.Addr, window, next, nil) })
			their.add(b, bare, func() int64 { return load(b, bare.Addr, window, same, nil) })
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(our.cpuEach()/their.cpuEach(), "cpu-ratio")
	b.ReportMetric(our.perSecond()/their.perSecond(), "throughput-ratio")
}
