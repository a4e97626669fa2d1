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
		return org, svcauth.NewProblem(svcauth.CodeConflict, "An organization with the name %q exists already.", name)
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
