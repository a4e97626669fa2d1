package manage

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagAccounts = "Service accounts"
	pathAccount = "/v1/service-accounts"
)

// AccountPage is the query of the list of service accounts.
type AccountPage struct {
	Page
	Name string `query:"name" maxLength:"64" doc:"Only those whose name begins with this"`
}

// AccountPatch is the request of a change to a service account.
type AccountPatch struct {
	Item
	Match
	Waiting
	Body svcauth.ServiceAccountPatch
}

// ItemPage asks for a page of what belongs to one thing.
type ItemPage struct {
	Item
	Page
}

// ItemWait takes one thing away.
type ItemWait struct {
	Item
	Waiting
}

// RoleOf names a principal and a role.
type RoleOf struct {
	Item
	RoleID string `path:"role_id" doc:"The role's id"`
}

// GrantOf grants a role to a principal.
type GrantOf struct {
	RoleOf
	Body *svcauth.GrantRequest
}

// aboutCaution describes what a [svcauth.Caution] does.
const aboutCaution = " With `strict` it is refused for what there would be to warn of, and with `dry_run` " +
	"nothing is changed in any case; accounts that get no token without a scope or resource already are not named " +
	"then."

// aboutGrants describes what holds for the grants of every principal.
const aboutGrants = "Given again, it sets the new expiry; without `expires_at` the role is held for good. " +
	"A grant that ends takes its privileges from live tokens too. " +
	"With an `id` of your choosing (grt_…) the grant is that one: another id takes the place " +
	"of the grant that is there, and no token dies of it; the same is a retry or an edit; " +
	"without one the grant keeps its id. You need every privilege of the role, until the grant ends. "

// grant makes the grant with assign. It answers 204 if there is nothing to warn
// of.
func (in *GrantOf) grant(
	ctx context.Context,
	assign func(ctx context.Context, id, roleID string, r svcauth.GrantRequest) (svcauth.GrantAnswer, error),
) (*granted, error) {
	var asked svcauth.GrantRequest
	if in.Body != nil {
		asked = *in.Body
	}
	answer, err := assign(ctx, in.ID, in.RoleID, asked)
	if len(answer.Warnings)+len(answer.DefaultRefused) == 0 {
		return &granted{Status: http.StatusNoContent}, err
	}
	answer.Warnings = append([]svcauth.CredentialWarning{}, answer.Warnings...)
	return &granted{http.StatusOK, &answer}, err
}

// UngrantOf takes a role from a principal.
type UngrantOf struct {
	RoleOf
	Waiting
	Grant string `query:"grant" doc:"The id of the grant that shall end; if the pair has another one by now, nothing happens. Absent: whichever there is"`
}

// Resolve refuses an empty grant parameter. It would end whichever grant there
// is.
func (in *UngrantOf) Resolve(ctx huma.Context) []error {
	errs := in.Waiting.Resolve(ctx)
	if u := ctx.URL(); in.Grant == "" && u.Query().Has("grant") {
		errs = append(errs, &huma.ErrorDetail{
			Location: "query.grant",
			Message:  "expected the id of a grant; leave the parameter out to end whichever there is",
		})
	}
	return errs
}

// TokenOf names a live token of a service account.
type TokenOf struct {
	Item
	Waiting
	JTI string `path:"jti" doc:"The token's jti"`
}

