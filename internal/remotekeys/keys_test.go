package remotekeys

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
)

// issuer is somebody else's server: it has a discovery document and a key set,
// and misbehaves as told.
type issuer struct {
	*httptest.Server
	kids    atomic.Pointer[[]string]
	handle  atomic.Pointer[http.HandlerFunc] // of the key set; nil: as it should be
	fetches atomic.Int64                     // of the key set
	said    atomic.Pointer[string]           // the issuer in the metadata
}

func newIssuer(t *testing.T, kids ...string) *issuer {
	t.Helper()
	i := &issuer{}
	i.kids.Store(&kids)
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, *i.said.Load(), i.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		if h := i.handle.Load(); h != nil {
			(*h)(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = w.Write(keySet(t, *i.kids.Load()...))
	})
	i.Server = httptest.NewTLSServer(mux)
	t.Cleanup(i.Close)
	i.said.Store(&i.URL)
	return i
}

func (i *issuer) answers(h http.HandlerFunc) { i.handle.Store(&h) }

func keySet(t *testing.T, kids ...string) []byte {
	t.Helper()
	set := struct {
		Keys []jwk.Key `json:"keys"`
	}{Keys: []jwk.Key{}}
	for _, kid := range kids {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		key, err := jwk.New(&private.PublicKey)
		require.NoError(t, err)
		key.Kid = kid
		set.Keys = append(set.Keys, key)
	}
	text, err := json.Marshal(set)
	require.NoError(t, err)
	return text
}

// at is a clock that tests set.
type at struct{ ns atomic.Int64 }

func (a *at) now() time.Time        { return time.Unix(1_900_000_000, a.ns.Load()) }
func (a *at) pass(by time.Duration) { a.ns.Add(int64(by)) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func newKeys(i *issuer, allowed []netip.Prefix) (*Keys, *at) {
	clock := &at{}
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	return New(Config{AllowedNetworks: allowed, Roots: pool, Clock: clock.now}), clock
}

func (k *Keys) kids(t *testing.T, of Source, kid string) string {
	t.Helper()
	found, err := k.Get(t.Context(), "org_1", false, of, kid)
	require.NoError(t, err)
	var all []string
	for _, v := range found {
		all = append(all, v.Kid)
	}
	return strings.Join(all, " ")
}

// TestKeysFollowTheirIssuer: kept while they are fresh, asked for again because
// of an unknown id at most once in 30 s, and the last good ones stay when the
// issuer fails.
func TestKeysFollowTheirIssuer(t *testing.T) {
	i := newIssuer(t, "a")
	k, clock := newKeys(i, loopback)
	of := Source{Issuer: i.URL}
	require.Equal(t, "a", k.kids(t, of, "a"))
	require.Equal(t, "a", k.kids(t, of, ""))
	require.EqualValues(t, 1, i.fetches.Load())

	i.kids.Store(&[]string{"a", "b"}) // it rotates
	require.Equal(t, "a", k.kids(t, of, "b"), "asked a moment ago")
	require.EqualValues(t, 1, i.fetches.Load())
	clock.pass(again)
	require.Equal(t, "a b", k.kids(t, of, "b"))
	require.Equal(t, "a b", k.kids(t, of, "nobody's"))
	require.Equal(t, "a b", k.kids(t, of, "nobody's either"))
	require.EqualValues(t, 2, i.fetches.Load(), "unknown ids lead to one fetch")

	for name, wrong := range map[string]http.HandlerFunc{
		"500":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"html":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		},
		"too many keys": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(keySet(t, strings.Fields(strings.Repeat("k ", maxKeys+1))...))
		},
	} {
		i.answers(wrong)
		clock.pass(minFresh + 5*time.Minute)
		before := i.fetches.Load()
		require.Equal(t, "a b", k.kids(t, of, "a"), name)
		require.Equal(t, before+1, i.fetches.Load(), name)
		require.Equal(t, "a b", k.kids(t, of, "c"), name)
		require.Equal(t, before+1, i.fetches.Load(), name)
	}
	clock.pass(lastGood)
	_, err := k.Get(t.Context(), "org_1", false, of, "a")
	require.Error(t, err, "after a day they are good no more")
}

