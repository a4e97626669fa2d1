package people

import (
	"context"
	"errors"
	"net/netip"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// NewTenant is an organization to be made with its first administrator.
type NewTenant struct {
	Name, AdminEmail string
	AdminPassword    svcauth.Secret // empty: one is made
	// Show shows what is made to whoever needs it, and is called just before it
	// is committed: if Show fails, nothing is made, and nothing that was made
	// is lost unseen. It has five seconds, for others wait. It may be nil.
	Show func(Tenant) error
}

// Tenant is what was made. Password and client secret are shown once.
type Tenant struct {
	Organization        svcauth.Organization
	AdminID, AdminEmail string
	AdminPassword       svcauth.Secret
	ApplicationKey      svcauth.ApplicationKey // with ClientSecret
}

// Bootstrapped reports whether the operator's organization exists.
func (s *Service) Bootstrapped(ctx context.Context) (bool, error) {
	_, err := s.read().OperatorOrganization(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, access.Problem(err, svcauth.AuditTarget{Kind: "organization"})
}

// Bootstrap makes the operator's organization `default`, its system roles, the
// first administrator and an application key for it, in one transaction. Of
// several processes that try at once one succeeds. The others, and every later
// one, get [svcauth.CodeConflict].
func (s *Service) Bootstrap(ctx context.Context, n NewTenant) (Tenant, error) {
	n.Name = "default"
	return s.addTenant(ctx, n, true)
}

// AddOrganization makes a further organization in the same way, on the
// database. It needs no caller: whoever reaches the database may do all.
func (s *Service) AddOrganization(ctx context.Context, n NewTenant) (Tenant, error) {
	return s.addTenant(ctx, n, false)
}

func (s *Service) addTenant(ctx context.Context, n NewTenant, operator bool) (made Tenant, err error) {
	if n.Name, err = access.ValidName("name", n.Name); err != nil {
		return made, err
	}
	if n.AdminEmail, err = validEmail("admin_email", n.AdminEmail); err != nil {
		return made, err
	}
	if n.AdminPassword == "" {
		n.AdminPassword = newPassword()
	} else if err := s.validPassword("admin_password", n.AdminPassword, n.AdminEmail, n.Name); err != nil {
		return made, err
	}
	var hash string
	if err := s.hashing.run(
		ctx, netip.Addr{}, true,
		func() bool { hash = s.hashing.hasher.Hash(n.AdminPassword); return true },
	); err != nil {
		return made, err
	}
	seen := false
	err = s.access.SystemChange(ctx, func(t *access.Tx) error {
		if made, err = s.tenantIn(ctx, t, n, hash, operator); err != nil || n.Show == nil {
			return err
		}
		seen = true
		return shown(func() error { return n.Show(made) })
	})
	if err != nil {
		return Tenant{}, notMade(seen, access.Problem(err, svcauth.AuditTarget{Kind: "organization"}))
	}
	return made, nil
}

func (s *Service) tenantIn(
	ctx context.Context,
	t *access.Tx,
	n NewTenant,
	passwordHash string,
	operator bool,
) (Tenant, error) {
	operators, err := t.OperatorOrganization(ctx)
	if operator && err == nil {
		return Tenant{}, svcauth.NewProblem(
			svcauth.CodeConflict,
			"This database has been bootstrapped already. Sign in as an administrator, or use another database.",
		)
	} else if err != nil && !(operator && errors.Is(err, store.ErrNotFound)) {
		if errors.Is(err, store.ErrNotFound) {
			return Tenant{}, svcauth.NewProblem(
				svcauth.CodeConflict,
				"This database has not been bootstrapped yet: run `svcauth bootstrap` first.",
			)
		}
		return Tenant{}, err
	}
	org, err := t.AddOrganization(ctx, n.Name, operator)
	if err != nil {
		return Tenant{}, err
	}
	t.Actor = access.CommandLine(org.ID)
	made := Tenant{
		Organization:  org,
		AdminID:       typeid.New(svcauth.PrefixMember, t.Now),
		AdminEmail:    n.AdminEmail,
		AdminPassword: n.AdminPassword,
	}
	if err := t.InsertMember(ctx, store.MemberRow{
		ID:            made.AdminID,
		OrgID:         org.ID,
		Email:         n.AdminEmail,
		PasswordHash:  passwordHash,
		CreatedAt:     t.Now,
		CreatedByID:   t.Actor.ID,
		CreatedByName: t.Actor.Name,
		ActivatedAt:   &t.Now,
	}); err != nil {
		return Tenant{}, err
	}
	role, err := t.SystemRole(ctx, org.ID, store.RoleAdministrator)
	if err != nil {
		return Tenant{}, err
	}
	if err := t.PutGrant(
		ctx,
		store.GrantRow{OrgID: org.ID, PrincipalID: made.AdminID, RoleID: role.ID, GrantedAt: t.Now},
	); err != nil {
		return Tenant{}, err
	}
	owner := svcauth.Creator{ID: made.AdminID, Email: n.AdminEmail}
	if made.ApplicationKey, err = t.AddApplicationKey(ctx, org.ID, owner, "made by bootstrap"); err != nil {
		return Tenant{}, err
	}
	t.Target = svcauth.AuditTarget{ID: org.ID, Kind: "organization", Name: org.Name}
	t.After, t.Also = org, operators.ID
	return made, t.Audit(ctx, "organization.bootstrap")
}

// CreateOrganization makes a tenant and invites its first Administrator; the
// operator's (organizations:manage). The link is in the answer, and mailed if
// mail is configured; a service account gets no link, as at
// [Service.InviteMember]. Problem: [svcauth.CodeConflict] if the name is taken.
func (s *Service) CreateOrganization(
	ctx context.Context,
	n svcauth.NewOrganization,
) (made svcauth.CreatedOrganization, err error) {
	var l link
	op := access.Operation{
		Requires: svcauth.OrganizationsManage,
		Operator: true,
		Action:   "organization.create",
		Target:   svcauth.AuditTarget{Kind: "organization", Name: n.Name},
	}
	err = s.access.Change(ctx, op, func(ctx context.Context, t *access.Tx) error {
		if n.Name, err = access.ValidName("body.name", n.Name); err != nil {
			return err
		}
		if n.AdminEmail, err = validEmail("body.admin_email", n.AdminEmail); err != nil {
			return err
		}
		if made.Organization, err = t.AddOrganization(ctx, n.Name, false); err != nil {
			return err
		}
		t.Target.ID, t.After, t.Also = made.ID, made.Organization, made.ID
		l, err = s.inviteAdministrator(ctx, t, made.ID, n.AdminEmail)
		return err
	})
	if err != nil {
		return svcauth.CreatedOrganization{}, err
	}
	made.InvitationURL, made.Invitation = l.url, s.invitationNoun(l.row)
	s.send(l)
	return made, nil
}

func (s *Service) inviteAdministrator(ctx context.Context, t *access.Tx, orgID, email string) (link, error) {
	admin := store.MemberRow{
		ID:            typeid.New(svcauth.PrefixMember, t.Now),
		OrgID:         orgID,
		Email:         email,
		CreatedAt:     t.Now,
		CreatedByID:   t.Actor.ID,
		CreatedByName: t.Actor.Name,
	}
	if err := t.InsertMember(ctx, admin); err != nil {
		return link{}, err
	}
	role, err := t.SystemRole(ctx, orgID, store.RoleAdministrator)
	if err != nil {
		return link{}, err
	}
	if err := t.PutGrant(
		ctx,
		store.GrantRow{OrgID: orgID, PrincipalID: admin.ID, RoleID: role.ID, GrantedAt: t.Now},
	); err != nil {
		return link{}, err
	}
	return s.makeLink(ctx, t, admin, store.InvitationInvite)
}
