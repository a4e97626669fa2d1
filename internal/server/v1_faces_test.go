package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// calls are the calls of contract §3 as [svcauth.Client] has them. The tests of
// the rules call the client over HTTP, and direct without HTTP.
type calls interface {
	CreateServiceAccount(context.Context, svcauth.NewServiceAccount) (svcauth.ServiceAccount, error)
	ServiceAccount(context.Context, string) (svcauth.ServiceAccount, error)
	ServiceAccounts(context.Context, svcauth.ListOptions) (svcauth.List[svcauth.ServiceAccount], error)
	UpdateServiceAccount(context.Context, string, int64, svcauth.ServiceAccountPatch,
		time.Duration) (svcauth.ServiceAccount, error)
	DeleteServiceAccount(context.Context, string, time.Duration) (*svcauth.Enforcement, error)
	ServiceAccountRoles(context.Context, string, svcauth.ListOptions) (svcauth.List[svcauth.Grant], error)
	AssignServiceAccountRole(context.Context, string, string, svcauth.GrantRequest) (svcauth.GrantAnswer, error)
	UnassignServiceAccountRole(context.Context, string, string, string, time.Duration) (*svcauth.Enforcement, error)
	Tokens(context.Context, string, svcauth.ListOptions) (svcauth.List[svcauth.LiveToken], error)
	RevokeToken(context.Context, string, string, time.Duration) (*svcauth.Enforcement, error)
	RevokeTokens(context.Context, string, time.Duration) (*svcauth.Enforcement, error)
	Secrets(context.Context, string) (svcauth.List[svcauth.SecretInfo], error)
	CreateSecret(context.Context, string, svcauth.NewSecretRequest) (svcauth.SecretInfo, error)
	UpdateSecret(context.Context, string, string, svcauth.SecretPatch) (svcauth.SecretInfo, error)
	DeleteSecret(context.Context, string, string, bool, time.Duration) (*svcauth.Enforcement, error)
	CreateApplicationKey(context.Context, svcauth.NewApplicationKey) (svcauth.ApplicationKey, error)
	ApplicationKey(context.Context, string) (svcauth.ApplicationKey, error)
	ApplicationKeys(context.Context, svcauth.ListOptions) (svcauth.List[svcauth.ApplicationKey], error)
	DeleteApplicationKey(context.Context, string, time.Duration) (*svcauth.Enforcement, error)
	CreateRole(context.Context, svcauth.NewRole) (svcauth.Role, error)
	Role(context.Context, string) (svcauth.Role, error)
	Roles(context.Context, svcauth.ListOptions) (svcauth.List[svcauth.Role], error)
	UpdateRole(context.Context, string, int64, svcauth.RolePatch, time.Duration) (svcauth.Role, error)
	DeleteRole(context.Context, string, time.Duration) (*svcauth.Enforcement, error)
	InviteMember(context.Context, svcauth.NewMember) (svcauth.Member, error)
	Member(context.Context, string) (svcauth.Member, error)
	Members(context.Context, svcauth.ListOptions) (svcauth.List[svcauth.Member], error)
	UpdateMember(context.Context, string, int64, svcauth.MemberPatch, time.Duration) (svcauth.Member, error)
	ResetMember(context.Context, string) (svcauth.Member, error)
	DeleteMember(context.Context, string, time.Duration) (*svcauth.Enforcement, error)
	MemberRoles(context.Context, string, svcauth.ListOptions) (svcauth.List[svcauth.Grant], error)
	AssignMemberRole(context.Context, string, string, svcauth.GrantRequest) (svcauth.GrantAnswer, error)
	UnassignMemberRole(context.Context, string, string, string, time.Duration) (*svcauth.Enforcement, error)
	Organization(context.Context) (svcauth.Organization, error)
	UpdateOrganization(context.Context, int64, svcauth.OrganizationPatch) (svcauth.Organization, error)
	CreateOrganization(context.Context, svcauth.NewOrganization) (svcauth.CreatedOrganization, error)
	OrganizationByID(context.Context, string) (svcauth.Organization, error)
	Organizations(context.Context, svcauth.ListOptions) (svcauth.List[svcauth.Organization], error)
	UpdateOrganizationByID(context.Context, string, int64, svcauth.OrganizationPatch) (svcauth.Organization, error)
	DeleteOrganization(context.Context, string, time.Duration) (*svcauth.Enforcement, error)
	AuditEvents(context.Context, svcauth.AuditFilter) (svcauth.List[svcauth.AuditEvent], error)
	APIs(context.Context, svcauth.ListOptions) (svcauth.List[svcauth.API], error)
	Privileges(context.Context, svcauth.ListOptions) (svcauth.List[svcauth.Privilege], error)
	SigningKeys(context.Context) (svcauth.List[svcauth.SigningKey], error)
	RotateSigningKeys(context.Context, svcauth.KeyRotation) (svcauth.List[svcauth.SigningKey], error)
	RevokeSigningKey(context.Context, string) (string, error)
	Me(context.Context) (svcauth.Me, error)
	Explain(context.Context, svcauth.ExplainRequest) (svcauth.Explanation, error)
}

