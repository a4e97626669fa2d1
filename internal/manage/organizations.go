package manage

import (
	"context"
	"strings"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagOrganizations = "Organizations"
	pathOrganization = "/v1/organizations"
	tagAudit         = "Audit log and explanations"
)

// Confirmation goes ahead with what would otherwise be refused.
type Confirmation struct {
	Confirm bool `query:"confirm" doc:"Go ahead although shared_secrets or application_keys refused takes their last credential from clients: without it that is 409, and says from whom"`
}

// OwnOrganizationPatch changes the caller's own organization.
type OwnOrganizationPatch struct {
	Match
	Confirmation
	Body svcauth.OrganizationPatch
}

// OrganizationPatchOf changes any organization.
type OrganizationPatchOf struct {
	Item
	Match
	Confirmation
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
		"What is absent stays. "+aboutRefusing+
			" `GET /v1/organization/secret-users` says before whom that stops."),
		func(ctx context.Context, in *OwnOrganizationPatch) (*versioned[svcauth.Organization], error) {
			in.Body.Confirm = in.Confirm
			return answer(m.cfg.Access.UpdateOrganization(ctx, in.version, in.Body))
		})
	add(m, operation("getSecretUsers", "GET", own+"/secret-users", tagOrganizations, svcauth.SettingsManage,
		"See whom it stops to refuse secrets",
		"Service accounts that have nothing but secrets, and how many application keys there are. The accounts "+
			"are named only to a caller with `members:read`."),
		func(ctx context.Context, _ *struct{}) (*plain[svcauth.SecretUsers], error) {
			return unversioned(m.cfg.Access.SecretUsers(ctx))
		})
	m.allOrganizations(answer)
}

// aboutRefusing describes what holds for whoever refuses secrets.
const aboutRefusing = "`shared_secrets` or `application_keys` `refused` also revokes every token of the " +
	"organization that was issued so far: clients that prove themselves otherwise get a new one with their " +
	"next request. It is 409, and says whom it stops, while that takes their last credential from clients: " +
	"repeat it with `confirm=true`."

// allOrganizations has the operator's calls.
func (m *API) allOrganizations(
	answer func(svcauth.Organization, error) (*versioned[svcauth.Organization], error),
) {
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
		operators+" What is absent stays. "+aboutRefusing),
		func(ctx context.Context, in *OrganizationPatchOf) (*versioned[svcauth.Organization], error) {
			in.Body.Confirm = in.Confirm
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
	Actor  string    `query:"actor" maxLength:"320" doc:"Who did it: an id, the name of a service account or the e-mail address of a member as it was then, or system"`
	Target string    `query:"target" maxLength:"320" doc:"What it was done to: an id or a name, as it was then"`
	Action []string  `query:"action,explode" maxItems:"50" example:"secret.*" doc:"What was done: noun.verb, or noun.* for all of a noun; repeated or with commas between for several. An unknown one is refused, with the nearest known"`
	Since  time.Time `query:"since" doc:"At this moment or later"`
	Until  time.Time `query:"until" doc:"Before this moment"`
	Order  string    `query:"order" enum:"asc,desc" default:"desc" doc:"desc: newest first, by time. asc: in the order in which events got their places in the log, for who follows it. What is added gets a place behind all others, within a few seconds; one that stands for the refusals of a minute gets it when the minute is over"`
	After  string    `query:"after" maxLength:"64" example:"evt_01h455vb4pex5vsknk084sn02q" doc:"With order=asc: begin behind this event. To follow the log, send the id of the last event that you have: none is missed and none comes twice"`
}

func (m *API) audit() {
	add(m, operation("listAuditEvents", "GET", "/v1/audit-events", tagAudit, svcauth.AuditRead,
		"List audit events",
		"Every change and every refused change of the organization, newest first or, "+
			"to follow the log, with `order=asc`. "+
			"A page may have few events, or none, although there is a next one: go on until `next_cursor` is null.\n\n"+
			"The actions: `"+strings.Join(svcauth.AuditActions(), "`, `")+"`."),
		func(ctx context.Context, in *AuditQuery) (*plain[svcauth.List[svcauth.AuditEvent]], error) {
			return page(m.cfg.Access.AuditEvents(ctx, svcauth.AuditFilter{
				ListOptions: in.options(),
				Actor:       in.Actor,
				Target:      in.Target,
				Action:      strings.Join(in.Action, ","),
				Since:       in.Since,
				Until:       in.Until,
				Order:       in.Order,
				After:       in.After,
			}))
		})
	add(m, operation("explain", "POST", "/v1/explain", tagAudit, svcauth.MembersRead,
		"Explain why something is allowed or not",
		"Walks the chain from the secret to the revocation by the rules that decide, and "+
			"names the first link that fails. Give one of `token`, `jti` and `client_id`. "+
			"`tokens:introspect` will do as well, and shows the operator everybody's. "+
			"Or give the `request_id` of a request that was refused, which needs `audit:read`: "+
			"when, whom, why and from where."),
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
