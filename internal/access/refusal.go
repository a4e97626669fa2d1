package access

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxRefusals is how many rows of refusals a page shows of a client.
const maxRefusals = 100

// Refusals returns what a client of the caller's organization was refused at
// the OAuth2 endpoints, newest first; it needs members:read. What this node has
// refused is in it at once, what another has within seconds.
func (s *Service) Refusals(ctx context.Context, clientID string) ([]svcauth.Refusal, error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return nil, err
	}
	records := Records{Store: s.cfg.Store, Refusals: s.cfg.Refusals}
	return records.OfClient(ctx, actor.OrgID, clientID, maxRefusals)
}

// lastRefused returns what a client was refused last, or nil.
func lastRefused(ctx context.Context, q *store.Q, orgID, clientID string) (*svcauth.Refusal, error) {
	rows, err := q.Refusals(ctx, orgID, clientID, 1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0].Refusal, nil
}

// Records is what is written down of single requests.
type Records struct {
	Store    *store.Store
	Audit    *audit.Log
	Refusals *refusals.Log // nil: only the database knows of refusals
}

// OfClient returns up to limit of what a client of an organization was refused,
// newest first. It asks for no privilege.
func (r Records) OfClient(ctx context.Context, orgID, clientID string, limit int) ([]svcauth.Refusal, error) {
	_ = r.Refusals.Flush(ctx) // what can't be written now is shown later
	rows, err := r.Store.Read().Refusals(ctx, orgID, clientID, limit)
	if err != nil {
		return nil, Problem(err, svcauth.AuditTarget{Kind: "refusal"})
	}
	all := make([]svcauth.Refusal, len(rows))
	for i, row := range rows {
		all[i] = row.Refusal
	}
	return all, nil
}

// RequestRecord is what is kept of one request. Either Refusal or Event is nil.
type RequestRecord struct {
	ClientID string // that a refused request named; empty if there is none
	Refusal  *svcauth.Refusal
	Event    *svcauth.AuditEvent // that the request left in the audit log
}

// OfRequest returns what is kept of a request. It needs audit:read, and finds
// only what is the caller's own organization's; the operator with
// tokens:introspect finds everybody's refusals, also those of no organization.
// If the server failed before it knew whose request it was, everybody who has
// the id may learn that, and nothing of the others that it failed at.
func (r Records) OfRequest(ctx context.Context, requestID string) (none RequestRecord, err error) {
	actor, err := Caller(ctx, svcauth.AuditRead)
	if err != nil {
		return none, err
	}
	if !svcauth.ValidID(svcauth.PrefixRequest, requestID) {
		return none, svcauth.InvalidField("body.request_id",
			"Expected the id of a request: req_ and 26 letters and digits, as the header X-Request-Id has it.")
	}
	target := svcauth.AuditTarget{Kind: "request"}
	unwritten := errors.Join(r.Refusals.Flush(ctx), r.Audit.Flush(ctx))
	at := typeid.Time(requestID)
	row, err := r.Store.Read().RefusalOf(ctx, requestID, at)
	switch {
	case err == nil && actor.MayExplain(row.OrgID):
		return RequestRecord{ClientID: row.ClientID, Refusal: &row.Refusal}, nil
	case err == nil && row.ClientID == "" && row.Authenticated:
		row.At, row.FirstAt, row.Count, row.RequestIDs = at, at, 1, []string{requestID}
		return RequestRecord{Refusal: &row.Refusal}, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return none, Problem(err, target)
	}
	event, err := r.Store.Read().AuditEventOf(ctx, actor.OrgID, requestID, at)
	switch {
	case err == nil:
		return RequestRecord{Event: &event}, nil
	case !errors.Is(err, store.ErrNotFound):
		return none, Problem(err, target)
	case unwritten != nil:
		return none, Problem(unwritten, target)
	}
	return none, svcauth.NewProblem(svcauth.CodeNotFound,
		"Nothing is kept of the request %s in your organization. What clients were refused at the OAuth2 endpoints, "+
			"and what the server itself failed at, is kept for %d days, with the ids of the newest requests of each "+
			"hour; what was changed or refused through /v1 and the console is in the audit log. Of any other "+
			"request the server's log has a line with its request_id.", requestID, int(store.RefusalKept.Hours()/24))
}
