package svcauth

import (
	"context"
	"net/http"
	"time"
)

// AuditFilter chooses audit events. Empty fields choose all.
type AuditFilter struct {
	ListOptions           // Name is ignored
	Actor       string    // id of who did it
	Target      string    // id of what it was done to
	Action      string    // noun.verb, such as service_account.create
	Since       time.Time // at this moment or later
	Until       time.Time // before this moment
}

// AuditEvents returns one page of the organization's audit log, newest first. It
// needs audit:read. [All] reads every page.
func (c *Client) AuditEvents(ctx context.Context, filter AuditFilter) (List[AuditEvent], error) {
	query := filter.query()
	query.Set("actor", filter.Actor)
	query.Set("target", filter.Target)
	query.Set("action", filter.Action)
	if !filter.Since.IsZero() {
		query.Set("since", filter.Since.UTC().Format(time.RFC3339Nano))
	}
	if !filter.Until.IsZero() {
		query.Set("until", filter.Until.UTC().Format(time.RFC3339Nano))
	}
	return page[AuditEvent](ctx, c, query, "audit-events")
}

// Me returns who the caller is, and what it may do.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var me Me
	_, err := c.do(ctx, request{method: http.MethodGet, path: []string{"me"}}, &me)
	return me, err
}

// Explain returns why a token or a client may, or may not, do something. The
// request may hold a token; no error does.
func (c *Client) Explain(ctx context.Context, body ExplainRequest) (Explanation, error) {
	var explanation Explanation
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{"explain"}, body: body}, &explanation)
	return explanation, err
}
