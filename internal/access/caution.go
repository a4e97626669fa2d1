package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ErrDryRun is returned by a change that was asked for as a dry run, if it
// would have been made: there was nothing to refuse nor to warn of.
var ErrDryRun = errors.New("this was a dry run: nothing was changed")

// unchanged begins the refusal of a change that there is something to warn of.
const unchanged = "Nothing was changed."

// maxJudging is how long a change looks, within its transaction, for what there
// is to warn of: all other changes wait for it, and other organizations'
// revocations with them.
const maxJudging = 100 * time.Millisecond

// An organization may have changes look for so many milliseconds at once, and a
// second: however many dry runs it asks for, others get their turns.
const (
	judgingAtOnce    = 2000
	judgingPerSecond = 50
)

// judge has look find out what there is to warn of, if the caller wants to know
// that before the change is made. It comes after all that the change writes.
// What can't be found out in time is warned of as that.
func (t *Tx) judge(ctx context.Context, look func(context.Context) error) error {
	if t.Caution == (svcauth.Caution{}) {
		return nil
	}
	began := time.Now()
	if t.s.judging.Allow(t.Actor.OrgID, began) > 0 {
		return t.unjudged()
	}
	bounded, cancel := context.WithTimeout(ctx, max(maxJudging, t.s.cfg.Patience))
	defer cancel()
	err := look(bounded)
	t.s.judging.Charge(t.Actor.OrgID, int(time.Since(began).Milliseconds()), time.Now())
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return t.unjudged()
	}
	return err
}

// unjudged is the refusal of a change of which not all that there is to warn of
// could be found out.
func (t *Tx) unjudged() error {
	return svcauth.Warned(unchanged, append(t.warnings,
		"Whom this may stop, and who may gain by it, can't be found out in time."))
}

// warn notes what there is to warn of before the change is made.
func (t *Tx) warn(texts ...string) { t.warnings = append(t.warnings, texts...) }

// judged refuses a change that has been written, if its caller wants nothing
// changed.
func (t *Tx) judged() error {
	switch {
	case t.Caution == (svcauth.Caution{}):
		return nil
	case len(t.warnings) > 0:
		return svcauth.Warned(unchanged, t.warnings)
	case t.Caution.DryRun:
		return ErrDryRun
	}
	return nil
}

// warnOfCredentials notes credentials that could use what their makers lack.
func (t *Tx) warnOfCredentials(all []svcauth.CredentialWarning, more int) {
	for _, w := range all {
		t.warn(w.String())
	}
	if more > 0 {
		t.warn(fmt.Sprintf("Credentials that are not named here, of accounts that hold the role, were made by who "+
			"does not hold what it gains: %d.", more))
	}
}

// byDefault is of whom a change may decide whether they get a token without
// scope and resource: those that hold a role, or one principal.
type byDefault struct{ roleID, principalID string }

// refused returns those of them that get none, if the caller may know.
func (b byDefault) refused(ctx context.Context, s *Service, q *store.Q) ([]svcauth.DefaultWarning, error) {
	actor, _ := ActorFrom(ctx)
	if s.cfg.Tokens == nil || !actor.Has(svcauth.MembersRead) && b.principalID != actor.ID {
		return nil, nil
	}
	return s.cfg.Tokens.DefaultRefused(ctx, q, actor.OrgID, b.roleID, b.principalID)
}

// before returns the ids of those that get none now, for a caller that wants to
// know whom a change stops. It is asked before the transaction, which waits in
// no turn to read.
func (b byDefault) before(
	ctx context.Context, s *Service, requires string, c svcauth.Caution,
) (ids []string, err error) {
	if _, err := Caller(ctx, requires); err != nil || c == (svcauth.Caution{}) {
		return nil, nil // the change refuses, and writes that down
	}
	bounded, cancel := context.WithTimeout(ctx, max(maxDefaultLook, s.cfg.Patience))
	defer cancel()
	all, err := b.refused(bounded, s, s.read())
	if bounded.Err() != nil && ctx.Err() == nil {
		return nil, nil // rather of too many than of too few
	}
	for _, w := range all {
		ids = append(ids, w.ID)
	}
	return ids, Problem(err, svcauth.AuditTarget{})
}

// warnOfStopped notes those that get none after a change and are not among
// before.
func (t *Tx) warnOfStopped(ctx context.Context, b byDefault, before []string) error {
	after, err := b.refused(ctx, t.s, t.Q)
	for _, w := range after {
		if !slices.Contains(before, w.ID) {
			t.warn(w.String())
		}
	}
	return err
}

// defaultRefused names those that get no token without scope and resource by a
// change that has been made. The log hears of it too. If it can't be found out
// in time, nothing is said.
func (s *Service) defaultRefused(ctx context.Context, b byDefault) []svcauth.DefaultWarning {
	ctx, cancel := context.WithTimeout(ctx, max(maxDefaultLook, s.cfg.Patience))
	defer cancel()
	warnings, err := b.refused(ctx, s, s.read())
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "who gets no token by default after a change can't be read",
			"role", b.roleID, "principal", b.principalID, "error", err)
	}
	for _, w := range warnings {
		s.cfg.Logger.WarnContext(ctx, "after a change an account gets a token by scope or resource only",
			"account", w.ID, "reason", w.Reason, "characters", w.Characters, "max_size", w.Max)
	}
	return warnings
}

// maxDefaultLook is how long an answer waits for that.
const maxDefaultLook = 2 * time.Second