// direct calls packages access and people themselves, as the bearer of a new
// token of a client. Methods of the embedded service that have the signature in
// calls are taken as they are, but for the context.
type direct struct {
	t      *testing.T
	s      *svctest.Server
	id     string
	secret svcauth.Secret
}

// as puts the bearer of a new token into the context. If none can be had, the
// call fails as it does over HTTP.
func (d direct) as(ctx context.Context) (context.Context, *access.Service) {
	principal, err := d.s.App.Token.VerifyOwn(ctx, d.s.OwnToken(d.id, d.secret))
	require.NoError(d.t, err)
	actor, err := d.s.App.Access.TokenActor(ctx, principal)
	require.NoError(d.t, err)
	actor.RequestID = "req_direct"
	return access.WithActor(ctx, actor), d.s.App.Access
}

func none(err error) (*svcauth.Enforcement, error) { return nil, err }

func (d direct) CreateServiceAccount(ctx context.Context, n svcauth.NewServiceAccount) (svcauth.ServiceAccount, error) {
	ctx, a := d.as(ctx)
	return a.CreateServiceAccount(ctx, n)
}

func (d direct) ServiceAccount(ctx context.Context, id string) (svcauth.ServiceAccount, error) {
	ctx, a := d.as(ctx)
	return a.ServiceAccount(ctx, id)
}

func (d direct) ServiceAccounts(ctx context.Context,
	o svcauth.ListOptions) (svcauth.List[svcauth.ServiceAccount], error) {
	ctx, a := d.as(ctx)
	return a.ServiceAccounts(ctx, o)
}

func (d direct) UpdateServiceAccount(ctx context.Context, id string, v int64, p svcauth.ServiceAccountPatch,
	_ time.Duration) (svcauth.ServiceAccount, error) {
	ctx, a := d.as(ctx)
	return a.UpdateServiceAccount(ctx, id, v, p)
}

func (d direct) DeleteServiceAccount(ctx context.Context, id string, _ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.DeleteServiceAccount(ctx, id))
}

func (d direct) ServiceAccountRoles(ctx context.Context, id string,
	o svcauth.ListOptions) (svcauth.List[svcauth.Grant], error) {
	ctx, a := d.as(ctx)
	return a.ServiceAccountRoles(ctx, id, o)
}

func (d direct) AssignServiceAccountRole(ctx context.Context, id, roleID string,
	g svcauth.GrantRequest) (svcauth.GrantAnswer, error) {
	ctx, a := d.as(ctx)
	return a.AssignServiceAccountRole(ctx, id, roleID, g)
}

func (d direct) UnassignServiceAccountRole(ctx context.Context, id, roleID, grantID string,
	_ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.UnassignServiceAccountRole(ctx, id, roleID, grantID))
}

func (d direct) Tokens(ctx context.Context, id string, o svcauth.ListOptions) (svcauth.List[svcauth.LiveToken], error) {
	ctx, a := d.as(ctx)
	return a.Tokens(ctx, id, o)
}

func (d direct) RevokeToken(ctx context.Context, id, jti string, _ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.RevokeToken(ctx, id, jti))
}

func (d direct) RevokeTokens(ctx context.Context, id string, _ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.RevokeTokens(ctx, id))
}

func (d direct) Secrets(ctx context.Context, id string) (svcauth.List[svcauth.SecretInfo], error) {
	ctx, a := d.as(ctx)
	return a.Secrets(ctx, id)
}

