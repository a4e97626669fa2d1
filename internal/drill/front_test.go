package drill_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

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

// CloseIdleConnections is for [http.Client.CloseIdleConnections].
func (f *front) CloseIdleConnections() { f.base.CloseIdleConnections() }

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

// CloseIdleConnections is for [http.Client.CloseIdleConnections].
func (p pinned) CloseIdleConnections() { p.base.CloseIdleConnections() }

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
