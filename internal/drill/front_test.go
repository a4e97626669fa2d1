package drill_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// front stands before the nodes as a load balancer does: it looks at each
// node's /readyz, and each request goes to the next of those that are ready;
// one that refuses the connection, breaks it, or answers 502 or 503 is passed
// over if the request may be sent again. With no node ready it answers 503
// by itself, as a load balancer does.
type front struct {
	nodes []*node
	out   []atomic.Bool // by node: failed lately
	turn  atomic.Int64
	base  *http.Transport
}

const (
	lookEvery = 300 * time.Millisecond
	outAfter  = 2 // looks in a row that failed
)

func newFront(ctx context.Context, nodes []*node) *front {
	f := &front{nodes: nodes, out: make([]atomic.Bool, len(nodes)),
		base: &http.Transport{MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
			ResponseHeaderTimeout: 4 * time.Second}}
	for i := range nodes {
		go f.look(ctx, i)
	}
	return f
}

func (f *front) look(ctx context.Context, i int) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for failed := 0; sleep(ctx, lookEvery); {
		resp, err := client.Get("http://" + f.nodes[i].addr + "/readyz")
		failed++
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				failed = 0
			}
		}
		f.out[i].Store(failed >= outAfter)
	}
}

// ready are the nodes in the order in which a request tries them.
func (f *front) ready() []*node {
	first := int(f.turn.Add(1))
	var ready []*node
	for i := range f.nodes {
		if at := (first + i) % len(f.nodes); !f.out[at].Load() {
			ready = append(ready, f.nodes[at])
		}
	}
	return ready
}

// RoundTrip implements [http.RoundTripper]. The request's host is replaced.
func (f *front) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	ready := f.ready()
	if len(ready) == 0 {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1,
			ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	for try, n := range ready {
		again := req.Clone(req.Context())
		if try > 0 && req.GetBody != nil {
			if again.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		again.URL.Host = n.addr
		resp, err = f.base.RoundTrip(again)
		last := try == len(ready)-1 || req.Context().Err() != nil
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

// refused reports whether no connection came about, so that nothing can have
// been done.
func refused(err error) bool {
	op, ok := err.(*net.OpError)
	return ok && op.Op == "dial"
}

// pinned reaches one node only.
type pinned struct {
	node *node
	base *http.Transport
}

// CloseIdleConnections is for [http.Client.CloseIdleConnections].
func (p pinned) CloseIdleConnections() { p.base.CloseIdleConnections() }

// RoundTrip implements [http.RoundTripper].
func (p pinned) RoundTrip(req *http.Request) (*http.Response, error) {
	again := req.Clone(req.Context())
	again.URL.Host = p.node.addr
	return p.base.RoundTrip(again)
}

func pinnedTo(n *node) *http.Client {
	return &http.Client{Transport: pinned{n,
		&http.Transport{MaxIdleConnsPerHost: 16, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