func (d direct) CreateSecret(ctx context.Context, id string, n svcauth.NewSecretRequest) (svcauth.SecretInfo, error) {
	ctx, a := d.as(ctx)
	return a.CreateSecret(ctx, id, n)
}

func (d direct) UpdateSecret(ctx context.Context, id, secretID string,
	p svcauth.SecretPatch) (svcauth.SecretInfo, error) {
	ctx, a := d.as(ctx)
	return a.UpdateSecret(ctx, id, secretID, p)
}

func (d direct) DeleteSecret(ctx context.Context, id, secretID string, revoke bool,
	_ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.DeleteSecret(ctx, id, secretID, revoke))
}

func (d direct) CreateApplicationKey(ctx context.Context, n svcauth.NewApplicationKey) (svcauth.ApplicationKey, error) {
	ctx, a := d.as(ctx)
	return a.CreateApplicationKey(ctx, n)
}

func (d direct) ApplicationKey(ctx context.Context, id string) (svcauth.ApplicationKey, error) {
	ctx, a := d.as(ctx)
	return a.ApplicationKey(ctx, id)
}

func (d direct) ApplicationKeys(ctx context.Context,
	o svcauth.ListOptions) (svcauth.List[svcauth.ApplicationKey], error) {
	ctx, a := d.as(ctx)
	return a.ApplicationKeys(ctx, o)
}

func (d direct) DeleteApplicationKey(ctx context.Context, id string, _ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.DeleteApplicationKey(ctx, id))
}

func (d direct) CreateRole(ctx context.Context, n svcauth.NewRole) (svcauth.Role, error) {
	ctx, a := d.as(ctx)
	return a.CreateRole(ctx, n)
}

func (d direct) Role(ctx context.Context, id string) (svcauth.Role, error) {
	ctx, a := d.as(ctx)
	return a.Role(ctx, id)
}

func (d direct) Roles(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.Role], error) {
	ctx, a := d.as(ctx)
	return a.Roles(ctx, o)
}

func (d direct) UpdateRole(ctx context.Context, id string, v int64, p svcauth.RolePatch,
	_ time.Duration) (svcauth.Role, error) {
	ctx, a := d.as(ctx)
	return a.UpdateRole(ctx, id, v, p)
}

func (d direct) DeleteRole(ctx context.Context, id string, _ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.DeleteRole(ctx, id))
}

func (d direct) InviteMember(ctx context.Context, n svcauth.NewMember) (svcauth.Member, error) {
	ctx, _ = d.as(ctx)
	return d.s.App.People.InviteMember(ctx, n)
}

func (d direct) Member(ctx context.Context, id string) (svcauth.Member, error) {
	ctx, _ = d.as(ctx)
	return d.s.App.People.Member(ctx, id)
}

func (d direct) Members(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.Member], error) {
	ctx, _ = d.as(ctx)
	return d.s.App.People.Members(ctx, o)
}

func (d direct) UpdateMember(ctx context.Context, id string, v int64, p svcauth.MemberPatch,
	_ time.Duration) (svcauth.Member, error) {
	ctx, _ = d.as(ctx)
	return d.s.App.People.UpdateMember(ctx, id, v, p)
}

func (d direct) ResetMember(ctx context.Context, id string) (svcauth.Member, error) {
	ctx, _ = d.as(ctx)
	return d.s.App.People.ResetMember(ctx, id)
}

func (d direct) DeleteMember(ctx context.Context, id string, _ time.Duration) (*svcauth.Enforcement, error) {
	ctx, _ = d.as(ctx)
	return none(d.s.App.People.DeleteMember(ctx, id))
}

func (d direct) MemberRoles(ctx context.Context, id string,
	o svcauth.ListOptions) (svcauth.List[svcauth.Grant], error) {
	ctx, a := d.as(ctx)
	return a.MemberRoles(ctx, id, o)
}

func (d direct) AssignMemberRole(ctx context.Context, id, roleID string,
	r svcauth.GrantRequest) (svcauth.GrantAnswer, error) {
	ctx, a := d.as(ctx)
	return a.AssignMemberRole(ctx, id, roleID, r)
}

func (d direct) UnassignMemberRole(ctx context.Context, id, roleID, grantID string,
	_ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.UnassignMemberRole(ctx, id, roleID, grantID))
}

