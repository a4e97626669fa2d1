package provider

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between the provider and the server, and does what networks and
// overloaded servers do.
type proxy struct {
	*httptest.Server
	to *url.URL

	mu     sync.Mutex
	faults []*fault
	seen   []*http.Request // without bodies
	hook   func(*http.Request)

	// Dry runs are not among what came, and befall none but this: plans make
	// them before each write.
	rehearsed func(p *proxy, w http.ResponseWriter, r *http.Request)
}

// fault befalls the next times requests of a method and path.
type fault struct {
	method string
	path   *regexp.Regexp
	times  int
	befall func(p *proxy, w http.ResponseWriter, r *http.Request)
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	p := &proxy{to: target}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// befalls adds a fault; path is matched whole.
func (p *proxy) befalls(times int, method, path string, befall func(p *proxy, w http.ResponseWriter, r *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, &fault{method, regexp.MustCompile("^" + path + "$"), times, befall})
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.hook = nil, nil
}

// before calls f with each request before anything else happens to it.
func (p *proxy) before(f func(*http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = f
}

// requests gives what came so far.
func (p *proxy) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*http.Request(nil), p.seen...)
}

// isDryRun reads the body, and puts it back.
func isDryRun(r *http.Request) bool {
	if r.Method == http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v1/") {
		return false
	}
	raw, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return err == nil && bytes.Contains(raw, []byte(`"dry_run":true`))
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isDryRun(r) {
		befall := p.rehearsed
		if befall == nil {
			befall = (*proxy).forward
		}
		befall(p, w, r)
		return
	}
	p.mu.Lock()
	p.seen = append(p.seen, r.Clone(r.Context()))
	hook := p.hook
	var struck *fault
	for _, f := range p.faults {
		if f.times > 0 && f.method == r.Method && f.path.MatchString(r.URL.Path) {
			f.times--
			struck = f
			break
		}
	}
	p.mu.Unlock()
	if hook != nil {
		hook(r)
	}
	if struck != nil {
		struck.befall(p, w, r)
		return
	}
	p.forward(w, r)
}

// forward passes the request on. The metadata is rewritten, so that the
// provider takes this for the server, and so is the audience of the tokens that
// it asks for.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request) {
	forwarder := httputil.NewSingleHostReverseProxy(p.to)
	if r.URL.Path == "/oauth2/token" {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		raw = bytes.ReplaceAll(raw, []byte(url.QueryEscape(p.URL)), []byte(url.QueryEscape(p.to.String())))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	}
	if strings.HasPrefix(r.URL.Path, "/.well-known/oauth") {
		r.Header.Del("Accept-Encoding")
		forwarder.ModifyResponse = func(res *http.Response) error {
			raw, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			raw = bytes.ReplaceAll(raw, []byte(p.to.String()), []byte(p.URL))
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
			res.Header.Del("Content-Length")
			return nil
		}
	}
	forwarder.ServeHTTP(w, r)
}

// answers returns a fault that answers by itself, before anything is done. A
// JSON body is sent as a problem.
func answers(status int, body string, headers ...string) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(_ *proxy, w http.ResponseWriter, _ *http.Request) {
		if strings.HasPrefix(body, "{") {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// doneBut has the server do it, and then answers something else.
func doneBut(answer func(*proxy, http.ResponseWriter, *http.Request)) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		p.forward(httptest.NewRecorder(), r)
		answer(p, w, r)
	}
}

// cut closes the connection without an answer.
func cut(_ *proxy, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}
