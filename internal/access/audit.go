package access

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxFilter bounds a text that the audit log is asked for, in bytes. The
// longest is a member's address.
const maxFilter = 320

// AuditEvents lists the events of the caller's organization that fit the
// filter; it needs audit:read.
//
// Newest first, what this node has refused is in the list at once, what another
// has within a second or so. What is written during a walk over the pages is
// neither missed nor repeated among what was there before. In ascending order
// the list has the events that have their place in the log: see
// [store.Q.NumberAuditEvents].
func (s *Service) AuditEvents(
	ctx context.Context,
	f svcauth.AuditFilter,
) (none svcauth.List[svcauth.AuditEvent], err error) {
	a, err := Caller(ctx, svcauth.AuditRead)
	if err != nil {
		return none, err
	}
	filter, limit, err := auditFilter(f)
	if err != nil {
		return none, err
	}
	if err := s.cfg.Audit.Flush(ctx); err != nil {
		return none, Problem(err, svcauth.AuditTarget{Kind: "audit event"})
	}
	page, err := s.read().AuditEvents(ctx, a.OrgID, filter, limit)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return none, svcauth.InvalidField("query.after", "The log has no event %s: it is another organization's, or "+
			"older than what is kept. Begin with since, or without after at the oldest that is kept.", filter.From)
	case err != nil:
		return none, Problem(err, svcauth.AuditTarget{Kind: "audit event"})
	case len(page.Events) == 0 && filter.From == "":
		if err := s.checkAuditNames(ctx, a.OrgID, filter); err != nil {
			return none, err
		}
	}
	return paging.Continued(page.Events, page.Next), nil
}

// auditFilter checks a filter, and returns it with the size of a page.
func auditFilter(f svcauth.AuditFilter) (filter store.AuditFilter, limit int, err error) {
	filter = store.AuditFilter{Target: f.Target, Since: f.Since, Until: f.Until}
	if filter.From, limit, err = paging.Below(f.ListOptions, svcauth.PrefixEvent); err != nil {
		return filter, 0, err
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return filter, 0, svcauth.InvalidField("query.until", "until must be later than since.")
	}
	if err := auditOrder(f, &filter); err != nil {
		return filter, 0, err
	}
	for at, text := range map[string]string{
		"query.actor":  f.Actor,
		"query.target": f.Target,
		"query.action": f.Action,
	} {
		if err := svcauth.CheckText(text); err != nil {
			return filter, 0, Unfit(at, err)
		}
		if at != "query.action" && len(text) > maxFilter {
			return filter, 0, svcauth.InvalidField(at, "Expected an id or a name of at most %d bytes.", maxFilter)
		}
	}
	if filter.Actions, err = svcauth.ParseAuditActions(f.Action); err != nil {
		return filter, 0, svcauth.InvalidField("query.action", "%s", sentenceOf(err))
	}
	switch actor := f.Actor; {
	case isOwnID(actor), actor == svcauth.KindSystem:
		filter.ActorID = actor
	default:
		filter.ActorName = asAddress(actor)
	}
	filter.Target = asAddress(filter.Target)
	return filter, limit, nil
}

// auditOrder reads the order of a list, and where it begins.
func auditOrder(f svcauth.AuditFilter, filter *store.AuditFilter) error {
	switch f.Order {
	case "", "desc":
	case svcauth.OrderAscending:
		filter.Ascending = true
	default:
		return svcauth.InvalidField("query.order", "Expected asc for the oldest first, or desc for the newest first.")
	}
	switch {
	case f.After == "":
		return nil
	case !filter.Ascending:
		return svcauth.InvalidField("query.after",
			"after goes with order=asc; newest first, a list begins behind a cursor.")
	case f.Cursor != "":
		return svcauth.InvalidField("query.after", "after and cursor exclude each other: both say where to begin.")
	case !svcauth.ValidID(svcauth.PrefixEvent, f.After):
		return svcauth.InvalidField("query.after",
			"This is no id of an event: expected evt_ and 26 letters and digits, as the list shows it.")
	}
	filter.From = f.After
	return nil
}

// checkAuditNames refuses to call a list empty if nobody and nothing in the log
// has the name that it is asked for: more likely it is mistyped. The id of
// something that has no events is none.
func (s *Service) checkAuditNames(ctx context.Context, orgID string, f store.AuditFilter) error {
	for _, name := range []struct{ at, text string }{
		{"query.actor", f.ActorName}, {"query.target", f.Target},
	} {
		if name.text == "" || isOwnID(name.text) {
			continue
		}
		known, err := s.read().HasAuditName(ctx, orgID, name.text)
		if err != nil {
			return Problem(err, svcauth.AuditTarget{Kind: "audit event"})
		}
		if !known {
			return svcauth.InvalidField(name.at, "Nobody and nothing in the audit log is called %q. Expected an id, "+
				"the whole name of a service account or a role, or a member's e-mail address, as it was then.",
				loggable(name.text))
		}
	}
	return nil
}

// ownPrefixes are those of the ids that the audit log names.
var ownPrefixes = []string{
	svcauth.PrefixServiceAccount, svcauth.PrefixApplicationKey, svcauth.PrefixMember, svcauth.PrefixRole,
	svcauth.PrefixOrganization, svcauth.PrefixSecret,
}

// isOwnID reports whether a text is an id of a thing of this server.
func isOwnID(text string) bool {
	return slices.ContainsFunc(ownPrefixes, func(prefix string) bool { return svcauth.ValidID(prefix, text) })
}

// asAddress returns an e-mail address as it is compared, and other texts as
// they are.
func asAddress(text string) string {
	if strings.Contains(text, "@") {
		if address, err := svcauth.ParseEmail(text); err == nil {
			return address
		}
	}
	return text
}

// sentenceOf makes a sentence of an error's text.
func sentenceOf(err error) string {
	text := err.Error()
	text = strings.ToUpper(text[:1]) + text[1:]
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}
