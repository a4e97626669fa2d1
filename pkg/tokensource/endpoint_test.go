package tokensource

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// endpoint is a token endpoint written from RFC 6749 alone: it shares no code
// with the package under test.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	id       string
	secret   string
	lifetime any // of expires_in; nil: left out
	answers  []http.HandlerFunc
	forms    []url.Values
	headers  []http.Header
	lookups  int
	metadata func(w http.ResponseWriter, r *http.Request)
	hold     chan struct{} // when not nil: answers wait for it
	// proves, if it is set, says what is wrong with how a client authenticates.
	proves func(form url.Values, r *http.Request) error
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{id: "sa_01h455vb4pex5vsknk084sn02q", secret: "pass:wörd +/%&=?", lifetime: 3600}
	e.Server = httptest.NewUnstartedServer(e)
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/.well-known/") {
		e.serveMetadata(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(body))
	e.mu.Lock()
	e.forms, e.headers = append(e.forms, form), append(e.headers, r.Header.Clone())
	var scripted http.HandlerFunc
	if len(e.answers) > 0 {
		scripted, e.answers = e.answers[0], e.answers[1:]
	}
	number, hold, lifetime, id, secret, proves := len(e.forms), e.hold, e.lifetime, e.id, e.secret, e.proves
	e.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.Header().Set("Content-Type", "application/json")
	if scripted != nil {
		scripted(w, r)
		return
	}
	if r.Method != http.MethodPost || err != nil || r.URL.RawQuery != "" || r.URL.Path != "/oauth2/token" ||
		r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" ||
		form.Get("grant_type") != "client_credentials" || form.Has("refresh_token") {
		refuse(w, 400, "invalid_request", "not a token request")
		return
	}
	if proves != nil {
		if err := proves(form, r); err != nil {
			refuse(w, 401, "invalid_client", err.Error())
			return
		}
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	gotID, gotSecret := form.Get("client_id"), form.Get("client_secret")
	if basic, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Basic "); ok {
		raw, _ := base64.StdEncoding.DecodeString(basic)
		encID, encSecret, _ := strings.Cut(string(raw), ":")
		gotID, _ = url.QueryUnescape(encID)
		gotSecret, _ = url.QueryUnescape(encSecret)
	}
	if gotID != id || gotSecret != secret {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		refuse(w, 401, "invalid_client", "unknown client or wrong secret")
		return
	}
	answer := map[string]any{"access_token": fmt.Sprintf("token-%d", number), "token_type": "Bearer",
		"scope": "clusters:view", "refresh_token": "never-to-be-used"}
	if lifetime != nil {
		answer["expires_in"] = lifetime
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (e *endpoint) serveMetadata(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.lookups++
	custom := e.metadata
	e.mu.Unlock()
	if custom != nil {
		custom(w, r)
		return
	}
	issuer := e.URL + strings.TrimPrefix(r.URL.Path, "/.well-known/oauth-authorization-server")
	_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "token_endpoint": e.URL + "/oauth2/token"})
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}

// plain answers with a status, some headers ("name: value") and a body.
func plain(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func (e *endpoint) next(answers ...http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers = append(e.answers, answers...)
}

func (e *endpoint) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func (e *endpoint) asked() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.forms)
}

func (e *endpoint) last() (url.Values, http.Header) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.forms[len(e.forms)-1], e.headers[len(e.headers)-1]
}

func (e *endpoint) source(t *testing.T, change ...func(*Config)) *Source {
	t.Helper()
	config := Config{Issuer: e.URL, ClientID: e.id, ClientSecret: svcauth.Secret(e.secret), HTTPClient: e.Client()}
	for _, c := range change {
		c(&config)
	}
	s, err := New(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func failure(t *testing.T, s *Source) *Error {
	t.Helper()
	_, err := s.Token(soon(t))
	var e *Error
	require.ErrorAs(t, err, &e)
	return e
}
