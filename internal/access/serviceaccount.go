package access

import (
	"context"
	"errors"
	"slices"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// CreateServiceAccount makes a service account with its first secret, which is shown in the answer and never again. The caller must hold every
// privilege of the roles that it gets.
func (s *Service) CreateServiceAccount(ctx context.Context, n svcauth.NewServiceAccount) (made svcauth.ServiceAccount, err error) {
	op := operation{need: svcauth.MembersManage, action: "service_account.create", target: svcauth.AuditTarget{Kind: "service_account", Name: n.Name}, access: true}
	err = s.change(ctx, op, func(ctx context.Context, t *tx) error {
		if err := s.checkNewServiceAccount(&n, t); err != nil {
			return err
		}
		id := svcauth.NewIDAt(svcauth.PrefixServiceAccount, t.now)
		err := t.InsertClient(ctx, store.ClientRow{ID: id, OrgID: t.actor.OrgID, Kind: store.ClientServiceAccount, Name: n.Name, Description: n.Description,
			TTLSeconds: int64(n.TokenTTLSeconds), CreatedAt: t.now, CreatedByID: t.actor.ID, CreatedByName: t.actor.Name})
		if errors.Is(err, store.ErrConflict) {
			return svcauth.NewProblem(svcauth.CodeConflict, "A service account with the name %q exists already. Choose another name.", n.Name)
		}
		if err != nil {
			return err
		}
		made = svcauth.ServiceAccount{ID: id, ClientID: id, Name: n.Name, Description: n.Description, TokenTTLSeconds: s.effectiveTTL(n.TokenTTLSeconds),
			Roles: []svcauth.Ref{}, CreatedAt: t.now, CreatedBy: svcauth.Creator{ID: t.actor.ID, Email: t.actor.Name}, Version: 1}
		for _, roleID := range n.RoleIDs {
			role, err := s.grantableRole(ctx, t, roleID)
			if err != nil {
				return err
			}
			if err := t.PutGrant(ctx, store.GrantRow{OrgID: t.actor.OrgID, PrincipalID: id, RoleID: role.ID, GrantedAt: t.now}); err != nil {
				return err
			}
			made.Roles = append(made.Roles, svcauth.Ref{ID: role.ID, Name: role.Name})
		}
		info, secret, err := s.insertSecret(ctx, t, t.actor.OrgID, id, svcauth.NewSecretRequest{ExpiresAt: n.SecretExpiresAt})
		if err != nil {
			return err
		}
		made.Secrets = []svcauth.SecretInfo{info}
		t.target.ID, t.after = id, made // before the secret's text is added
		made.ClientSecret = secret
		return t.touch(ctx, t.actor.OrgID, store.ChangeClient, id)
	})
	if err != nil {
		return svcauth.ServiceAccount{}, err
	}
	return made, nil
}

func (s *Service) checkNewServiceAccount(n *svcauth.NewServiceAccount, t *tx) (err error) {
	if n.Name, err = validName("body.name", n.Name); err != nil {
		return err
	}
	if n.Description, err = validDescription("body.description", n.Description); err != nil {
		return err
	}
	if err := validTTL("body.token_ttl_seconds", n.TokenTTLSeconds); err != nil {
		return err
	}
	n.RoleIDs = slices.Compact(slices.Sorted(slices.Values(n.RoleIDs)))
	if len(n.RoleIDs) > svcauth.MaxRolesPerPrincipal {
		return svcauth.InvalidField("body.role_ids", "A service account holds at most %d roles.", svcauth.MaxRolesPerPrincipal)
	}
	return validExpiry("body.secret_expires_at", n.SecretExpiresAt, t.now)
}

func (s *Service) effectiveTTL(seconds int) int {
	if seconds == 0 {
		return int(s.cfg.DefaultTokenTTL.Seconds())
	}
	return seconds
}

// grantableRole reads a role that the caller may give to somebody: it must exist, not be Public, and hold nothing that the caller lacks.
func (s *Service) grantableRole(ctx context.Context, t *tx, roleID string) (store.RoleRow, error) {
	role, err := t.Role(ctx, t.actor.OrgID, roleID)
	if errors.Is(err, store.ErrNotFound) {
		return role, svcauth.NewProblem(svcauth.CodeNotFound, "There is no role with the id %q in your organization.", roleID)
	}
	if err != nil {
		return role, err
	}
	if role.Kind == store.RolePublic {
		return role, svcauth.NewProblem(svcauth.CodeConflict, "The role Public is held by everyone; it can't be assigned.")
	}
	org, err := t.Organization(ctx, t.actor.OrgID)
	if err != nil {
		return role, err
	}
	gives, err := s.roleGives(ctx, t.Q, role, org.Operator)
	if err != nil {
		return role, err
	}
	return role, t.actor.mayHandOver(gives, "assign the role "+role.Name)
}
