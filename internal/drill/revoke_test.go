package drill_test

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// revoke gets a token and revokes it.
func (l *load) revoke(ctx context.Context, i int) {
	a := l.clients[i%clients]
	text := l.token(ctx, a)
	if text == "" {
		return
	}
	p := l.phase.Load()
	p.requests.Add(1)
	status, body, err := l.post(ctx, l.front, "/oauth2/revoke", a, url.Values{"token": {text}})
	switch {
	case ctx.Err() != nil:
	case err == nil && status == http.StatusOK:
		l.died(p, text)
	default:
		p.failures.Add(1)
		if status != http.StatusServiceUnavailable && status != 0 {
			l.never("the revocation of an own token was answered %d %v", status, body)
		}
	}
}

// died writes down that the death of these tokens is acknowledged now.
func (l *load) died(p *phase, tokens ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range tokens {
		if text != "" {
			l.revoked = append(l.revoked, &revocation{token: text, acked: time.Now(), since: p})
		}
	}
}

// watch shows what is dead to every resource server until all refuse it, and
// goes on for the newest.
func (l *load) watch(ctx context.Context, _ int) {
	l.mu.Lock()
	var young []*revocation
	for i := len(l.revoked) - 1; i >= 0 && len(young) < 400; i-- {
		if !l.revoked[i].quiet {
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
		r.quiet = true
		l.mu.Unlock()
	}
}

// reviewed looks once more at all that was refused: it must not come back, not
// even for a moment.
func (l *load) reviewed(ctx context.Context) {
	l.mu.Lock()
	all := l.revoked
	l.mu.Unlock()
	for _, r := range all {
		if r.quiet && l.accepted(ctx, r) {
			r.since.accepted(time.Since(r.acked))
		}
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
