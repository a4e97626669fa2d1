package drill_test

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// act is one acknowledged change, which its audit event tells of.
type act struct {
	action string // as the audit log names it
	target string // id
	since  *phase
	lost   bool // it was not found afterwards
}

// life is one account, changed step by step. Of what was tried and not
// acknowledged nobody can know whether it happened.
type life struct {
	account svcauth.ServiceAccount // as it was made, with its first secret
	second  svcauth.SecretInfo     // a second secret

	role, secret, state condition
}

// condition is what was acknowledged last of one side of a life.
type condition struct {
	what   string // "": untouched; else one of the words below
	act    *act
	unsure bool // something was tried since and not acknowledged
}

const (
	given    = "given"    // the second role, the second secret
	taken    = "taken"    // the same
	disabled = "disabled" // the account
	deleted  = "deleted"  // the account
)

// do runs one change and writes down whether it was acknowledged.
func (l *load) do(ctx context.Context, side *condition, what, action, target string, change func() error) bool {
	p := l.phase.Load()
	p.requests.Add(1)
	side.unsure = true
	if err := change(); err != nil {
		l.failed(ctx, p, action, err)
		return false
	}
	*side = condition{what: what, act: l.acknowledged(p, action, target)}
	return true
}

// failed counts a change that was not acknowledged. The server may say that it
// is not available (503), or that it can't know what became of the change, and
// the connection may break; it may not refuse what is right.
func (l *load) failed(ctx context.Context, p *phase, action string, err error) {
	if ctx.Err() != nil {
		return
	}
	p.failures.Add(1)
	var problem *svcauth.Problem
	if errors.As(err, &problem) && problem.Code == svcauth.CodeUnauthenticated && l.clockOff.Load() {
		return
	}
	if errors.As(err, &problem) && problem.Code != svcauth.CodeUnavailable && problem.Code != svcauth.CodeInternal {
		l.never("%s was refused: %v", action, err)
	}
}

func (l *load) acknowledged(p *phase, action, target string) *act {
	a := &act{action: action, target: target, since: p}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts = append(l.acts, a)
	return a
}

// create makes a service account with a role; nil: not acknowledged, it may be
// there or not.
func (l *load) create(ctx context.Context, name string) *life {
	p := l.phase.Load()
	p.requests.Add(1)
	a, err := l.admin.CreateServiceAccount(ctx,
		svcauth.NewServiceAccount{Name: name + " " + svcauth.NewID("x"), RoleIDs: []string{l.role.ID}})
	if err != nil {
		l.failed(ctx, p, "service_account.create", err)
		return nil
	}
	made := &life{account: a}
	made.state.act = l.acknowledged(p, "service_account.create", a.ID)
	l.mu.Lock()
	l.lives = append(l.lives, made)
	l.mu.Unlock()
	return made
}

// live makes an account, gives it a second role and a second secret, fetches a
// token with each secret, and takes one thing away, with which tokens die.
func (l *load) live(ctx context.Context, i int) {
	one := l.create(ctx, "life")
	if one == nil {
		return
	}
	id := one.account.ID
	l.do(ctx, &one.role, given, "service_account.assign_role", id, func() error {
		_, err := l.admin.AssignServiceAccountRole(ctx, id, l.secondRole.ID, svcauth.GrantRequest{})
		return err
	})
	withSecond := one.account
	if l.do(ctx, &one.secret, given, "secret.create", "", func() (err error) {
		one.second, err = l.admin.CreateSecret(ctx, id, svcauth.NewSecretRequest{Description: "second"})
		return err
	}) {
		one.secret.act.target = one.second.ID
		withSecond.ClientSecret = one.second.ClientSecret
	}
	first, second := l.token(ctx, one.account), ""
	if one.secret.what == given {
		second = l.token(ctx, withSecond)
	}
	l.end(ctx, i, one, first, second)
}

// end takes away what the turn is to, and says which tokens died with it.
func (l *load) end(ctx context.Context, turn int, one *life, first, second string) {
	id, p, off := one.account.ID, l.phase.Load(), true
	switch turn % 4 {
	case 0:
		if one.role.what == given && !one.role.unsure && l.do(ctx, &one.role, taken, "service_account.unassign_role",
			id, func() error {
				_, err := l.admin.UnassignServiceAccountRole(ctx, id, l.secondRole.ID, "", 0)
				return err
			}) {
			l.died(p, first, second)
		}
	case 1:
		if one.secret.what == given && l.do(ctx, &one.secret, taken, "secret.delete", one.second.ID, func() error {
			_, err := l.admin.DeleteSecret(ctx, id, one.second.ID, true, 0)
			return err
		}) {
			l.died(p, second) // and the first lives on
			if first != "" {
				l.takes(ctx, l.verifiers[turn%len(l.verifiers)], first)
			}
		}
	case 2:
		if l.do(ctx, &one.state, disabled, "service_account.update", id, func() error {
			_, err := l.admin.UpdateServiceAccount(ctx, id, 0, svcauth.ServiceAccountPatch{Disabled: &off}, 0)
			return err
		}) {
			l.died(p, first, second)
		}
	default:
		if l.do(ctx, &one.state, deleted, "service_account.delete", id, func() error {
			_, err := l.admin.DeleteServiceAccount(ctx, id, 0)
			return err
		}) {
			l.died(p, first, second)
		}
	}
}
