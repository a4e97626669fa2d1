package tokensource

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// api is a resource server that accepts the tokens of its list, and answers
// with what it got as "<token> <body>".
type api struct {
	*httptest.Server
	good  atomic.Value // string: the one token
	calls atomic.Int32
}

func newAPI(t *testing.T, good string) *api {
	a := &api{}
	a.good.Store(good)
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer "+a.good.Load().(string) {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(r.Header.Get("Authorization") + " " + string(body)))
	}))
	t.Cleanup(a.Close)
	return a
}

func read(t *testing.T, res *http.Response, err error) string {
	t.Helper()
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	return string(body)
}

func TestTransportAddsTheToken(t *testing.T) {
	e, a := newEndpoint(t), newAPI(t, "token-1")
	client := &http.Client{Transport: e.source(t).Transport(a.Client().Transport)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL, strings.NewReader("hello"))
	require.NoError(t, err)
	res, err := client.Do(req)
	require.Equal(t, "Bearer token-1 hello", read(t, res, err))
	require.Empty(t, req.Header.Get("Authorization"), "a RoundTripper must not change its request")
	require.Empty(t, res.Request.Header.Get("Authorization"))
}

func TestTransportDropsARefusedTokenAndAsksOnceMore(t *testing.T) {
	e, a := newEndpoint(t), newAPI(t, "token-2")
	s := e.source(t)
	client := &http.Client{Transport: s.Transport(a.Client().Transport)}
	res, err := client.Post(a.URL, "text/plain", strings.NewReader("hello"))
	require.Equal(t, "Bearer token-2 hello", read(t, res, err))
	require.EqualValues(t, 2, a.calls.Load())
	require.Equal(t, 2, e.asked())

	a.good.Store("none that will ever be")
	res, err = client.Get(a.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.EqualValues(t, 4, a.calls.Load(), "once more, and not again")
	require.Equal(t, 3, e.asked())
}

func TestTransportSendsOnlyWhatCanBeSentAgain(t *testing.T) {
	e, a := newEndpoint(t), newAPI(t, "token-2")
	client := &http.Client{Transport: e.source(t).Transport(a.Client().Transport)}
	stream := func() io.Reader {
		return io.MultiReader(bytes.NewReader([]byte("stream")))
	} // net/http sets no GetBody for it
	res, err := client.Post(a.URL, "text/plain", stream())
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.EqualValues(t, 1, a.calls.Load())
	res, err = client.Post(a.URL, "text/plain", stream())
	require.Equal(t, "Bearer token-2 stream", read(t, res, err))
}

func TestTransportSaysWhyThereIsNoNewToken(t *testing.T) {
	e, a := newEndpoint(t), newAPI(t, "another")
	e.next(plain(200, `{"access_token":"revoked","token_type":"Bearer","expires_in":60}`),
		plain(401, `{"error":"invalid_client","error_description":"service account is disabled"}`))
	client := &http.Client{Transport: e.source(t).Transport(a.Client().Transport)}
	_, err := client.Get(a.URL)
	var refused *Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "service account is disabled", refused.Description)
	require.ErrorContains(t, err, "the API refused the token (401), and a new one could not be had")
}

type watched struct {
	io.Reader
	closed atomic.Bool
}

func (w *watched) Close() error { w.closed.Store(true); return nil }

func TestTransportClosesTheBodyWhenThereIsNoToken(t *testing.T) {
	e := newEndpoint(t)
	rt := e.source(t, func(c *Config) { c.ClientSecret = "wrong" }).Transport(nil)
	body := &watched{Reader: strings.NewReader("x")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL, body)
	require.NoError(t, err)
	_, err = rt.RoundTrip(req)
	require.Error(t, err)
	require.True(t, body.closed.Load())
}

func TestTransportUsesTheSourcesOwnTrust(t *testing.T) {
	e := newEndpoint(t)
	s := e.source(t) // with the test server's certificate
	res, err := (&http.Client{Transport: s.Transport(nil)}).Get(e.URL + "/.well-known/oauth-authorization-server")
	require.NotEmpty(t, read(t, res, err))
}

func TestTransportGivesNoTokenToAnotherHost(t *testing.T) {
	seen := make(chan string, 10)
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
	}))
	defer other.Close()
	a := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		to := map[string]string{"/": "/here", "/here": other.URL}[r.URL.Path]
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}))
	defer a.Close()
	e := newEndpoint(t)
	// httptest's servers share one certificate
	client := &http.Client{Transport: e.source(t).Transport(a.Client().Transport)}
	res, err := client.Get(a.URL + "/")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, []string{"Bearer token-1", "Bearer token-1", ""}, []string{<-seen, <-seen, <-seen})
}

// Nor does it when the other host sends the request back: it would choose what
// is asked for with the token.
func TestTransportGivesNoTokenToWhatAnotherHostChooses(t *testing.T) {
	seen := make(chan string, 10)
	var a *httptest.Server
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, a.URL+"/chosen", http.StatusTemporaryRedirect)
	}))
	defer other.Close()
	a = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		if r.URL.Path == "/" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer a.Close()
	client := &http.Client{Transport: newEndpoint(t).source(t).Transport(a.Client().Transport)}
	res, err := client.Get(a.URL + "/")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, []string{"Bearer token-1", ""}, []string{<-seen, <-seen})
}

func TestTransportPassesErrorsOn(t *testing.T) {
	e := newEndpoint(t)
	broken := errors.New("broken")
	rt := e.source(t).Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, broken }))
	req := httptest.NewRequest(http.MethodGet, "https://api.example.com", nil)
	req.Header = nil
	_, err := rt.RoundTrip(req)
	require.ErrorIs(t, err, broken)
	require.Equal(t, 1, e.asked(), "the token is kept")
}