// TestWhatIsNeededIsToldBeforehand: what [Keys.Get] would have to do, without
// doing it.
func TestWhatIsNeededIsToldBeforehand(t *testing.T) {
	i := newIssuer(t, "a")
	k, clock := newKeys(i, loopback)
	of := Source{Issuer: i.URL}
	need := func(kid string) Need {
		_, need, err := k.InMemory(of, kid)
		require.NoError(t, err)
		return need
	}
	require.Equal(t, Load, need("a"))
	require.Empty(t, k.sources, "asking leaves nothing")
	require.Equal(t, "a", k.kids(t, of, "a"))
	require.Equal(t, NoNeed, need("a"))
	require.Equal(t, NoNeed, need("b"), "asked a moment ago")
	clock.pass(again)
	require.Equal(t, Search, need("b"))
	keys, _, err := k.InMemory(of, "")
	require.NoError(t, err)
	require.Equal(t, "a", keys[0].Kid)
	clock.pass(10 * time.Minute)
	require.Equal(t, Refresh, need("a"))
	require.EqualValues(t, 1, i.fetches.Load())

	i.answers(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	other := Source{URL: i.URL + "/keys"}
	_, err = k.Get(t.Context(), "org_1", false, other, "a")
	require.Error(t, err)
	_, known, again := k.InMemory(other, "a")
	require.Equal(t, NoNeed, known)
	require.Equal(t, err, again)
}

// TestASlowIssuerIsGivenUp, and all who ask for it meanwhile wait for one
// fetch.
func TestASlowIssuerIsGivenUp(t *testing.T) {
	i := newIssuer(t, "a")
	i.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	k, _ := newKeys(i, loopback)
	began := time.Now()
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			_, err := k.Get(t.Context(), "org_1", false, Source{Issuer: i.URL}, "a")
			if err == nil || !strings.Contains(err.Error(), "within 3s") {
				t.Error("expected a timeout, got", err)
			}
		})
	}
	wait.Wait()
	require.EqualValues(t, 1, i.fetches.Load())
	require.Less(t, time.Since(began), 3*fetchTimeout)
}

// TestMetadataMustBeTheIssuers is OpenID Connect Discovery 1.0 §4.3.
func TestMetadataMustBeTheIssuers(t *testing.T) {
	i := newIssuer(t, "a")
	other := i.URL + "/"
	i.said.Store(&other)
	k, _ := newKeys(i, loopback)
	_, err := k.Get(t.Context(), "org_1", false, Source{Issuer: i.URL}, "a")
	require.ErrorContains(t, err, "must be the same, to the letter")
	require.EqualValues(t, 0, i.fetches.Load())
	require.Equal(t, "a", k.kids(t, Source{Issuer: other}, "a"), "a slash at the end is part of the name")
}

// TestSpecialNetworksAreRefused: whatever the name resolves to, and whether one
// of several addresses is public.
func TestSpecialNetworksAreRefused(t *testing.T) {
	i := newIssuer(t, "a")
	refused := "does not call"
	k, _ := newKeys(i, nil)
	_, err := k.Get(t.Context(), "org_1", false, Source{Issuer: i.URL}, "a")
	require.ErrorContains(t, err, refused, "loopback that nobody has allowed")
	for _, addrs := range []string{
		"127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.1.2.3", "192.168.0.1", "172.31.0.1", "0.0.0.0",
		"100.64.0.1", "fd00::1", "fe80::1%eth0", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "224.0.0.1",
		"255.255.255.255", "ff02::1", "192.88.99.1", "2001:db8::1", "8.8.8.8 127.0.0.1", "8.8.8.8 fd00::1",
	} {
		k, _ := newKeys(i, nil)
		k.network.lookup = func(context.Context, string, string) (all []netip.Addr, err error) {
			for _, text := range strings.Fields(addrs) {
				all = append(all, netip.MustParseAddr(text))
			}
			return all, nil
		}
		_, err := k.Get(t.Context(), "org_1", false, Source{URL: "https://keys.example/set"}, "")
		require.ErrorContains(t, err, refused, addrs)
		require.EqualValues(t, 0, i.fetches.Load(), addrs)
	}
	n := network{}
	for _, public := range []string{"8.8.8.8", "1.1.1.1", "2606:4700::1", "172.32.0.1", "11.0.0.1"} {
		require.NoError(t, n.mayReach(netip.MustParseAddr(public)))
	}
	require.Error(t, n.control(t.Context(), "tcp", "127.0.0.1:443", nil), "looked at again just before connecting")
}

// TestOnlyHTTPS: http is for loopback, and only where the operator allows that.
func TestOnlyHTTPS(t *testing.T) {
	plainServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(keySet(t, "a"))
	}))
	t.Cleanup(plainServer.Close)
	k := New(Config{AllowedNetworks: loopback})
	require.Equal(t, "a", k.kids(t, Source{URL: plainServer.URL}, ""))
	_, err := New(Config{}).Get(t.Context(), "org_1", false, Source{URL: plainServer.URL}, "")
	require.Error(t, err)
	for _, address := range []string{
		"http://keys.example/", "https://user:word@keys.example/", "https://keys.example/#f", "file:///etc/passwd", "",
		"gopher://keys.example",
	} {
		_, err := k.Get(t.Context(), "org_1", false, Source{URL: address}, "")
		require.Error(t, err, address)
	}
}

