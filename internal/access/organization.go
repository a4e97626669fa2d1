package access

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// AddOrganization makes an organization with its two system roles.
func (t *Tx) AddOrganization(ctx context.Context, name string, operator bool) (svcauth.Organization, error) {
	org := svcauth.Organization{
		ID:        typeid.New(svcauth.PrefixOrganization, t.Now),
		Name:      name,
		Operator:  operator,
		CreatedAt: t.Now,
		Version:   1,

		PasswordSignIn:  svcauth.PasswordSignInOn,
		SharedSecrets:   svcauth.SharedSecretsAllowed,
		ApplicationKeys: svcauth.ApplicationKeysAllowed,
	}
	err := t.InsertOrganization(ctx, org)
	if errors.Is(err, store.ErrConflict) {
		return org, nameTaken(name)
	}
	if err != nil {
		return org, err
	}
	for _, r := range []store.RoleRow{
		{
			Kind:        store.RoleAdministrator,
			Name:        svcauth.RoleAdministrator,
			Description: "Every privilege that this organization can have",
		},
		{Kind: store.RolePublic, Name: svcauth.RolePublic, Description: "Held by everyone"},
	} {
		r.ID, r.OrgID, r.CreatedAt = typeid.New(svcauth.PrefixRole, t.Now), org.ID, t.Now
		if err := t.InsertRole(ctx, r, nil); err != nil {
			return org, err
		}
	}
	return org, nil
}

// Organization gets the caller's own; it needs settings:manage.
func (s *Service) Organization(ctx context.Context) (svcauth.Organization, error) {
	a, err := Caller(ctx, svcauth.SettingsManage)
	if err != nil {
		return svcauth.Organization{}, err
	}
	org, err := s.read().Organization(ctx, a.OrgID)
	return org, Problem(err, svcauth.AuditTarget{Kind: "organization"})
}

// UpdateOrganization changes the caller's own. It needs settings:manage, and a
// member: a service account must not let itself manage access. With version 0
// it changes whatever version there is.
func (s *Service) UpdateOrganization(
	ctx context.Context,
	version int64,
	patch svcauth.OrganizationPatch,
) (svcauth.Organization, error) {
	a, _ := ActorFrom(ctx)
	return s.updateOrganization(ctx, Operation{Requires: svcauth.SettingsManage}, a.OrgID, version, patch)
}

// UpdateOrganizationByID changes any organization. It is the operator's
// (organizations:manage).
func (s *Service) UpdateOrganizationByID(
	ctx context.Context,
	id string,
	version int64,
	patch svcauth.OrganizationPatch,
) (svcauth.Organization, error) {
	return s.updateOrganization(ctx, Operation{
		Requires: svcauth.OrganizationsManage,
		Operator: true,
	}, id, version, patch)
}

func (s *Service) updateOrganization(
	ctx context.Context,
	op Operation,
	id string,
	version int64,
	patch svcauth.OrganizationPatch,
) (changed svcauth.Organization, err error) {
	op.Action, op.Target = "organization.update", svcauth.AuditTarget{Kind: "organization", ID: id}
	if err := s.mayRefuseSecrets(ctx, op, id, patch); err != nil {
		return changed, err
	}
	err = s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		was, err := organizationRow(ctx, t.Q, id)
		if err != nil {
			return err
		}
		t.Target.Name, t.Before, t.Also = was.Name, was, was.ID
		if version != 0 && version != was.Version {
			return store.ErrStale
		}
		org, err := t.patchedOrganization(ctx, was, patch)
		if err != nil {
			return err
		}
		changed = org
		if t.Silent = org == was; t.Silent {
			return nil
		}
		if err := t.UpdateOrganization(ctx, org); errors.Is(err, store.ErrConflict) {
			return nameTaken(org.Name)
		} else if err != nil {
			return err
		}
		if err := t.endRefusedSecrets(ctx, was, org); err != nil {
			return err
		}
		changed.Version++
		t.After = changed
		return t.touch(ctx, id, store.ChangeOrg, id)
	})
	return changed, err
}

