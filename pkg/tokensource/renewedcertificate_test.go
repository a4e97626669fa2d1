package tokensource

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// boundAPI takes a token only over a connection that shows the certificate it
// is bound to (RFC 8705 §3).
type boundAPI struct {
	*httptest.Server
	release func() // ends the requests for /long

	mu    sync.Mutex
	taken map[string]int    // requests of each serial number
	wrong []string          // tokens that came beside another certificate
	open  map[string]string // the serial number of each open connection, by its address
}

func newBoundAPI(t *testing.T) *boundAPI {
	released := make(chan struct{})
	a := &boundAPI{taken: map[string]int{}, open: map[string]string{}}
	a.release = sync.OnceFunc(func() { close(released) })
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serial := "none"
		if len(r.TLS.PeerCertificates) > 0 {
			serial = r.TLS.PeerCertificates[0].SerialNumber.String()
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer bound-to-")
		a.mu.Lock()
		a.open[r.RemoteAddr] = serial
		fits := strings.HasPrefix(token, serial+"-")
		if fits {
			a.taken[serial]++
		} else {
			a.wrong = append(a.wrong, fmt.Sprintf("%s beside %s", token, serial))
		}
		a.mu.Unlock()
		if !fits {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/long" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-released
		}
	}))
	a.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			a.mu.Lock()
			delete(a.open, c.RemoteAddr().String())
			a.mu.Unlock()
		}
	}
	a.Config.ErrorLog = log.New(io.Discard, "", 0) // net/http drops dials that came too late
	a.EnableHTTP2 = true
	a.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	a.StartTLS()
	t.Cleanup(a.Close)
	t.Cleanup(a.release)
	return a
}

// count returns how many requests came with a certificate, and how many open
// connections show another one.
func (a *boundAPI) count(serial string) (taken, others int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, shown := range a.open {
		if shown != serial {
			others++
		}
	}
	return a.taken[serial], others
}

// TestATokenGoesBesideItsOwnCertificate renews a certificate again and again
// under requests that never cease, one of which keeps the first connection
// busy. Each token goes over a connection that shows what it is bound to, and
// the connections of the past end.
func TestATokenGoesBesideItsOwnCertificate(t *testing.T) {
	for name, edit := range map[string]func(*http.Transport){
		"HTTP/2":   func(h *http.Transport) { h.ForceAttemptHTTP2 = true },
		"HTTP/1.1": func(h *http.Transport) { h.MaxConnsPerHost = 4 },
		"a session resumed for each request": func(h *http.Transport) {
			h.DisableKeepAlives = true
			h.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		},
	} {
		t.Run(name, func(t *testing.T) { renewUnderRequests(t, edit) })
	}
}

func renewUnderRequests(t *testing.T, edit func(*http.Transport)) {
	e := newEndpoint(t)
	newMutual(t, e)
	api := newBoundAPI(t)
	dir, next := t.TempDir(), t.TempDir()
	certFile, keyFile := certified(t, dir, 1, time.Now().Add(time.Hour))
	base := e.Client().Transport.(*http.Transport).Clone()
	base.IdleConnTimeout = 50 * time.Millisecond
	// A name of its own: TLS keeps its sessions by name, without the port.
	const name = "https://example.com"
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "example.com:443" {
			address = api.Listener.Addr().String()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	edit(base)
	s := e.source(t, func(c *Config) {
		c.ClientSecret, c.CertFile, c.KeyFile = "", certFile, keyFile
		c.HTTPClient = &http.Client{Transport: base}
	})
	client := &http.Client{Transport: s.Transport(nil)}
	long, err := client.Get(name + "/long")
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for range 4 {
		asking.Go(func() {
			for ctx.Err() == nil {
				res, err := client.Get(name)
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				_ = res.Body.Close()
			}
		})
	}
	const last = 4
	for serial := 1; serial <= last; serial++ {
		if serial > 1 {
			renewed, _ := certified(t, next, int64(serial), time.Now().Add(time.Hour))
			require.NoError(t, os.Rename(renewed, filepath.Join(dir, filepath.Base(certFile))))
			token, err := s.Token(t.Context())
			require.NoError(t, err)
			s.Drop(token.AccessToken) // as if it were to be renewed
		}
		require.Eventually(t, func() bool {
			taken, _ := api.count(strconv.Itoa(serial))
			return taken >= 20
		}, 30*time.Second, time.Millisecond, serial)
	}
	api.release()
	require.NoError(t, long.Body.Close())
	require.Eventually(t, func() bool {
		_, others := api.count(strconv.Itoa(last))
		return others == 0
	}, 30*time.Second, time.Millisecond, "connections of the past are still open")
	cancel()
	asking.Wait()
	require.Empty(t, api.wrong)
}

// TestATokenLastsNoLongerThanItsCertificate: no connection can show one that
// has expired.
func TestATokenLastsNoLongerThanItsCertificate(t *testing.T) {
	e := newEndpoint(t)
	newMutual(t, e)
	until := time.Now().Add(10 * time.Minute)
	certFile, keyFile := certified(t, t.TempDir(), 1, until)
	s := e.source(t, func(c *Config) { c.ClientSecret, c.CertFile, c.KeyFile = "", certFile, keyFile })
	got, err := s.Token(soon(t))
	require.NoError(t, err)
	require.WithinDuration(t, until, got.Expiry, time.Second)
}
