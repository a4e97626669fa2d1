package console_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// fewPlaces has strangers come from as many networks as a test likes, to a
// server that has few requests in work at once.
var fewPlaces = []string{fmt.Sprint("SVCAUTH_LIMITS_MAX_INFLIGHT=", places), "SVCAUTH_TRUSTED_PROXIES=127.0.0.0/8"}

const (
	places = 32
	// How many may wait for the provider, see providerWaiters.
	mostWaiting       = 64
	mostOfOneNetwork  = 16
	tellsToComeLater  = "Too many sign-ins are waiting"
	tellsNotBegunHere = "not begun in this browser"
)

// silence accepts connections and never answers.
type silence struct {
	url      string
	accepted atomic.Int64
}

func newSilence(t *testing.T) *silence {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &silence{url: "http://" + l.Addr().String()}
	go func() {
		var kept []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				for _, conn := range kept {
					_ = conn.Close()
				}
				return
			}
			s.accepted.Add(1)
			kept = append(kept, conn)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return s
}

func (s *silence) environ() []string {
	return append([]string{"SVCAUTH_OIDC_ISSUER=" + s.url, "SVCAUTH_OIDC_CLIENT_ID=" + oidcClient}, fewPlaces...)
}

// from asks for a page from the nth network.
func (p *person) from(ctx context.Context, n int, path string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.s.URL+path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Forwarded-For", network(n))
	resp, err := p.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(raw)}, err
}

func network(n int) string { return fmt.Sprintf("198.51.%d.%d", n>>8, n&255) }

// crowd has strangers ask at once and gives their answers as they come. Who
// finds all places taken asks again.
func crowd(ctx context.Context, count int, ask func(ctx context.Context, n int) (answer, error)) <-chan answer {
	answers := make(chan answer, count)
	for n := range count {
		go func() {
			for {
				a, err := ask(ctx, n)
				switch {
				case err != nil:
					return
				case !a.busy():
					answers <- a
					return
				}
			}
		}()
		time.Sleep(2 * time.Millisecond) // few at a time, so that most find a place
	}
	return answers
}

// busy reports whether the server had no place for the request.
func (a answer) busy() bool {
	return a.status == http.StatusServiceUnavailable &&
		!strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
}

// take waits for some answers. While it does, clients get their tokens.
func take(t *testing.T, s *svctest.Server, answers <-chan answer, count int) (all []answer) {
	t.Helper()
	for range count {
		select {
		case a := <-answers:
			all = append(all, a)
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d answers came", len(all), count)
		}
	}
	for range 20 {
		key := s.Tenant.ApplicationKey
		a := s.Post("/oauth2/token", key.ClientID, key.ClientSecret, url.Values{"grant_type": {"client_credentials"}})
		require.Equal(t, http.StatusOK, a.Status, "a token: %s", a.Text)
	}
	return all
}

func requireLater(t *testing.T, answers []answer) {
	t.Helper()
	for _, a := range answers {
		require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
		require.Equal(t, "5", a.header.Get("Retry-After"))
		require.Contains(t, a.header.Get("Content-Type"), "text/html")
		require.Contains(t, a.body, tellsToComeLater)
	}
}

// A provider that never answers costs one connection and few waiting requests,
// whoever comes, and none of the places among the requests in work.
func TestVisitorsOfAProviderThatNeverAnswers(t *testing.T) {
	for name, c := range map[string]struct{ networks, waiting int }{
		"from many networks": {1 << 16, mostWaiting},
		"from one network":   {1, mostOfOneNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newSilence(t)
			s := svctest.New(t, svctest.Options{Environ: provider.environ()})
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			const visitors = 80
			answers := crowd(ctx, visitors, func(ctx context.Context, n int) (answer, error) {
				return visit(t, s).from(ctx, n%c.networks, "/console/sign-in/provider")
			})
			requireLater(t, take(t, s, answers, visitors-c.waiting))
			require.Empty(t, answers, "the others wait")
			require.EqualValues(t, 1, provider.accepted.Load())
		})
	}
}

// Who has not begun here costs the provider nothing, and the server neither
// place nor database.
func TestForgedAnswersOfAProvider(t *testing.T) {
	provider := newSilence(t)
	s := svctest.New(t, svctest.Options{Environ: provider.environ()})
	forged, err := json.Marshal(map[string]any{
		"state":    strings.Repeat("s", 26),
		"nonce":    strings.Repeat("n", 26),
		"verifier": strings.Repeat("v", 43),
		"ends":     1 << 40,
	})
	require.NoError(t, err)
	ask := func(ctx context.Context, n int) (answer, error) {
		p := visit(t, s)
		cookie := &http.Cookie{Name: "svcauth-oidc", Value: base64.RawURLEncoding.EncodeToString(forged)}
		switch n % 3 {
		case 1:
			cookie.Value = cookie.Value + strings.Repeat("A", 1000)
		case 2:
			cookie.Value = "?"
		}
		u, err := url.Parse(s.URL)
		if err != nil {
			return answer{}, err
		}
		p.http.Jar.SetCookies(u, []*http.Cookie{cookie})
		return p.from(ctx, n, "/console/sign-in/callback?code=x&state="+strings.Repeat("s", 26))
	}
	for _, a := range take(t, s, crowd(t.Context(), 110, ask), 110) {
		require.Equal(t, http.StatusUnauthorized, a.status, a.body)
		require.Contains(t, a.body, tellsNotBegunHere)
	}
	require.Zero(t, provider.accepted.Load())
}

