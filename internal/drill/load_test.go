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
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// load keeps a stack busy and writes down what the server acknowledged.
type load struct {
	*stack
	cancel context.CancelFunc
	done   sync.WaitGroup
	phase  atomic.Pointer[phase]

	mu       sync.Mutex
	accounts []svcauth.ServiceAccount // acknowledged creations, with secrets and roles
	revoked  []*revocation            // acknowledged
	denied   []string                 // what must never happen, in words
}

// phase is what happens between two moments.
type phase struct {
	requests, failures atomic.Int64
	outage             outage
	mu                 sync.Mutex
	worst              time.Duration // how long after its acknowledgement a revoked token was last accepted
}

// outage is the longest time in which no token request succeeded.
type outage struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (o *outage) ok(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.longest, o.last = max(o.longest, now.Sub(o.last)), now
}

func newPhase() *phase {
	p := &phase{}
	p.outage.last = time.Now()
	return p
}

func (p *phase) accepted(late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worst = max(p.worst, late)
}

type revocation struct {
	token string
	acked time.Time
	since *phase
	quiet time.Time // when it was first refused everywhere; zero: not yet
}

// newLoad makes the accounts that fetch tokens, and starts the workers. They end with the test at the latest.
func newLoad(s *stack) *load {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stack: s, cancel: cancel}
	l.phase.Store(newPhase())
	for i := range 20 {
		l.create(ctx, fmt.Sprint("drill ", i))
	}
	require.Len(s.t, l.accounts, 20)
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
	run(50*time.Millisecond, l.revoke)
	run(20*time.Millisecond, l.watch)
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
func (l *load) post(ctx context.Context, via *http.Client, path string, a svcauth.ServiceAccount, form url.Values) (status int, body map[string]any, err error) {
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

func (l *load) account(i int) svcauth.ServiceAccount {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accounts[i%min(20, len(l.accounts))]
}

// token fetches one; empty: none was given. A right secret must never be called wrong.
func (l *load) token(ctx context.Context, a svcauth.ServiceAccount) string {
	p := l.phase.Load()
	p.requests.Add(1)
	status, body, err := l.post(ctx, l.front, "/oauth2/token", a, url.Values{"grant_type": {"client_credentials"}})
	if ctx.Err() != nil {
		return ""
	}
	if err != nil || status != http.StatusOK {
		p.failures.Add(1)
		if status == http.StatusUnauthorized || status == http.StatusBadRequest {
			l.never("a right secret of %s was refused: %d %v", a.Name, status, body["error_description"])
		}
		return ""
	}
	p.outage.ok(time.Now())
	text, _ := body["access_token"].(string)
	return text
}

// fetch gets a token and shows it to a resource server, which must take it, unless it fails closed.
func (l *load) fetch(ctx context.Context, i int) {
	text := l.token(ctx, l.account(i))
	if text == "" {
		return
	}
	v := l.verifiers[i%len(l.verifiers)]
	if _, err := v.Verify(ctx, text); err != nil && ctx.Err() == nil && !closed(err) {
		l.never("a token that nobody revoked was refused: %v", err)
	}
}

func closed(err error) bool {
	var refusal *resourceserver.Error
	return errors.As(err, &refusal) && refusal.Code == resourceserver.CodeUnavailable
}

// create makes a service account with a role. What was not acknowledged may be there or not.
func (l *load) create(ctx context.Context, name string) {
	a, err := l.admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: name + " " + svcauth.NewID("x"), RoleIDs: []string{l.role.ID}})
	if err != nil {
		return
	}
	l.mu.Lock()
	l.accounts = append(l.accounts, a)
	l.mu.Unlock()
}

// revoke gets a token, has it accepted, and revokes it.
func (l *load) revoke(ctx context.Context, i int) {
	a := l.account(i)
	text := l.token(ctx, a)
	if text == "" {
		return
	}
	p := l.phase.Load()
	p.requests.Add(1)
	status, _, err := l.post(ctx, l.front, "/oauth2/revoke", a, url.Values{"token": {text}})
	switch {
	case ctx.Err() != nil:
	case err != nil || status != http.StatusOK:
		p.failures.Add(1)
	default:
		l.mu.Lock()
		l.revoked = append(l.revoked, &revocation{token: text, acked: time.Now(), since: p})
		l.mu.Unlock()
	}
}

// watch shows each young revocation to every resource server, until all refuse it.
func (l *load) watch(ctx context.Context, _ int) {
	l.mu.Lock()
	var young []*revocation
	for i := len(l.revoked) - 1; i >= 0 && len(young) < 400; i-- {
		if l.revoked[i].quiet.IsZero() {
			young = append(young, l.revoked[i])
		}
	}
	l.mu.Unlock()
	for _, r := range young {
		if l.accepted(ctx, r) {
			r.since.accepted(time.Since(r.acked))
			continue
		}
		l.mu.Lock()
		r.quiet = time.Now()
		l.mu.Unlock()
	}
}

func (l *load) accepted(ctx context.Context, r *revocation) bool {
	for _, v := range l.verifiers {
		if _, err := v.Verify(ctx, r.token); err == nil && ctx.Err() == nil {
			return true
		}
	}
	return false
}

// check goes through all that was acknowledged, when the faults are over: nothing may be missing, nothing that is dead may live.
func check(t testing.TB, l *load) {
	t.Helper()
	l.stop()
	ctx := t.Context()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.accounts {
		got, err := l.admin.ServiceAccount(ctx, a.ID)
		require.NoError(t, err, "the account %s was acknowledged", a.Name)
		require.Len(t, got.Roles, 1, "the grant of %s was acknowledged", a.Name)
		require.Len(t, got.Secrets, 1)
	}
	for i := 0; i < len(l.accounts); i += 1 + len(l.accounts)/50 {
		status, _, err := l.post(ctx, l.front, "/oauth2/token", l.accounts[i], url.Values{"grant_type": {"client_credentials"}})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, "the secret of %s was acknowledged", l.accounts[i].Name)
	}
	created := map[string]bool{}
	for event, err := range svcauth.All(ctx, func(ctx context.Context, cursor string) (svcauth.List[svcauth.AuditEvent], error) {
		return l.admin.AuditEvents(ctx, svcauth.AuditFilter{ListOptions: svcauth.ListOptions{Cursor: cursor, Limit: svcauth.MaxPageSize}, Action: "service_account.create"})
	}) {
		require.NoError(t, err)
		created[event.Target.ID] = true
	}
	for _, a := range l.accounts {
		require.True(t, created[a.ID], "the audit log tells of %s", a.Name)
	}
	for _, r := range l.revoked {
		require.False(t, l.accepted(ctx, r), "a token revoked at %v is accepted at the end", r.acked)
	}
	for i := 0; i < len(l.revoked); i += 1 + len(l.revoked)/50 {
		for _, n := range l.nodes {
			status, body, err := l.post(ctx, pinnedTo(n), "/oauth2/introspect", l.accounts[0], url.Values{"token": {l.revoked[i].token}})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, false, body["active"])
		}
	}
	require.Empty(t, l.denied)
}
