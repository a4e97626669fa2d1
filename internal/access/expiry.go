package access

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// lookForExpiry is how long [Service.Run] sleeps at most, even if it knows of
// no grant that expires: another node may have made one. expiryBatch is how
// many grants one transaction takes.
const (
	lookForExpiry = 2 * time.Second
	expiryBatch   = 100
)

// Run takes expired grants away, each within moments of its expiry, and writes
// down what was refused, until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.cfg.Audit.Run(ctx) })
	group.Go(func() error { return s.expireByTheClock(ctx) })
	return group.Wait()
}

func (s *Service) expireByTheClock(ctx context.Context) error {
	for {
		wait := lookForExpiry
		next, err := s.ExpireGrants(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn(
				"expired grants could not be taken away; tried again in a moment. Tokens that "+
					"stand on them have expired with them", "error", err)
		}
		if err == nil && !next.IsZero() {
			wait = min(wait, max(next.Sub(s.cfg.Clock()), time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// ExpireGrants takes away the grants whose time is over, as if somebody
// unassigned them: the tokens that carry such a role die, and the audit log
// says that the server did it. Several nodes may do so at once. It returns the
// moment of the next expiry, or zero if no grant expires.
func (s *Service) ExpireGrants(ctx context.Context) (next time.Time, err error) {
	for {
		next, err = s.read().NextExpiry(ctx)
		if errors.Is(err, store.ErrNotFound) {
			return time.Time{}, nil
		}
		if err != nil || next.After(s.now()) {
			return next, err
		}
		if err := s.expireSome(ctx); err != nil {
			return time.Time{}, err
		}
	}
}

func (s *Service) expireSome(ctx context.Context) error {
	err := s.cfg.Store.Write(ctx, func(q *store.Q) error {
		now := s.now()
		expired, err := q.ExpiredGrants(ctx, now, expiryBatch) // read in here: another node may have been faster
		if err != nil {
			return err
		}
		for _, g := range expired {
			if err := s.expire(ctx, s.tx(q, System(g.OrgID)), g); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (s *Service) expire(ctx context.Context, t *Tx, g store.GrantRow) error {
	role, err := t.Role(ctx, g.OrgID, g.RoleID)
	if err != nil {
		return err
	}
	if err := t.DeleteGrant(ctx, g.OrgID, g.PrincipalID, g.RoleID); err != nil {
		return err
	}
	if err := t.expireFor(ctx, g, role.Name); err != nil {
		return err
	}
	t.Before = grantNoun(g, role)
	return t.Audit(ctx, t.Target.Kind+".role_expired")
}

// expireFor kills the tokens of the account that held the role.
func (t *Tx) expireFor(ctx context.Context, g store.GrantRow, role string) error {
	if svcauth.ValidID(svcauth.PrefixMember, g.PrincipalID) {
		m, err := t.Member(ctx, g.OrgID, g.PrincipalID)
		if err != nil {
			return err
		}
		t.Target = svcauth.AuditTarget{ID: m.ID, Kind: "member", Name: m.Email}
		return t.revokeKeys(ctx, m, role)
	}
	account, err := t.ServiceAccount(ctx, g.OrgID, g.PrincipalID)
	if err != nil {
		return err
	}
	t.Target = svcauth.AuditTarget{ID: account.ID, Kind: "service_account", Name: account.Name}
	return t.revokeClient(ctx, g.OrgID, g.PrincipalID, role)
}
