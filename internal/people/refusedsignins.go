package people

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What a page shows of a member's failed sign-ins.
const (
	refusedShown    = 5
	refusedShownFor = 30 * 24 * time.Hour
)

// RefusedSignIns returns the newest failed sign-ins as a member of the caller's
// organization, of the last 30 days: events of the audit log, each of which may
// stand for several of one minute, known within seconds. It needs members:read,
// or to be that member.
func (s *Service) RefusedSignIns(ctx context.Context, memberID string) ([]svcauth.AuditEvent, error) {
	actor, err := access.Caller(ctx, "")
	if err == nil && actor.ID != memberID {
		actor, err = access.Caller(ctx, svcauth.MembersRead)
	}
	if err != nil {
		return nil, err
	}
	all, err := s.read().RefusedSignIns(ctx, actor.OrgID, memberID, s.now().Add(-refusedShownFor), refusedShown)
	return all, access.Problem(err, svcauth.AuditTarget{Kind: "member", ID: memberID})
}
