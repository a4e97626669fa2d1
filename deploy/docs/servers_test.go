package docs_test

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
)

const audience = "https://api.cloud.example" // of the built-in catalogue

// front is a svcauth that the programs reach through proxies, one each: they
// end TLS, keep what was asked, and change an answer where the test says so.
type front struct {
	server *svctest.Server
	plain  *svctest.Server // without TLS, as `make run` starts it
	caFile string
	proxy  *httptest.Server
	mutual *httptest.Server // another that asks for certificates, and hands them on
	api    *httptest.Server
	issued *certtest.Authority
	kafka  *broker

	mu    sync.Mutex
	plans map[string]*plan // by client ID as it was sent
}

// plan is what shall become of one client's token requests, and what they were.
type plan struct {
	unavailable int // so many are answered 503 with Retry-After
	expiresIn   int // stands in the answer instead of the true number, unless 0

	requests []asked
	calls    int // of the API
}

// asked is a token request as it came.
type asked struct {
	credential string // Basic, or body
	id, secret string // of Basic as they stand in the header, before any decoding of theirs
	form       url.Values
	at         time.Time
}

func newFront(t *testing.T) *front {
	f := &front{plans: map[string]*plan{}, kafka: newBroker(t), issued: certtest.New(t, "clients")}
	quiet := log.New(io.Discard, "", 0)
	f.proxy, f.mutual = httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	f.proxy.Config.ErrorLog, f.mutual.Config.ErrorLog = quiet, quiet
	issuer := "https://" + f.proxy.Listener.Addr().String()
	f.server = svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=" + issuer,
		"SVCAUTH_TRUSTED_PROXIES=127.0.0.1", "SVCAUTH_TLS_CLIENT_CERT_HEADER=Client-Cert",
		"SVCAUTH_TLS_MTLS_URL=https://" + f.mutual.Listener.Addr().String(),
		"SVCAUTH_TLS_CLIENT_CA_FILE=" + f.issued.File(t)}})
	f.plain = svctest.New(t, svctest.Options{})
	target, err := url.Parse(f.server.URL)
	require.NoError(t, err)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if shown := r.In.TLS.PeerCertificates; len(shown) > 0 {
			r.Out.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(shown[0].Raw)+":")
		}
	}, ModifyResponse: f.change}
	f.mutual.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	for _, proxy := range []*httptest.Server{f.proxy, f.mutual} {
		proxy.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.ask(w, r, forward) })
		proxy.StartTLS()
		t.Cleanup(proxy.Close)
	}

	f.caFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(f.caFile,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.proxy.Certificate().Raw}), 0o600))
	verifier, err := resourceserver.New(resourceserver.Config{Issuer: issuer, Audience: audience,
		HTTPClient: f.proxy.Client()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	f.api = httptest.NewUnstartedServer(verifier.Require("clusters:view")(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		caller, _ := resourceserver.PrincipalFrom(r.Context())
		f.call(caller.ClientID)
		_, _ = io.WriteString(w, "hello "+caller.ClientID+"\n")
	})))
	f.api.Config.ErrorLog = quiet
	f.api.StartTLS() // the certificate of the proxy: httptest has but one
	t.Cleanup(f.api.Close)
	return f
}

// client makes a service account whose requests follow the plan.
func (f *front) client(p plan) (id, secret string, kept *plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	account := f.server.Account(fmt.Sprint("client ", len(f.plans)), "clusters:view", "clusters:edit")
	kept = &p
	f.plans[account.ClientID] = kept
	return account.ClientID, account.ClientSecret.Reveal(), kept
}

// stranger lets the requests of an ID that no account has be looked at.
func (f *front) stranger(id string) *plan {
	kept := &plan{}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans[id] = kept
	return kept
}

// ask keeps a token request, and forwards it unless the plan says otherwise.
func (f *front) ask(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	if r.URL.Path != "/oauth2/token" {
		forward.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	form, _ := url.ParseQuery(string(body))
	a := asked{credential: "body", id: form.Get("client_id"), secret: form.Get("client_secret"), form: form,
		at: time.Now()}
	if id, secret, ok := r.BasicAuth(); ok {
		a.credential, a.id, a.secret = "Basic", id, secret
	} else if a.id == "" { // it stands in what proves the client
		a.id = audienceOrIssuer(form)
	}
	if f.refuse(a) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, `{"error":"temporarily_unavailable","error_description":"the test is busy"}`,
			http.StatusServiceUnavailable)
		return
	}
	forward.ServeHTTP(w, r)
}

func (f *front) plan(id string) *plan {
	if decoded, err := url.QueryUnescape(id); err == nil && f.plans[id] == nil {
		id = decoded
	}
	return f.plans[id]
}

func (f *front) refuse(a asked) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.plan(a.id)
	if p == nil {
		return false
	}
	p.requests = append(p.requests, a)
	return len(p.requests) <= p.unavailable
}

// change writes the plan's lifetime into an answer.
func (f *front) change(resp *http.Response) error {
	if resp.Request.URL.Path != "/oauth2/token" || resp.StatusCode != http.StatusOK {
		return nil
	}
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.plan(subject(answer["access_token"])); p != nil && p.expiresIn != 0 {
		answer["expires_in"] = p.expiresIn
	}
	body, err := json.Marshal(answer)
	resp.Header.Del("Content-Length")
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return err
}

// seen copies what was asked so far.
func (f *front) seen(p *plan) []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]asked(nil), p.requests...)
}

func (f *front) call(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.plans[id]; p != nil {
		p.calls++
	}
}

// called says how often a client has called the API.
func (f *front) called(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.plans[id]; p != nil {
		return p.calls
	}
	return 0
}
