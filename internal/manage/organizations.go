package manage

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagOrganizations = "Organizations"
	pathOrganization = "/v1/organizations"
	tagAudit         = "Audit log and explanations"
)

// OwnOrganizationPatch changes the caller's own organization.
type OwnOrganizationPatch struct {
	Match
	Body svcauth.OrganizationPatch
}

// OrganizationPatchOf changes any organization.
type OrganizationPatchOf struct {
	Item
	Match
	Body svcauth.OrganizationPatch
}

func (m *API) organizations() {
	const own = "/v1/organization"
	answer := func(o svcauth.Organization, err error) (*versioned[svcauth.Organization], error) {
		return &versioned[svcauth.Organization]{etag(o.Version), o}, err
	}
	add(m, operation("getOwnOrganization", "GET", own, tagOrganizations, svcauth.SettingsManage,
		"Get your organization", ""),
		func(ctx context.Context, _ *struct{}) (*versioned[svcauth.Organization], error) {
			return answer(m.cfg.Access.Organization(ctx))
		})
	add(m, operation("updateOwnOrganization", "PATCH", own, tagOrganizations, svcauth.SettingsManage,
		"Change your organization's settings",
		"What is absent stays."),
		func(ctx context.Context, in *OwnOrganizationPatch) (*versioned[svcauth.Organization], error) {
			return answer(m.cfg.Access.UpdateOrganization(ctx, in.version, in.Body))
		})
	const operators = "Only in the operator's organization."
	add(m, operation("listOrganizations", "GET", pathOrganization, tagOrganizations, svcauth.OrganizationsManage,
		"List organizations",
		operators+" Newest first."),
		func(ctx context.Context, in *Page) (*plain[svcauth.List[svcauth.Organization]], error) {
			return page(m.cfg.Access.Organizations(ctx, in.options()))
		})
	addMade(m, operation("createOrganization", "POST", pathOrganization,
		tagOrganizations, svcauth.OrganizationsManage,
		"Create an organization",
		operators+" The answer has `invitation_url`, a one-time link for its first Administrator; "+
			"a service account gets none, only the mail goes (422 where no mail is configured)."),
		func(ctx context.Context, in *struct {
			Body svcauth.NewOrganization
		}) (*createdVersion[svcauth.CreatedOrganization], error) {
			o, err := m.cfg.People.CreateOrganization(ctx, in.Body)
			return &createdVersion[svcauth.CreatedOrganization]{pathOrganization + "/" + o.ID, etag(o.Version), o}, err
		})
	add(m, operation("getOrganization", "GET", pathOrganization+"/{id}",
		tagOrganizations, svcauth.OrganizationsManage,
		"Get an organization",
		operators),
		func(ctx context.Context, in *Item) (*versioned[svcauth.Organization], error) {
			return answer(m.cfg.Access.OrganizationByID(ctx, in.ID))
		})
	add(m, operation("updateOrganization", "PATCH", pathOrganization+"/{id}",
		tagOrganizations, svcauth.OrganizationsManage,
		"Change an organization",
		operators+" What is absent stays."),
		func(ctx context.Context, in *OrganizationPatchOf) (*versioned[svcauth.Organization], error) {
			return answer(m.cfg.Access.UpdateOrganizationByID(ctx, in.ID, in.version, in.Body))
		})
	addDone(m, operation("deleteOrganization", "DELETE", pathOrganization+"/{id}",
		tagOrganizations, svcauth.OrganizationsManage,
		"Remove an organization",
		operators+" All that belongs to it goes with it; its tokens die at once. The operator's "+
			"own can't be removed."),
		func(ctx context.Context, in *ItemWait) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error { return m.cfg.Access.DeleteOrganization(ctx, in.ID) })
		})
}

// AuditQuery filters the audit log.
type AuditQuery struct {
	Page
	Actor  string    `query:"actor" maxLength:"64" doc:"The id of who did it"`
	Target string    `query:"target" maxLength:"128" doc:"The id of what it was done to"`
	Action string    `query:"action" maxLength:"64" example:"service_account.create" doc:"What was done: noun.verb"`
	Since  time.Time `query:"since" doc:"At this moment or later"`
	Until  time.Time `query:"until" doc:"Before this moment"`
}

func (m *API) audit() {
	add(m, operation("listAuditEvents", "GET", "/v1/audit-events", tagAudit, svcauth.AuditRead,
		"List audit events",
		"Every change and every refused change of the organization, newest first."),
		func(ctx context.Context, in *AuditQuery) (*plain[svcauth.List[svcauth.AuditEvent]], error) {
			return page(m.cfg.Access.AuditEvents(ctx, svcauth.AuditFilter{
				ListOptions: in.options(),
				Actor:       in.Actor,
				Target:      in.Target,
				Action:      in.Action,
				Since:       in.Since,
				Until:       in.Until,
			}))
		})
	add(m, operation("explain", "POST", "/v1/explain", tagAudit, svcauth.MembersRead,
		"Explain why something is allowed or not",
		"Walks the chain from the secret to the revocation by the rules that decide, and "+
			"names the first link that fails. Give one of `token`, `jti` and `client_id`. "+
			"`tokens:introspect` will do as well, and shows the operator everybody's."),
		func(ctx context.Context, in *struct{ Body svcauth.ExplainRequest }) (*plain[svcauth.Explanation], error) {
			return unversioned(m.cfg.Token.Explain(ctx, in.Body))
		})
	add(m, operation("getMe", "GET", "/v1/me", tagAudit, "",
		"Who am I",
		"The caller with its organization, roles and privileges in force."),
		func(ctx context.Context, _ *struct{}) (*plain[svcauth.Me], error) {
			return unversioned(m.cfg.Access.Me(ctx))
		})
}