// patchedOrganization returns what becomes of an organization by a patch. It
// refuses what the caller may not set.
func (t *Tx) patchedOrganization(
	ctx context.Context,
	was svcauth.Organization,
	patch svcauth.OrganizationPatch,
) (org svcauth.Organization, err error) {
	org = was
	if patch.Name != nil {
		if org.Name, err = ValidName("body.name", *patch.Name); err != nil {
			return org, err
		}
	}
	if allow := patch.ServiceAccountsMayManageAccess; allow != nil {
		if *allow && !was.ServiceAccountsMayManageAccess && t.Actor.Kind == svcauth.KindServiceAccount {
			return org, svcauth.NewProblem(svcauth.CodeForbidden,
				"A service account may not turn on service_accounts_may_manage_access: a member decides that.")
		}
		org.ServiceAccountsMayManageAccess = *allow
	}
	if want := patch.PasswordSignIn; want != nil {
		if err := t.maySetPasswordSignIn(ctx, was, *want); err != nil {
			return org, err
		}
		org.PasswordSignIn = *want
	}
	err = setSecretPolicy(&org, patch)
	return org, err
}

func organizationRow(ctx context.Context, q *store.Q, id string) (svcauth.Organization, error) {
	if err := checkID(svcauth.PrefixOrganization, id); err != nil {
		return svcauth.Organization{}, err
	}
	return q.Organization(ctx, id)
}

func nameTaken(name string) error {
	return svcauth.NewProblem(svcauth.CodeConflict,
		"An organization with the name %q exists already. Choose another name.", name)
}

// mustBeOperator refuses a caller that is not the operator, with a privilege
// that only the operator's organization has.
func mustBeOperator(ctx context.Context, privilege string) error {
	a, err := Caller(ctx, privilege)
	if err == nil && !a.Operator {
		err = notOperator()
	}
	return err
}

func notOperator() error {
	return svcauth.NewProblem(svcauth.CodeForbidden,
		"Only the operator of this server may do this, from the operator's own organization.")
}

// OrganizationByID returns any organization. It is the operator's
// (organizations:manage).
func (s *Service) OrganizationByID(ctx context.Context, id string) (svcauth.Organization, error) {
	if err := mustBeOperator(ctx, svcauth.OrganizationsManage); err != nil {
		return svcauth.Organization{}, err
	}
	org, err := organizationRow(ctx, s.read(), id)
	return org, Problem(err, svcauth.AuditTarget{Kind: "organization"})
}

// Organizations lists all, newest first; the operator's (organizations:manage).
func (s *Service) Organizations(
	ctx context.Context,
	o svcauth.ListOptions,
) (none svcauth.List[svcauth.Organization], err error) {
	if err := mustBeOperator(ctx, svcauth.OrganizationsManage); err != nil {
		return none, err
	}
	before, limit, err := paging.Below(o, svcauth.PrefixOrganization)
	if err != nil {
		return none, err
	}
	all, err := s.read().Organizations(ctx, before, limit+1)
	if err != nil {
		return none, Problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	return paging.List(all, limit, func(o svcauth.Organization) string { return o.ID }), nil
}

// DeleteOrganization removes a tenant with all that belongs to it, except its
// audit log. It is the operator's (organizations:manage). The tenant's tokens
// die at once, by one revocation however many there are. Its rows are deleted
// in small portions afterwards (see [store.Q.DeleteRemoved]), by whichever node
// cleans up next. Problem: [svcauth.CodeConflict] for the operator's own.
func (s *Service) DeleteOrganization(ctx context.Context, id string) error {
	op := Operation{
		Requires: svcauth.OrganizationsManage,
		Operator: true,
		Action:   "organization.delete",
		Target:   svcauth.AuditTarget{Kind: "organization", ID: id},
	}
	return s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		org, err := organizationRow(ctx, t.Q, id)
		if err != nil {
			return err
		}
		t.Target.Name, t.Before, t.Also = org.Name, org, org.ID
		if org.Operator {
			return svcauth.NewProblem(svcauth.CodeConflict,
				"This is the operator's own organization: without it nobody could manage this "+
					"server. It can't be deleted.")
		}
		pol, err := t.RaisePolicy(ctx, id)
		if err != nil {
			return err
		}
		// One more than any token of it can carry: a node of the previous
		// release finds its clients until they are deleted, and what it issues
		// is born revoked.
		if err := t.revoke(ctx, id, svcauth.Revocation{OrgID: id, MinPol: pol + 1}); err != nil {
			return err
		}
		if err := t.touch(ctx, id, store.ChangeOrg, id); err != nil {
			return err
		}
		return t.RemoveOrganization(ctx, id)
	})
}
