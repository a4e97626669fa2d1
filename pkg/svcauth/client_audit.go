package svcauth

import (
	"context"
	"net/http"
	"time"
)

// AuditFilter selects audit events. Each field that is set narrows the
// selection.
type AuditFilter struct {
	ListOptions           // Name is ignored
	Actor       string    // id of who did it
	Target      string    // id of what it was done to
	Action      string    // noun.verb, such as service_account.create
	Since       time.Time // at this moment or later
	Until       time.Time // before this moment
}

// AuditEvents returns one page of the organization's audit log, newest first.
// The caller needs audit:read. Use [All] to read every page.
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