func (d direct) Organization(ctx context.Context) (svcauth.Organization, error) {
	ctx, a := d.as(ctx)
	return a.Organization(ctx)
}

func (d direct) UpdateOrganization(ctx context.Context, v int64,
	p svcauth.OrganizationPatch) (svcauth.Organization, error) {
	ctx, a := d.as(ctx)
	return a.UpdateOrganization(ctx, v, p)
}

func (d direct) CreateOrganization(ctx context.Context,
	n svcauth.NewOrganization) (svcauth.CreatedOrganization, error) {
	ctx, _ = d.as(ctx)
	return d.s.App.People.CreateOrganization(ctx, n)
}

func (d direct) OrganizationByID(ctx context.Context, id string) (svcauth.Organization, error) {
	ctx, a := d.as(ctx)
	return a.OrganizationByID(ctx, id)
}

func (d direct) Organizations(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.Organization], error) {
	ctx, a := d.as(ctx)
	return a.Organizations(ctx, o)
}

func (d direct) UpdateOrganizationByID(ctx context.Context, id string, v int64,
	p svcauth.OrganizationPatch) (svcauth.Organization, error) {
	ctx, a := d.as(ctx)
	return a.UpdateOrganizationByID(ctx, id, v, p)
}

func (d direct) DeleteOrganization(ctx context.Context, id string, _ time.Duration) (*svcauth.Enforcement, error) {
	ctx, a := d.as(ctx)
	return none(a.DeleteOrganization(ctx, id))
}

func (d direct) AuditEvents(ctx context.Context, f svcauth.AuditFilter) (svcauth.List[svcauth.AuditEvent], error) {
	ctx, a := d.as(ctx)
	return a.AuditEvents(ctx, f)
}

func (d direct) APIs(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.API], error) {
	ctx, a := d.as(ctx)
	return a.APIs(ctx, o)
}

func (d direct) Privileges(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.Privilege], error) {
	ctx, a := d.as(ctx)
	return a.Privileges(ctx, o)
}

func (d direct) SigningKeys(ctx context.Context) (svcauth.List[svcauth.SigningKey], error) {
	ctx, a := d.as(ctx)
	return a.SigningKeys(ctx, svcauth.ListOptions{})
}

func (d direct) RotateSigningKeys(
	ctx context.Context, r svcauth.KeyRotation,
) (svcauth.List[svcauth.SigningKey], error) {
	ctx, a := d.as(ctx)
	return a.RotateSigningKeys(ctx, r)
}

func (d direct) RevokeSigningKey(ctx context.Context, kid string) (string, error) {
	ctx, a := d.as(ctx)
	return a.RevokeSigningKey(ctx, kid)
}

func (d direct) Me(ctx context.Context) (svcauth.Me, error) {
	ctx, a := d.as(ctx)
	return a.Me(ctx)
}

func (d direct) Explain(ctx context.Context, r svcauth.ExplainRequest) (svcauth.Explanation, error) {
	ctx, _ = d.as(ctx)
	return d.s.App.Token.Explain(ctx, r)
}

// join makes a member with these roles as people become one: invited, the link
// opened, a password chosen, an application key made.
func join(t *testing.T, s *svctest.Server, admin *svcauth.Client, email string,
	roleIDs ...string) (svcauth.Member, svcauth.ApplicationKey) {
	t.Helper()
	member, err := admin.InviteMember(t.Context(),
		svcauth.NewMember{Email: email, FirstName: "A", LastName: "B", RoleIDs: roleIDs})
	require.NoError(t, err)
	_, link, found := strings.Cut(member.InvitationURL, "token=")
	require.True(t, found, member.InvitationURL)
	const password = "a long enough passphrase for tests"
	_, err = s.App.People.AcceptInvitation(t.Context(), svcauth.Secret(link), password)
	require.NoError(t, err)
	in, err := s.App.People.SignIn(t.Context(), people.SignInRequest{Email: email, Password: password})
	require.NoError(t, err)
	actor, _, err := s.App.People.SessionActor(t.Context(), in)
	require.NoError(t, err)
	key, err := s.App.Access.CreateApplicationKey(access.WithActor(t.Context(), actor),
		svcauth.NewApplicationKey{Description: email})
	require.NoError(t, err)
	member, err = admin.Member(t.Context(), member.ID)
	require.NoError(t, err)
	return member, key
}
