package access

import (
	"context"
	"errors"
	"net/netip"

	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// NewTenant is an organization to be made with its first administrator.
type NewTenant struct {
	Name, AdminEmail string
	AdminPassword    svcauth.Secret // empty: one is made
}

// Tenant is what was made. Password and client secret are shown once.
type Tenant struct {
	Organization        svcauth.Organization
	AdminID, AdminEmail string
	AdminPassword       svcauth.Secret
	ApplicationKey      svcauth.ApplicationKey // with ClientSecret
}

// Bootstrapped says whether the operator's organization exists.
func (s *Service) Bootstrapped(ctx context.Context) (bool, error) {
	_, err := s.read().OperatorOrganization(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, s.problem(err, svcauth.AuditTarget{Kind: "organization"})
}

// Bootstrap makes the operator's organization `default`, its system roles, the first administrator and an application key for it, in one
// transaction. Of several processes that try at once one succeeds; the others, and every later one, get a conflict.
func (s *Service) Bootstrap(ctx context.Context, n NewTenant) (Tenant, error) {
	n.Name = "default"
	return s.addTenant(ctx, n, true)
}

// AddOrganization makes a further organization in the same way, on the database. It works without a caller: who reaches the database may do all.
func (s *Service) AddOrganization(ctx context.Context, n NewTenant) (Tenant, error) {
	return s.addTenant(ctx, n, false)
}

func (s *Service) addTenant(ctx context.Context, n NewTenant, operator bool) (made Tenant, err error) {
	if n.Name, err = validName("name", n.Name); err != nil {
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
	if err := s.hashing.run(ctx, netip.Addr{}, true, func() bool { hash = s.hashing.hasher.Hash(n.AdminPassword); return true }); err != nil {
		return made, err
	}
	err = s.cfg.Store.Write(ctx, func(q *store.Q) error {
		t := &tx{Q: q, s: s, now: s.now(), actor: System("")}
		made, err = s.tenantIn(ctx, t, n, hash, operator)
		return err
	})
	if err != nil {
		return Tenant{}, s.problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	return made, nil
}

func (s *Service) tenantIn(ctx context.Context, t *tx, n NewTenant, passwordHash string, operator bool) (Tenant, error) {
	operators, err := t.OperatorOrganization(ctx)
	if operator && err == nil {
		return Tenant{}, svcauth.NewProblem(svcauth.CodeConflict, "This database has been bootstrapped already. Sign in as an administrator, or use another database.")
	} else if err != nil && !(operator && errors.Is(err, store.ErrNotFound)) {
		if errors.Is(err, store.ErrNotFound) {
			return Tenant{}, svcauth.NewProblem(svcauth.CodeConflict, "This database has not been bootstrapped yet: run `svcauth bootstrap` first.")
		}
		return Tenant{}, err
	}
	org, err := s.addOrganization(ctx, t, n.Name, operator)
	if err != nil {
		return Tenant{}, err
	}
	t.actor = System(org.ID)
	made := Tenant{Organization: org, AdminID: svcauth.NewIDAt(svcauth.PrefixMember, t.now), AdminEmail: n.AdminEmail, AdminPassword: n.AdminPassword}
	if err := t.InsertMember(ctx, store.MemberRow{ID: made.AdminID, OrgID: org.ID, Email: n.AdminEmail, PasswordHash: passwordHash, CreatedAt: t.now,
		CreatedByID: t.actor.ID, CreatedByName: t.actor.Name, ActivatedAt: &t.now}); err != nil {
		return Tenant{}, err
	}
	role, err := t.SystemRole(ctx, org.ID, store.RoleAdministrator)
	if err != nil {
		return Tenant{}, err
	}
	if err := t.PutGrant(ctx, store.GrantRow{OrgID: org.ID, PrincipalID: made.AdminID, RoleID: role.ID, GrantedAt: t.now}); err != nil {
		return Tenant{}, err
	}
	owner := svcauth.Creator{ID: made.AdminID, Email: n.AdminEmail}
	if made.ApplicationKey, err = s.insertApplicationKey(ctx, t, org.ID, owner, "made by bootstrap"); err != nil {
		return Tenant{}, err
	}
	t.target = svcauth.AuditTarget{ID: org.ID, Kind: "organization", Name: org.Name}
	t.after, t.also = org, operators.ID
	return made, t.audit(ctx, "organization.bootstrap")
}

// insertApplicationKey makes a key of a member with its one secret.
func (s *Service) insertApplicationKey(ctx context.Context, t *tx, orgID string, owner svcauth.Creator, description string) (svcauth.ApplicationKey, error) {
	id := svcauth.NewIDAt(svcauth.PrefixApplicationKey, t.now)
	key := svcauth.ApplicationKey{ID: id, ClientID: id, Description: description, Member: owner, CreatedAt: t.now}
	err := t.InsertClient(ctx, store.ClientRow{ID: id, OrgID: orgID, Kind: store.ClientApplicationKey, MemberID: &owner.ID, Description: description,
		CreatedAt: t.now, CreatedByID: owner.ID, CreatedByName: owner.Email})
	if err != nil {
		return key, err
	}
	key.Secret, key.ClientSecret, err = s.insertSecret(ctx, t, orgID, id, owner, svcauth.NewSecretRequest{})
	return key, err
}

// insertSecret makes a secret, or takes the caller's, and gives what may be known of it; the text only where it was made here.
func (s *Service) insertSecret(ctx context.Context, t *tx, orgID, clientID string, by svcauth.Creator, r svcauth.NewSecretRequest) (svcauth.SecretInfo, svcauth.Secret, error) {
	secret, made := r.ClientSecret, svcauth.Secret("")
	if secret == "" {
		secret = svcauth.NewSecret()
		made = secret
	}
	info := svcauth.SecretInfo{ID: svcauth.NewIDAt(svcauth.PrefixSecret, t.now), Hint: secret.Hint(), Description: r.Description, CreatedAt: t.now,
		CreatedBy: by, ExpiresAt: r.ExpiresAt}
	err := t.InsertSecret(ctx, store.SecretRow{ID: info.ID, ClientID: clientID, OrgID: orgID, Scheme: keyring.SchemeHMAC, Hash: s.cfg.Keyring.HashSecret(secret),
		Hint: info.Hint, Description: r.Description, CreatedAt: t.now, CreatedByID: by.ID, CreatedByName: by.Email, ExpiresAt: r.ExpiresAt})
	return info, made, err
}
