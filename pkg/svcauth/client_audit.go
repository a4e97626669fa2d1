package svcauth

import (
	"context"
	"net/http"
	"time"
)

// AuditFilter selects audit events. Each field that is set narrows the
// selection.
type AuditFilter struct {
	ListOptions // Name is ignored
	// Actor is who did it: an id, the name of a service account or the e-mail
	// address of a member as they were then, or [KindSystem].
	Actor string
	// Target is what it was done to: an id or a name, as it was then.
	Target string
	// Action is what was done, in words of [AuditActions]: one or several with
	// commas between. All of a noun are meant by "secret.*".
	Action string
	Since  time.Time // at this moment or later
	Until  time.Time // before this moment
	// Order is [OrderAscending], or empty for the newest first.
	Order string
	// After is the id of the event after which an ascending list begins; empty:
	// at the first that is kept. Instead of a cursor.
	After string
}

// OrderAscending lists audit events in the order in which they got their places
// in the log. What is added gets a place behind all others, whatever its time:
// whoever reads on after the last event that it has read misses none and reads
// none twice. An event gets its place within a few seconds, and one that stands
// for the refusals of a minute when the minute is over.
const OrderAscending = "asc"

// AuditEvents returns one page of the organization's audit log, newest first
// unless the filter says otherwise. The caller needs audit:read. Use [All] to
// read every page. A page may have few events, or none, although there is a
// next one.
func (c *Client) AuditEvents(ctx context.Context, filter AuditFilter) (List[AuditEvent], error) {
	query := filter.query()
	query.Set("actor", filter.Actor)
	query.Set("target", filter.Target)
	query.Set("action", filter.Action)
	query.Set("order", filter.Order)
	query.Set("after", filter.After)
	if !filter.Since.IsZero() {
		query.Set("since", filter.Since.UTC().Format(time.RFC3339Nano))
	}
	if !filter.Until.IsZero() {
		query.Set("until", filter.Until.UTC().Format(time.RFC3339Nano))
	}
	return page[AuditEvent](ctx, c, query, "audit-events")
}

// Me returns the calling principal with its roles and privileges.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var me Me
	_, err := c.do(ctx, request{method: http.MethodGet, path: []string{"me"}}, &me)
	return me, err
}

// Explain returns why a token or a client is, or isn't, allowed to do
// something. The request may contain a token; no error's text shows it.
func (c *Client) Explain(ctx context.Context, body ExplainRequest) (Explanation, error) {
	var explanation Explanation
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{"explain"}, body: body}, &explanation)
	return explanation, err
}