// TestNoProxyOfTheEnvironment: its address would be the one that is looked at.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	i := newIssuer(t, "a")
	called := false
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	k, _ := newKeys(i, loopback)
	k.network.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, errors.New("nobody")
	}
	_, err := k.Get(t.Context(), "org_1", false, Source{URL: "https://keys.example/"}, "")
	require.ErrorContains(t, err, "could not be resolved")
	require.False(t, called)
}

// TestOneOrganizationDoesNotPushOutOthers: memory and fetches are bounded, and
// who brings many sources loses its own.
func TestOneOrganizationDoesNotPushOutOthers(t *testing.T) {
	i := newIssuer(t, "a")
	k, _ := newKeys(i, loopback)
	require.Equal(t, "a", k.kids(t, Source{Issuer: i.URL}, "a"))
	for n := range 3 * maxSources {
		k.mu.Lock()
		k.find(Source{URL: fmt.Sprint("https://many.example/", n)}, "org_2")
		k.mu.Unlock()
	}
	require.Len(t, k.sources, maxSourcesOf+1)
	require.Equal(t, "a", k.kids(t, Source{Issuer: i.URL}, "a"))
	require.EqualValues(t, 1, i.fetches.Load())
	for n := range 3 * maxSources {
		k.mu.Lock()
		k.find(Source{URL: fmt.Sprint("https://others.example/", n)}, fmt.Sprint("org_", n))
		k.mu.Unlock()
	}
	require.Len(t, k.sources, maxSources)
	require.Equal(t, maxSources, k.order.Len())
	require.LessOrEqual(t, len(k.owned), maxSources)
}

// TestWhoseSourcesFitInNoMemoryAsksNoOftener: what pushes out its own sources,
// and with them when they were asked, does not make this server flood another.
func TestWhoseSourcesFitInNoMemoryAsksNoOftener(t *testing.T) {
	i := newIssuer(t, "a")
	i.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	k, clock := newKeys(i, loopback)
	ask := func(org string) error {
		for n := range 3 * maxSourcesOf {
			_, err := k.Get(t.Context(), org, false, Source{URL: fmt.Sprint(i.URL, "/keys?", n)}, "a")
			require.Error(t, err)
			if n == 3*maxSourcesOf-1 {
				return err
			}
		}
		return nil
	}
	require.ErrorIs(t, ask("org_1"), errBusy)
	first := i.fetches.Load()
	require.GreaterOrEqual(t, first, int64(maxSourcesOf), "all that fit in memory are asked at once")
	require.Less(t, first, int64(3*maxSourcesOf))
	clock.pass(againEmpty)
	require.ErrorIs(t, ask("org_1"), errBusy)
	require.LessOrEqual(t, i.fetches.Load()-first, int64(maxSourcesOf), "as often as those in memory may be")
	_, err := k.Get(t.Context(), "org_2", false, Source{URL: i.URL + "/keys"}, "a")
	require.ErrorContains(t, err, "404", "another organization does not notice")
}

// TestLastGoodKeysNeedNoRoomToWait: strangers may send so many tokens of an
// issuer that hangs that nobody else finds room to wait for it.
func TestLastGoodKeysNeedNoRoomToWait(t *testing.T) {
	i := newIssuer(t, "a")
	k, clock := newKeys(i, loopback)
	of := Source{URL: i.URL + "/keys"}
	require.Equal(t, "a", k.kids(t, of, "a"))
	hung := make(chan struct{})
	defer close(hung)
	i.answers(func(http.ResponseWriter, *http.Request) { <-hung })
	clock.pass(lastGood / 2)
	require.True(t, k.waiting.Take("org_1", maxWaitingOf, false))
	require.Equal(t, "a", k.kids(t, of, "a"))
	_, err := k.Get(t.Context(), "org_1", false, Source{URL: i.URL + "/others"}, "a")
	require.ErrorIs(t, err, errBusy)
}

// TestErrorsNameNoAddress: neither that of a host, which only this server's
// resolver may know, nor this server's own.
func TestErrorsNameNoAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
	}()
	of := Source{URL: "https://" + listener.Addr().String()}
	_, err = New(Config{AllowedNetworks: loopback}).Get(t.Context(), "org_1", false, of, "")
	require.ErrorContains(t, err, "reset")
	require.NotContains(t, err.Error(), "127.0.0.1")
	require.NoError(t, listener.Close())
	_, err = New(Config{AllowedNetworks: loopback}).Get(t.Context(), "org_1", false, of, "")
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "127.0.0.1")
}