func (m *API) serviceAccounts() {
	add(m, operation("listServiceAccounts", "GET", pathAccount, tagAccounts, svcauth.MembersRead,
		"List service accounts",
		"Newest first."),
		func(ctx context.Context, in *AccountPage) (*plain[svcauth.List[svcauth.ServiceAccount]], error) {
			o := in.options()
			o.Name = in.Name
			return page(m.cfg.Access.ServiceAccounts(ctx, o))
		})
	addMade(m, cautious(operation("createServiceAccount", "POST", pathAccount, tagAccounts, svcauth.MembersManage,
		"Create a service account",
		"The answer has `client_id` and `client_secret`. The secret is shown this once and "+
			"can't be had again. With `secret: false` there is none: add a credential of another kind. "+
			"You need every privilege of the roles that you assign. `default_refused` says that it gets no token "+
			"without a scope or resource, and why."+aboutCaution)),
		func(ctx context.Context, in *struct {
			Body svcauth.NewServiceAccount
		}) (*createdVersion[svcauth.ServiceAccount], error) {
			a, err := m.cfg.Access.CreateServiceAccount(ctx, in.Body)
			return &createdVersion[svcauth.ServiceAccount]{pathAccount + "/" + a.ID, etag(a.Version), a}, err
		})
	add(m, operation("getServiceAccount", "GET", pathAccount+"/{id}", tagAccounts, svcauth.MembersRead,
		"Get a service account", ""),
		func(ctx context.Context, in *Item) (*versioned[svcauth.ServiceAccount], error) {
			a, err := m.cfg.Access.ServiceAccount(ctx, in.ID)
			return &versioned[svcauth.ServiceAccount]{etag(a.Version), a}, err
		})
	add(m, cautious(operation("updateServiceAccount", "PATCH", pathAccount+"/{id}", tagAccounts, svcauth.MembersManage,
		"Change a service account",
		"What is absent stays. To disable one kills its tokens at once; to enable it again, "+
			"or to give it another name or other claims, you need every privilege that it holds. "+
			"`default_refused` says that after the change it gets no token without a scope or resource, and why."+
			aboutCaution)),
		func(ctx context.Context, in *AccountPatch) (*versioned[svcauth.ServiceAccount], error) {
			var a svcauth.ServiceAccount
			e, err := m.enforcement(ctx, in.Waiting, func() (err error) {
				a, err = m.cfg.Access.UpdateServiceAccount(ctx, in.ID, in.version, in.Body)
				return err
			})
			a.Enforcement = e
			return &versioned[svcauth.ServiceAccount]{etag(a.Version), a}, err
		})
	addDone(m, operation("deleteServiceAccount", "DELETE", pathAccount+"/{id}", tagAccounts, svcauth.MembersManage,
		"Remove a service account",
		"Its secrets go with it and its tokens die at once."),
		func(ctx context.Context, in *ItemWait) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error { return m.cfg.Access.DeleteServiceAccount(ctx, in.ID) })
		})
	m.accountRoles()
	m.accountTokens()
}

func (m *API) accountRoles() {
	add(m, operation("listServiceAccountRoles", "GET", pathAccount+"/{id}/roles", tagAccounts, svcauth.MembersRead,
		"List the roles of a service account", ""),
		func(ctx context.Context, in *ItemPage) (*plain[svcauth.List[svcauth.Grant]], error) {
			return page(m.cfg.Access.ServiceAccountRoles(ctx, in.ID, in.options()))
		})
	addGrant(m, operation("assignServiceAccountRole", "PUT", pathAccount+"/{id}/roles/{role_id}",
		tagAccounts, svcauth.MembersManage,
		"Assign a role to a service account",
		aboutGrants+"The answer is 200 and warns where credentials of the account were made by "+
			"who does not hold what it gains, or not for as long: whoever kept one can use it too; "+
			"end such a credential and make another. `default_refused` says that it gets no token "+
			"from now on without a scope or resource, and why."+aboutCaution),
		func(ctx context.Context, in *GrantOf) (*granted, error) {
			return in.grant(ctx, m.cfg.Access.AssignServiceAccountRole)
		})
	addDone(m, operation("unassignServiceAccountRole", "DELETE", pathAccount+"/{id}/roles/{role_id}",
		tagAccounts, svcauth.MembersManage,
		"Unassign a role from a service account",
		"Its tokens that carry the role die at once. It is no error if it does not hold the "+
			"role, nor if `grant` names a grant that is no longer there: then nothing happens."),
		func(ctx context.Context, in *UngrantOf) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error {
				return m.cfg.Access.UnassignServiceAccountRole(ctx, in.ID, in.RoleID, in.Grant)
			})
		})
}

func (m *API) accountTokens() {
	add(m, operation("listTokens", "GET", pathAccount+"/{id}/tokens", tagAccounts, svcauth.MembersRead,
		"List the live tokens of a service account",
		"Records of them, newest first. The tokens themselves are kept nowhere."),
		func(ctx context.Context, in *ItemPage) (*plain[svcauth.List[svcauth.LiveToken]], error) {
			return page(m.cfg.Access.Tokens(ctx, in.ID, in.options()))
		})
	addDone(m, operation("revokeToken", "DELETE", pathAccount+"/{id}/tokens/{jti}",
		tagAccounts, svcauth.MembersManage,
		"Revoke one token", ""),
		func(ctx context.Context, in *TokenOf) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error { return m.cfg.Access.RevokeToken(ctx, in.ID, in.JTI) })
		})
	addDone(m, operation("revokeTokens", "POST", pathAccount+"/{id}/revoke-tokens",
		tagAccounts, svcauth.MembersManage,
		"Revoke every token of a service account",
		"Those issued so far die at once. Its secrets stay good: it can get new ones."),
		func(ctx context.Context, in *ItemWait) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error { return m.cfg.Access.RevokeTokens(ctx, in.ID) })
		})
}
