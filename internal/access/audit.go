package access

import (
	"context"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const maxFilter = 128

// AuditEvents lists the events of the caller's organization that fit the
// filter, newest first; it needs audit:read. What this node has refused is in
// it at once, what another has within a second or so. What is written during a
// walk over the pages is neither missed nor repeated among what was there
// before.
func (s *Service) AuditEvents(
	ctx context.Context,
	f svcauth.AuditFilter,
) (none svcauth.List[svcauth.AuditEvent], err error) {
	a, err := Caller(ctx, svcauth.AuditRead)
	if err != nil {
		return none, err
	}
	before, limit, err := paging.Below(f.ListOptions, svcauth.PrefixEvent)
	if err != nil {
		return none, err
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return none, svcauth.InvalidField("query.until", "until must be later than since.")
	}
	for at, text := range map[string]string{
		"query.actor":  f.Actor,
		"query.target": f.Target,
		"query.action": f.Action,
	} {
		if err := svcauth.CheckText(text); err != nil {
			return none, Unfit(at, err)
		}
		if len(text) > maxFilter {
			return none, svcauth.InvalidField(at, "Expected an id or an action of at most %d bytes.", maxFilter)
		}
	}
	if err := s.cfg.Audit.Flush(ctx); err != nil {
		return none, Problem(err, svcauth.AuditTarget{Kind: "audit event"})
	}
	all, err := s.read().AuditEvents(ctx, a.OrgID, store.AuditFilter{
		Actor:  f.Actor,
		Target: f.Target,
		Action: f.Action,
		Since:  f.Since,
		Until:  f.Until,
		Before: before,
	}, limit+1)
	if err != nil {
		return none, Problem(err, svcauth.AuditTarget{Kind: "audit event"})
	}
	return paging.List(all, limit, func(e svcauth.AuditEvent) string { return e.ID }), nil
}
