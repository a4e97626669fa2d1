package access

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// addOrganization makes an organization with its two system roles.
func (s *Service) addOrganization(ctx context.Context, t *tx, name string, operator bool) (svcauth.Organization, error) {
	org := svcauth.Organization{ID: svcauth.NewIDAt(svcauth.PrefixOrganization, t.now), Name: name, Operator: operator, CreatedAt: t.now, Version: 1}
	err := t.InsertOrganization(ctx, org)
	if errors.Is(err, store.ErrConflict) {
		return org, nameTaken(name)
	}
	if err != nil {
		return org, err
	}
	for _, r := range []store.RoleRow{
		{Kind: store.RoleAdministrator, Name: svcauth.RoleAdministrator, Description: "Every privilege that this organization can have"},
		{Kind: store.RolePublic, Name: svcauth.RolePublic, Description: "Held by everyone"},
	} {
		r.ID, r.OrgID, r.CreatedAt = svcauth.NewIDAt(svcauth.PrefixRole, t.now), org.ID, t.now
		if err := t.InsertRole(ctx, r, nil); err != nil {
			return org, err
		}
	}
	return org, nil
}

// Organization gets the caller's own; it needs settings:manage.
func (s *Service) Organization(ctx context.Context) (svcauth.Organization, error) {
	a, err := caller(ctx, svcauth.SettingsManage)
	if err != nil {
		return svcauth.Organization{}, err
	}
	org, err := s.read().Organization(ctx, a.OrgID)
	return org, s.problem(err, svcauth.AuditTarget{Kind: "organization"})
}

// UpdateOrganization changes the caller's own; it needs settings:manage, and a member: a service account must not let itself manage access. version 0: whatever it is.
func (s *Service) UpdateOrganization(ctx context.Context, version int64, patch svcauth.OrganizationPatch) (svcauth.Organization, error) {
	a, _ := ActorFrom(ctx)
	return s.updateOrganization(ctx, operation{need: svcauth.SettingsManage}, a.OrgID, version, patch)
}

// UpdateOrganizationByID changes any organization; the operator's (organizations:manage).
func (s *Service) UpdateOrganizationByID(ctx context.Context, id string, version int64, patch svcauth.OrganizationPatch) (svcauth.Organization, error) {
	return s.updateOrganization(ctx, operation{need: svcauth.OrganizationsManage, operator: true}, id, version, patch)
}

func (s *Service) updateOrganization(ctx context.Context, op operation, id string, version int64, patch svcauth.OrganizationPatch) (changed svcauth.Organization, err error) {
	op.action, op.target = "organization.update", svcauth.AuditTarget{Kind: "organization", ID: id}
	err = s.change(ctx, op, func(ctx context.Context, t *tx) error {
		was, err := organizationRow(ctx, t.Q, id)
		if err != nil {
			return err
		}
		t.target.Name, t.before, t.also = was.Name, was, was.ID
		if version != 0 && version != was.Version {
			return store.ErrStale
		}
		org := was
		if patch.Name != nil {
			if org.Name, err = validName("body.name", *patch.Name); err != nil {
				return err
			}
		}
		if allow := patch.ServiceAccountsMayManageAccess; allow != nil {
			if *allow && !was.ServiceAccountsMayManageAccess && t.actor.Kind == svcauth.KindServiceAccount {
				return svcauth.NewProblem(svcauth.CodeForbidden, "A service account may not turn on service_accounts_may_manage_access: a member decides that.")
			}
			org.ServiceAccountsMayManageAccess = *allow
		}
		changed = org
		if t.silent = org == was; t.silent {
			return nil
		}
		if err := t.UpdateOrganization(ctx, org); errors.Is(err, store.ErrConflict) {
			return nameTaken(org.Name)
		} else if err != nil {
			return err
		}
		changed.Version++
		t.after = changed
		return t.touch(ctx, id, store.ChangeOrg, id)
	})
	return changed, err
}

func organizationRow(ctx context.Context, q *store.Q, id string) (svcauth.Organization, error) {
	if err := checkID(svcauth.PrefixOrganization, id); err != nil {
		return svcauth.Organization{}, err
	}
	return q.Organization(ctx, id)
}

func nameTaken(name string) error {
	return svcauth.NewProblem(svcauth.CodeConflict, "An organization with the name %q exists already. Choose another name.", name)
}

// operatorCaller gives the caller where it is the operator, with a privilege that only the operator's organization has.
func operatorCaller(ctx context.Context, privilege string) (Actor, error) {
	a, err := caller(ctx, privilege)
	if err == nil && !a.Operator {
		err = notOperator()
	}
	return a, err
}

func notOperator() error {
	return svcauth.NewProblem(svcauth.CodeForbidden, "Only the operator of this server may do this, from the operator's own organization.")
}