// An attempt is good for what it was made for: this server, this state, ten
// minutes.
func TestAttemptsThatAreNoneAnyMore(t *testing.T) {
	provider := newOpenID(t, true)
	var ahead atomic.Int64
	s := svctest.New(t, svctest.Options{
		Environ: provider.environ(),
		Clock:   func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	attempt := func(p *person) *http.Cookie {
		for _, c := range p.http.Jar.Cookies(u) {
			if c.Name == "svcauth-oidc" {
				return c
			}
		}
		t.Fatal("there is no attempt")
		return nil
	}
	for name, spoil := range map[string]func(p *person){
		"changed": func(p *person) {
			c := attempt(p)
			last := "A"
			if strings.HasSuffix(c.Value[:len(c.Value)-2], "A") {
				last = "B"
			}
			c.Value = c.Value[:len(c.Value)-3] + last + c.Value[len(c.Value)-2:]
			p.http.Jar.SetCookies(u, []*http.Cookie{c})
		},
		"of another state": func(p *person) {
			other := visit(t, s)
			throughProvider(other, provider, "")
			p.http.Jar.SetCookies(u, []*http.Cookie{attempt(other)})
		},
		"too old": func(*person) { ahead.Store(int64(10*time.Minute + time.Second)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := visit(t, s)
			back := throughProvider(p, provider, "")
			require.NotContains(t, attempt(p).Value, back.Query().Get("state"))
			spoil(p)
			a := p.get(back.RequestURI())
			require.Equal(t, http.StatusUnauthorized, a.status, a.body)
			require.Contains(t, a.body, tellsNotBegunHere)
			provider.mu.Lock()
			defer provider.mu.Unlock()
			require.Contains(t, provider.codes, back.Query().Get("code"), "the provider was not asked")
			ahead.Store(0)
		})
	}
	p := visit(t, s)
	throughProvider(p, provider, "/console/members?q="+strings.Repeat("x", 5000))
	require.Less(t, len(attempt(p).Value), 4000, "browsers keep no more")
}

// A provider that hangs when a code is redeemed has few requests wait for it,
// and when it goes on they go on.
func TestProviderThatHangsOverACode(t *testing.T) {
	provider := newOpenID(t, true)
	provider.hang = make(chan struct{})
	goOn := sync.OnceFunc(func() { close(provider.hang) })
	t.Cleanup(goOn) // before the provider waits for its requests
	s := svctest.New(t, svctest.Options{Environ: append(provider.environ(), fewPlaces...)})
	_, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{
		Email:     "ann@example.com",
		FirstName: "Ann",
		LastName:  "Example",
	})
	require.NoError(t, err)
	const visitors = 80
	var people []*person
	var answers []string
	for range visitors {
		p := visit(t, s)
		people, answers = append(people, p), append(answers, throughProvider(p, provider, "").RequestURI())
	}
	got := crowd(t.Context(), visitors, func(ctx context.Context, n int) (answer, error) {
		return people[n].from(ctx, n, answers[n])
	})
	requireLater(t, take(t, s, got, visitors-mostWaiting))
	require.Empty(t, got, "the others wait")
	goOn()
	for _, a := range take(t, s, got, mostWaiting) {
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
	}
}

// A provider that has failed is left alone for a moment, and asked again then.
func TestProviderThatFailsIsLeftAlone(t *testing.T) {
	provider := newOpenID(t, true)
	var asked, ahead atomic.Int64
	fails := atomic.Bool{}
	fails.Store(true)
	working := provider.server.Config.Handler
	provider.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if fails.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		working.ServeHTTP(w, r)
	})
	s := svctest.New(t, svctest.Options{
		Environ: provider.environ(),
		Clock:   func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	for range 10 {
		a := visit(t, s).get("/console/sign-in/provider")
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.Equal(t, "5", a.header.Get("Retry-After"))
		require.Contains(t, a.body, "The provider of single sign-on is not available.")
	}
	require.EqualValues(t, 1, asked.Load())
	require.Equal(t, 1, strings.Count(s.Log(), "metadata could not be fetched"))
	fails.Store(false)
	ahead.Store(int64(5 * time.Second))
	for range 10 {
		require.Equal(t, http.StatusSeeOther, visit(t, s).get("/console/sign-in/provider").status)
	}
	require.EqualValues(t, 2, asked.Load())
}

// A provider over TLS can't send what is secret elsewhere in clear.
func TestProviderThatNamesAnEndpointInClear(t *testing.T) {
	provider := newOpenID(t, true)
	provider.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		at := provider.server.URL
		writeJSON(w, 200, map[string]any{
			"issuer":                 at,
			"authorization_endpoint": at + "/authorize",
			"token_endpoint":         "http://127.0.0.1:1/token",
			"jwks_uri":               at + "/keys",
		})
	})
	s := svctest.New(t, svctest.Options{Environ: provider.environ()})
	require.Equal(t, http.StatusServiceUnavailable, visit(t, s).get("/console/sign-in/provider").status)
	require.Contains(t, s.Log(), "expected https, as the issuer is")
}

// Passwords that wait for their turn, or for the time of their answer, hold no
// places either.
func TestPasswordsWaitWithoutAPlace(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: fewPlaces})
	const guesses = 120
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	answers := crowd(ctx, guesses, func(ctx context.Context, n int) (answer, error) {
		form := url.Values{"email": {fmt.Sprint("nobody", n, "@example.com")}, "password": {"not what was chosen"}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/console/sign-in",
			strings.NewReader(form.Encode()))
		if err != nil {
			return answer{}, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", network(n))
		resp, err := s.HTTP.Do(req)
		if err != nil {
			return answer{}, err
		}
		return answer{status: resp.StatusCode, header: resp.Header}, resp.Body.Close()
	})
	take(t, s, answers, 0)
	require.Greater(t, guesses-len(answers), places, "more wait than there are places")
}
