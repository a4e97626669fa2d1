package drill_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// clients is how many accounts fetch tokens all the while; nothing is ever
// taken from them.
const clients = 20

// load keeps a stack busy and writes down what the server acknowledged.
type load struct {
	*stack
	cancel context.CancelFunc
	done   sync.WaitGroup
	phase  atomic.Pointer[phase]
	// excused reports whether a resource server may refuse this token although
	// nobody revoked it: its signing key was, or the clock of who made it was
	// wrong.
	excused func(tokenParts) bool

	clockOff atomic.Bool // a node's clock is so wrong that svcauth itself refuses the tokens of the other

	mu      sync.Mutex
	clients []svcauth.ServiceAccount
	acts    []*act        // acknowledged changes
	lives   []*life       // the accounts of which they were
	revoked []*revocation // acknowledged deaths of tokens
	recent  []string      // the newest tokens of the clients, each accepted by a resource server
	denied  []string      // what must never happen, in words
}

// phase is what happens between two moments.
type phase struct {
	requests, failures atomic.Int64
	tokens             outage   // of token requests
	valid              []outage // of each resource server: of taking a valid token
	mu                 sync.Mutex
	late               time.Duration // how long after its acknowledgement something revoked was last accepted
}

// outage is the longest time without a success.
type outage struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (o *outage) ok() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.longest, o.last = max(o.longest, now.Sub(o.last)), now
}

// soFar counts the time since the last success too.
func (o *outage) soFar() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(o.longest, time.Since(o.last))
}

func newPhase(resourceServers int) *phase {
	p := &phase{valid: make([]outage, resourceServers)}
	p.tokens.last = time.Now()
	for i := range p.valid {
		p.valid[i].last = p.tokens.last
	}
	return p
}

func (p *phase) accepted(late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = max(p.late, late)
}

// revocation is a token that is dead since its end was acknowledged.
type revocation struct {
	token string
	acked time.Time
	since *phase
	quiet bool // refused everywhere
}

// newLoad makes the clients and starts the workers. They end with the test at
// the latest.
func newLoad(s *stack) *load {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stack: s, cancel: cancel, excused: func(tokenParts) bool { return false }}
	l.phase.Store(newPhase(len(s.verifiers)))
	for i := range clients {
		a := l.create(ctx, fmt.Sprint("client ", i))
		require.NotNil(s.t, a, "a client can be made before anything is broken")
		l.clients = append(l.clients, a.account)
	}
	run := func(every time.Duration, do func(context.Context, int)) {
		l.done.Add(1)
		go func() {
			defer l.done.Done()
			for i := 0; sleep(ctx, every); i++ {
				do(ctx, i)
			}
		}()
	}
	for range 4 {
		run(10*time.Millisecond, l.fetch)
	}
	run(100*time.Millisecond, func(ctx context.Context, i int) { l.create(ctx, fmt.Sprint("load ", i)) })
	run(100*time.Millisecond, l.live)
	run(50*time.Millisecond, l.revoke)
	run(20*time.Millisecond, l.watch)
	run(20*time.Millisecond, l.show)
	s.t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.done.Wait()
}

func (l *load) never(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.denied) < 20 {
		l.denied = append(l.denied, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// post sends a form as a client, through one HTTP client.
func (l *load) post(ctx context.Context, via *http.Client, path string, a svcauth.ServiceAccount,
	form url.Values) (status int, body map[string]any, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(a.ClientID, a.ClientSecret.Reveal())
	resp, err := via.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &body)
	}
	return resp.StatusCode, body, err
}

// token fetches one; empty: none was given. A right secret must never be called
// wrong.
func (l *load) token(ctx context.Context, a svcauth.ServiceAccount) string {
	p := l.phase.Load()
	p.requests.Add(1)
	status, body, err := l.post(ctx, l.front, "/oauth2/token", a, url.Values{"grant_type": {"client_credentials"}})
	if ctx.Err() != nil {
		return ""
	}
	if err != nil || status != http.StatusOK {
		p.failures.Add(1)
		if status != http.StatusServiceUnavailable && status != 0 {
			l.never("a right secret of %s was answered %d %v", a.Name, status, body)
		}
		return ""
	}
	text, _ := body["access_token"].(string)
	return text
}

// fetch gets a token and shows it to a resource server, which must take it,
// unless it fails closed.
func (l *load) fetch(ctx context.Context, i int) {
	text := l.token(ctx, l.clients[i%clients])
	if text == "" {
		return
	}
	l.phase.Load().tokens.ok()
	if l.takes(ctx, l.verifiers[i%len(l.verifiers)], text) {
		l.mu.Lock()
		l.recent = append(l.recent[max(0, len(l.recent)-199):], text)
		l.mu.Unlock()
	}
}

// takes reports whether a resource server takes a token that nobody revoked. It
// may fail closed, but call it wrong only if that is excused.
func (l *load) takes(ctx context.Context, v *resourceserver.Verifier, text string) bool {
	_, err := v.Verify(ctx, text)
	if err != nil && ctx.Err() == nil && !closed(err) && !l.mayRefuse(text) {
		l.never("a token that nobody revoked was refused: %v", err)
	}
	return err == nil
}

func (l *load) mayRefuse(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.excused(parts(text))
}

func (l *load) excuse(excused func(tokenParts) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.excused = excused
}

// tokenParts is what a token says of itself.
type tokenParts struct {
	kid      string
	issuedAt time.Time
}

func parts(text string) (p tokenParts) {
	claims := jwt.RegisteredClaims{}
	if token, _, err := jwt.NewParser().ParseUnverified(text, &claims); err == nil && claims.IssuedAt != nil {
		p.kid, _ = token.Header["kid"].(string)
		p.issuedAt = claims.IssuedAt.Time
	}
	return p
}

func closed(err error) bool {
	var refusal *resourceserver.Error
	return errors.As(err, &refusal) && refusal.Code == resourceserver.CodeUnavailable
}

// show shows a valid token to every resource server, also while nobody gets new
// ones.
func (l *load) show(ctx context.Context, _ int) {
	l.mu.Lock()
	text := ""
	for i := len(l.recent) - 1; i >= 0 && text == ""; i-- {
		if !l.excused(parts(l.recent[i])) {
			text = l.recent[i]
		}
	}
	l.mu.Unlock()
	if text == "" {
		return
	}
	p := l.phase.Load()
	for i, v := range l.verifiers {
		if l.takes(ctx, v, text) {
			p.valid[i].ok()
		}
	}
}