// OrganizationByID gets any organization; the operator's (organizations:manage).
func (s *Service) OrganizationByID(ctx context.Context, id string) (svcauth.Organization, error) {
	if _, err := operatorCaller(ctx, svcauth.OrganizationsManage); err != nil {
		return svcauth.Organization{}, err
	}
	org, err := organizationRow(ctx, s.read(), id)
	return org, s.problem(err, svcauth.AuditTarget{Kind: "organization"})
}

// Organizations lists all, newest first; the operator's (organizations:manage).
func (s *Service) Organizations(ctx context.Context, o svcauth.ListOptions) (none svcauth.List[svcauth.Organization], err error) {
	if _, err := operatorCaller(ctx, svcauth.OrganizationsManage); err != nil {
		return none, err
	}
	before, limit, err := pageOf(o, svcauth.PrefixOrganization)
	if err != nil {
		return none, err
	}
	all, err := s.read().Organizations(ctx, before, limit+1)
	if err != nil {
		return none, s.problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	return listOf(all, limit, func(o svcauth.Organization) string { return o.ID }), nil
}

// CreateOrganization makes a tenant and invites its first Administrator; the
// operator's (organizations:manage). The link is in the answer, and mailed if
// mail is configured; a service account gets no link, as at
// [Service.InviteMember]. Problem: [svcauth.CodeConflict] if the name is taken.
func (s *Service) CreateOrganization(ctx context.Context, n svcauth.NewOrganization) (made svcauth.CreatedOrganization, err error) {
	var l link
	op := operation{need: svcauth.OrganizationsManage, operator: true, action: "organization.create", target: svcauth.AuditTarget{Kind: "organization", Name: n.Name}}
	err = s.change(ctx, op, func(ctx context.Context, t *tx) error {
		if n.Name, err = validName("body.name", n.Name); err != nil {
			return err
		}
		if n.AdminEmail, err = validEmail("body.admin_email", n.AdminEmail); err != nil {
			return err
		}
		if made.Organization, err = s.addOrganization(ctx, t, n.Name, false); err != nil {
			return err
		}
		t.target.ID, t.after, t.also = made.ID, made.Organization, made.ID
		l, err = s.inviteAdministrator(ctx, t, made.ID, n.AdminEmail)
		return err
	})
	if err != nil {
		return svcauth.CreatedOrganization{}, err
	}
	made.InvitationURL = l.url
	s.send(l)
	return made, nil
}

func (s *Service) inviteAdministrator(ctx context.Context, t *tx, orgID, email string) (link, error) {
	admin := store.MemberRow{ID: svcauth.NewIDAt(svcauth.PrefixMember, t.now), OrgID: orgID, Email: email, CreatedAt: t.now, CreatedByID: t.actor.ID, CreatedByName: t.actor.Name}
	if err := t.InsertMember(ctx, admin); err != nil {
		return link{}, err
	}
	role, err := t.SystemRole(ctx, orgID, store.RoleAdministrator)
	if err != nil {
		return link{}, err
	}
	if err := t.PutGrant(ctx, store.GrantRow{OrgID: orgID, PrincipalID: admin.ID, RoleID: role.ID, GrantedAt: t.now}); err != nil {
		return link{}, err
	}
	return t.makeLink(ctx, admin, store.InvitationInvite)
}

// DeleteOrganization removes a tenant with all that belongs to it, its audit log aside; the operator's (organizations:manage). Its tokens die at once, by one
// revocation however many there are; its rows are deleted in small portions afterwards (see [store.Q.DeleteRemoved]), by whichever node cleans up next. Problem: [svcauth.CodeConflict] for the operator's own.
func (s *Service) DeleteOrganization(ctx context.Context, id string) error {
	op := operation{need: svcauth.OrganizationsManage, operator: true, action: "organization.delete", target: svcauth.AuditTarget{Kind: "organization", ID: id}}
	return s.change(ctx, op, func(ctx context.Context, t *tx) error {
		org, err := organizationRow(ctx, t.Q, id)
		if err != nil {
			return err
		}
		t.target.Name, t.before, t.also = org.Name, org, org.ID
		if org.Operator {
			return svcauth.NewProblem(svcauth.CodeConflict, "This is the operator's own organization: without it nobody could manage this server. It can't be deleted.")
		}
		pol, err := t.RaisePolicy(ctx, id)
		if err != nil {
			return err
		}
		// One more than any token of it can carry: a node of the previous release finds its clients until they are deleted, and what it issues is born revoked.
		if err := t.revoke(ctx, id, svcauth.Revocation{OrgID: id, MinPol: pol + 1}); err != nil {
			return err
		}
		if err := t.touch(ctx, id, store.ChangeOrg, id); err != nil {
			return err
		}
		return t.RemoveOrganization(ctx, id)
	})
}
