package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/oauth"
	"github.com/svcauth/svcauth/internal/server"
)

// filled is a server with few places, and with pages that stay in work until
// they are let go.
type filled struct {
	*server.Server
	t       *testing.T
	url     string
	entered chan struct{}
	gone    chan struct{}
	letGo   func()
	asking  sync.WaitGroup
}

const fewPlaces = 10

func newFilled(t *testing.T) *filled {
	f := &filled{t: t, entered: make(chan struct{}, fewPlaces), gone: make(chan struct{})}
	f.letGo = sync.OnceFunc(func() { close(f.gone) })
	s, handler := frame(t, server.Config{
		MaxInflight: fewPlaces, Issuer: "https://issuer.example",
		Console: pages(func(r gin.IRouter) {
			r.GET("/console/slow", func(c *gin.Context) {
				f.entered <- struct{}{}
				<-f.gone
				c.Status(http.StatusNoContent)
			})
		}),
	}, oauth.Config{JWKS: func() ([]byte, string) { return []byte(`{"keys":[]}`), `"1"` }}, manage.Config{})
	listener := httptest.NewServer(handler)
	t.Cleanup(listener.Close)
	t.Cleanup(f.letGo)
	f.Server, f.url = s, listener.URL
	return f
}

// fill takes all places.
func (f *filled) fill() {
	f.t.Helper()
	for range fewPlaces {
		f.asking.Go(func() {
			if resp, err := http.Get(f.url + "/console/slow"); err == nil {
				_ = resp.Body.Close()
			}
		})
		<-f.entered
	}
	require.Equal(f.t, fewPlaces, f.InFlight())
}

// withhold begins requests whose bodies never end.
func (f *filled) withhold(count int) {
	f.t.Helper()
	for range count {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		require.NoError(f.t, err)
		f.t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprint(conn,
			"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
				"Content-Length: 300\r\n\r\ngrant")
		require.NoError(f.t, err)
	}
}

func (f *filled) ask(method, path, authorization, body string) (*http.Response, string) {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	require.NoError(f.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req) // for ever, if it waited for a place
	require.NoError(f.t, err, "%s %s is answered at once", method, path)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	return resp, string(text)
}

// While every place is taken, whatever comes is refused at once and told when
// to come again, but for probes. A body that never ends takes no place, before
// or then. Afterwards all is as it was.
func TestEveryPlaceIsTaken(t *testing.T) {
	f := newFilled(t)
	f.withhold(3 * fewPlaces)
	f.fill()
	f.withhold(3 * fewPlaces)
	for _, r := range [][4]string{
		{"POST", "/oauth2/token", "Basic eDp5", "grant_type=client_credentials"},
		{"POST", "/oauth2/token", "", strings.Repeat("a", oauth.MaxForm+1)},
		{"POST", "/oauth2/introspect", "Basic eDp5", "token=x"},
		{"GET", "/oauth2/revocations", "Bearer x", ""},
		{"GET", "/.well-known/jwks.json", "", ""},
		{"GET", "/console/slow", "", ""},
		{"GET", "/v1/me", "Bearer x", ""},
		{"POST", "/v1/roles", "Bearer x", `{"name":"` + strings.Repeat("a", oauth.MaxForm) + `"}`},
		{"GET", "/nothing", "", ""},
	} {
		resp, text := f.ask(r[0], r[1], r[2], r[3])
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "%v", r[:2])
		require.Equal(t, "1", resp.Header.Get("Retry-After"), "%v", r[:2])
		require.Contains(t, resp.Header.Get("Content-Type"), "json", "%v", r[:2])
		require.Contains(t, text, "server is busy", "%v", r[:2])
	}
	for _, probe := range []string{"/healthz", "/readyz"} {
		resp, text := f.ask("GET", probe, "", "")
		require.Equal(t, http.StatusOK, resp.StatusCode, probe)
		require.Contains(t, text, `"status":"ok"`, probe)
	}
	require.Equal(t, fewPlaces, f.InFlight())

	f.letGo()
	f.asking.Wait()
	require.Eventually(t, func() bool { return f.InFlight() == 0 }, 30*time.Second, time.Millisecond,
		"places are given back; nobody who withholds a body has one")
	resp, _ := f.ask("GET", "/.well-known/jwks.json", "", "")
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
