package drill_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// check goes through all that was acknowledged, when the faults are over:
// nothing may be missing, nothing that is dead may live. What it finds missing
// is marked, and told by never.
func (l *load) check(ctx context.Context) {
	l.checkAudit(ctx)
	l.mu.Lock()
	lives, revoked := l.lives, l.revoked
	l.mu.Unlock()
	for i, one := range lives {
		l.checkLife(ctx, i, one)
	}
	for _, r := range revoked {
		if l.accepted(ctx, r) {
			l.never("a token that died at %s is accepted by a resource server at the end",
				r.acked.Format("15:04:05.000"))
		}
	}
	l.checkNewcomers(ctx, revoked)
	for i := 0; i < len(revoked); i += 1 + len(revoked)/200 {
		for _, n := range l.nodes {
			status, body, err := l.post(ctx, n.client, "/oauth2/introspect", l.clients[0],
				url.Values{"token": {revoked[i].token}})
			if err != nil || status != http.StatusOK || body["active"] != false {
				l.never("introspection of a token that died at %s: %d %v %v", revoked[i].acked.Format("15:04:05.000"),
					status, body["active"], err)
			}
		}
	}
}

// checkNewcomers has resource servers that know nothing yet learn from each
// node what is revoked: it must still be in the table.
func (l *load) checkNewcomers(ctx context.Context, revoked []*revocation) {
	known := l.verifiers
	l.verifiers = nil
	l.follow()
	newcomers := l.verifiers
	l.verifiers = known
	for _, r := range revoked {
		for i, v := range newcomers {
			if _, err := v.Verify(ctx, r.token); err == nil || closed(err) {
				l.never("a new resource server of node %d takes a token that died at %s: %v", i+1,
					r.acked.Format("15:04:05.000"), err)
			}
		}
	}
	for _, v := range newcomers {
		_ = v.Close()
	}
}

// lose marks an acknowledged change as lost.
func (l *load) lose(a *act, format string, args ...any) {
	if a != nil {
		a.lost = true
	}
	l.never(format, args...)
}

func (l *load) checkAudit(ctx context.Context) {
	type entry struct{ action, target string }
	told := map[entry]bool{}
	events := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.AuditEvent], error) {
		return l.admin.AuditEvents(ctx, svcauth.AuditFilter{ListOptions: o})
	}
	for event, err := range svcauth.All(ctx, events, svcauth.ListOptions{}) {
		if err != nil {
			l.never("the audit log can't be read: %v", err)
			return
		}
		told[entry{event.Action, event.Target.ID}] = true
	}
	for _, a := range l.acts {
		if !told[entry{a.action, a.target}] {
			l.lose(a, "the audit log does not tell of %s %s", a.action, a.target)
		}
	}
}

// checkLife reads an account and compares it with what was acknowledged of it.
// Of those that were only made, the secret of some is tried; of the others,
// each.
func (l *load) checkLife(ctx context.Context, i int, one *life) {
	got, err := l.admin.ServiceAccount(ctx, one.account.ID)
	var problem *svcauth.Problem
	gone := errors.As(err, &problem) && problem.Code == svcauth.CodeNotFound
	switch {
	case err != nil && !gone:
		l.never("account %s can't be read: %v", one.account.ID, err)
		return
	case gone:
		if one.state.what != deleted && !one.state.unsure {
			l.lose(one.state.act, "account %s was acknowledged and is gone", one.account.ID)
		}
	case one.state.what == deleted:
		l.lose(one.state.act, "account %s was deleted and is there", one.account.ID)
	case got.Disabled != (one.state.what == disabled) && !one.state.unsure:
		l.lose(one.state.act, "account %s: disabled is %t", one.account.ID, got.Disabled)
	}
	if !gone {
		l.checkParts(one, got)
	}
	if one.role.what == "" && one.secret.what == "" && i%20 != 0 {
		return
	}
	works := !gone && !got.Disabled
	l.checkSecret(ctx, one, one.account.ClientSecret, one.state.act, works)
	if one.secret.what != "" && !one.secret.unsure {
		l.checkSecret(ctx, one, one.second.ClientSecret, one.secret.act, works && one.secret.what == given)
	}
}

func (l *load) checkParts(one *life, got svcauth.ServiceAccount) {
	holds := func(id string) bool {
		return slices.ContainsFunc(got.Roles, func(r svcauth.Ref) bool { return r.ID == id })
	}
	if !holds(l.role.ID) {
		l.lose(one.state.act, "account %s has lost its first role", one.account.ID)
	}
	if one.role.what != "" && !one.role.unsure && holds(l.secondRole.ID) != (one.role.what == given) {
		l.lose(one.role.act, "account %s: its second role was %s, and it holds it: %t", one.account.ID, one.role.what,
			holds(l.secondRole.ID))
	}
	has := slices.ContainsFunc(got.Secrets, func(s svcauth.SecretInfo) bool { return s.ID == one.second.ID })
	if one.secret.what != "" && !one.secret.unsure && has != (one.secret.what == given) {
		l.lose(one.secret.act, "account %s: its second secret was %s, and it has it: %t", one.account.ID,
			one.secret.what, has)
	}
}

// checkSecret asks each node for a token.
func (l *load) checkSecret(ctx context.Context, one *life, secret svcauth.Secret, a *act, works bool) {
	with := one.account
	with.ClientSecret = secret
	for _, n := range l.nodes {
		status, body, err := l.post(ctx, n.client, "/oauth2/token", with,
			url.Values{"grant_type": {"client_credentials"}})
		if want := map[bool]int{true: http.StatusOK,
			false: http.StatusUnauthorized}[works]; err != nil || status != want {
			l.lose(a, "a secret of %s should be answered %d and was %d %v %v", one.account.ID, want, status,
				body["error_description"], err)
		}
	}
}
