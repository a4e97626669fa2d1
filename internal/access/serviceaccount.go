package access

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// CreateServiceAccount makes a service account. Its first secret, unless it is
// made without one, is shown in the answer and never again. The caller must
// hold every privilege of the roles that it gets.
func (s *Service) CreateServiceAccount(
	ctx context.Context,
	n svcauth.NewServiceAccount,
) (made svcauth.ServiceAccount, err error) {
	op := Operation{
		Requires: svcauth.MembersManage,
		Action:   "service_account.create",
		Target:   svcauth.AuditTarget{Kind: "service_account", Name: n.Name},
		Access:   true,
	}
	err = s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		t.Caution = n.Caution
		if made, err = s.createServiceAccount(ctx, t, n); err != nil {
			return err
		}
		return t.judge(ctx, func(ctx context.Context) error {
			return t.warnOfStopped(ctx, byDefault{principalID: made.ID}, nil)
		})
	})
	if err != nil {
		return svcauth.ServiceAccount{}, err
	}
	made.DefaultRefused = s.defaultRefused(ctx, byDefault{principalID: made.ID})
	return made, nil
}

// createServiceAccount is [Service.CreateServiceAccount] within its
// transaction.
func (s *Service) createServiceAccount(
	ctx context.Context, t *Tx, n svcauth.NewServiceAccount,
) (made svcauth.ServiceAccount, err error) {
	if err := s.checkNewServiceAccount(&n, t); err != nil {
		return made, err
	}
	if n.Claims == nil {
		n.Claims = map[string]any{} // null is no object
	}
	if err := t.checkDefaultResource(ctx, n.DefaultResource); err != nil {
		return made, err
	}
	if err := t.checkAccountClaims(ctx, n.Claims); err != nil {
		return made, err
	}
	id := typeid.New(svcauth.PrefixServiceAccount, t.Now)
	err = t.InsertClient(ctx, store.ClientRow{
		ID: id, OrgID: t.Actor.OrgID, Kind: store.ClientServiceAccount, Name: n.Name, Description: n.Description,
		TTLSeconds: int64(n.TokenTTLSeconds), TokenBinding: n.TokenBinding,
		DefaultResource: n.DefaultResource, Claims: n.Claims,
		CreatedAt: t.Now, CreatedByID: t.Actor.ID, CreatedByName: t.Actor.Name,
	})
	if errors.Is(err, store.ErrConflict) {
		return made, accountNameTaken(n.Name)
	}
	if err != nil {
		return made, err
	}
	made = svcauth.ServiceAccount{
		ID: id, ClientID: id, Name: n.Name, Description: n.Description,
		TokenTTLSeconds: s.effectiveTTL(n.TokenTTLSeconds), TokenBinding: n.TokenBinding,
		DefaultResource: n.DefaultResource, Claims: n.Claims,
		CreatedAt: t.Now, CreatedBy: t.maker(), Version: 1,
	}
	if made.Roles, err = s.grantFirstRoles(ctx, t, id, n.RoleIDs); err != nil {
		return made, err
	}
	var secret svcauth.Secret
	made.Secrets = []svcauth.SecretInfo{}
	if n.WithSecret() {
		if made.Secrets, secret, err = t.addFirstSecret(ctx, id, n.SecretExpiresAt); err != nil {
			return made, err
		}
	}
	t.Target.ID, t.After = id, made // before the secret's text is added
	made.ClientSecret = secret
	return made, t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
}

// addFirstSecret makes a new account's first secret. It hands over what the
// account may do, what everyone holds by Public included. An account without a
// secret hands over nothing yet but its roles, and each of these was asked for.
func (t *Tx) addFirstSecret(
	ctx context.Context, id string, expires *time.Time,
) ([]svcauth.SecretInfo, svcauth.Secret, error) {
	if err := t.mayMakeSecret(ctx, "Create the service account with secret: false, then add a key, a federated "+
		"credential or a certificate."); err != nil {
		return nil, "", err
	}
	info, secret, err := t.addSecret(ctx, t.Actor.OrgID, id, t.maker(), svcauth.NewSecretRequest{ExpiresAt: expires})
	if err != nil {
		return nil, "", err
	}
	return []svcauth.SecretInfo{info}, secret, t.MayHandOverAccount(ctx, id, Handover{
		What:    "create this service account",
		End:     expires,
		Bounded: "its secret",
	})
}

// grantFirstRoles grants roles to a new account and returns them.
func (s *Service) grantFirstRoles(ctx context.Context, t *Tx, id string, roleIDs []string) ([]svcauth.Ref, error) {
	roles := []svcauth.Ref{}
	for _, roleID := range roleIDs {
		role, err := s.grantableRole(ctx, t, roleID)
		if err != nil {
			return nil, err
		}
		if err := t.PutGrant(ctx, store.GrantRow{
			OrgID: t.Actor.OrgID, PrincipalID: id, RoleID: role.ID, GrantedAt: t.Now,
		}); err != nil {
			return nil, err
		}
		roles = append(roles, svcauth.Ref{ID: role.ID, Name: role.Name})
	}
	return roles, nil
}

func (s *Service) checkNewServiceAccount(n *svcauth.NewServiceAccount, t *Tx) (err error) {
	if n.Name, err = ValidName("body.name", n.Name); err != nil {
		return err
	}
	if n.Description, err = validDescription(n.Description); err != nil {
		return err
	}
	if err := validTTL("body.token_ttl_seconds", n.TokenTTLSeconds); err != nil {
		return err
	}
	n.TokenBinding = cmp.Or(n.TokenBinding, svcauth.TokenBindingNone)
	if err := validTokenBinding(n.TokenBinding); err != nil {
		return err
	}
	n.RoleIDs = slices.Compact(slices.Sorted(slices.Values(n.RoleIDs)))
	if len(n.RoleIDs) > svcauth.MaxRolesPerPrincipal {
		return svcauth.InvalidField("body.role_ids", "A service account holds at most %d roles.",
			svcauth.MaxRolesPerPrincipal)
	}
	if !n.WithSecret() && n.SecretExpiresAt != nil {
		return svcauth.InvalidField("body.secret_expires_at",
			"The service account is asked for without a secret (secret is false): nothing can expire. Leave one out.")
	}
	n.SecretExpiresAt = milli(n.SecretExpiresAt)
	return validExpiry("body.secret_expires_at", n.SecretExpiresAt, t.Now)
}

func (s *Service) effectiveTTL(seconds int) int {
	if seconds == 0 {
		return int(s.cfg.DefaultTokenTTL.Seconds())
	}
	return seconds
}

// ServiceAccount reads one. It needs members:read.
func (s *Service) ServiceAccount(ctx context.Context, id string) (svcauth.ServiceAccount, error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return svcauth.ServiceAccount{}, err
	}
	account, err := s.account(ctx, s.read(), actor.OrgID, id)
	if err == nil {
		account.LastRefused, err = lastRefused(ctx, s.read(), actor.OrgID, id)
	}
	return account, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
}

// ServiceAccounts returns a page, newest first. o.Name keeps those whose name
// begins with it, in upper or lower case.
func (s *Service) ServiceAccounts(
	ctx context.Context,
	o svcauth.ListOptions,
) (list svcauth.List[svcauth.ServiceAccount], err error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return list, err
	}
	before, limit, err := paging.Below(o, svcauth.PrefixServiceAccount)
	if err != nil {
		return list, err
	}
	if err := svcauth.CheckText(o.Name); err != nil {
		return list, Unfit("query.name", err)
	}
	if utf8.RuneCountInString(o.Name) > svcauth.MaxNameLength {
		return list, svcauth.InvalidField("query.name",
			"Expected the first characters of a name: at most %d.", svcauth.MaxNameLength)
	}
	var read []svcauth.ServiceAccount
	if prefix := strings.ToLower(strings.TrimLeftFunc(o.Name, unicode.IsSpace)); prefix != "" {
		read, err = s.read().ServiceAccountsNamed(ctx, actor.OrgID, prefix, before, limit+1)
	} else {
		read, err = s.read().ServiceAccounts(ctx, actor.OrgID, before, limit+1)
	}
	if err == nil {
		list = paging.List(read, limit, func(a svcauth.ServiceAccount) string { return a.ID })
		err = s.complete(ctx, s.read(), actor.OrgID, list.Items)
	}
	return list, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
}

// account reads one with its roles and secrets.
func (s *Service) account(ctx context.Context, q *store.Q, orgID, id string) (svcauth.ServiceAccount, error) {
	if err := checkID(svcauth.PrefixServiceAccount, id); err != nil {
		return svcauth.ServiceAccount{}, err
	}
	account, err := q.ServiceAccount(ctx, orgID, id)
	if err != nil {
		return svcauth.ServiceAccount{}, err
	}
	one := []svcauth.ServiceAccount{account}
	err = s.complete(ctx, q, orgID, one)
	return one[0], err
}

// complete adds to accounts what does not stand in their rows.
func (s *Service) complete(ctx context.Context, q *store.Q, orgID string, accounts []svcauth.ServiceAccount) error {
	ids := make([]string, len(accounts))
	for i, a := range accounts {
		ids[i] = a.ID
	}
	roles, err := q.GrantsOf(ctx, orgID, ids)
	if err != nil {
		return err
	}
	secrets, err := q.SecretsOf(ctx, orgID, ids)
	if err != nil {
		return err
	}
	for i := range accounts {
		a := &accounts[i]
		a.Roles, a.Secrets = append([]svcauth.Ref{}, roles[a.ID]...), append([]svcauth.SecretInfo{}, secrets[a.ID]...)
		a.TokenTTLSeconds = s.effectiveTTL(a.TokenTTLSeconds)
	}
	return nil
}

// changeAccount runs a change of one service account, which do gets as it is.
func (s *Service) changeAccount(
	ctx context.Context,
	id,
	action string,
	do func(context.Context, *Tx, svcauth.ServiceAccount) error,
) error {
	op := Operation{
		Requires: svcauth.MembersManage,
		Action:   action,
		Target:   svcauth.AuditTarget{Kind: "service_account", ID: id},
		Access:   true,
	}
	return s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		account, err := s.account(ctx, t.Q, t.Actor.OrgID, id)
		if err != nil {
			return err
		}
		t.Target.Name = account.Name
		return do(ctx, t, account)
	})
}

// DeleteServiceAccount removes one with its secrets and grants. Its tokens die.
func (s *Service) DeleteServiceAccount(ctx context.Context, id string) error {
	return s.changeAccount(ctx, id, "service_account.delete", func(
		ctx context.Context,
		t *Tx,
		old svcauth.ServiceAccount,
	) error {
		t.Before = old
		return t.deleteClient(ctx, t.Actor.OrgID, id)
	})
}

// deleteClient kills a client's tokens and removes it with all that it has.
func (t *Tx) deleteClient(ctx context.Context, orgID, id string) error {
	if err := t.revokeClient(ctx, orgID, id, ""); err != nil {
		return err
	}
	if err := t.DeleteGrantsOf(ctx, orgID, id); err != nil {
		return err
	}
	return t.DeleteClient(ctx, orgID, id)
}

func accountNameTaken(name string) error {
	return svcauth.NewProblem(svcauth.CodeConflict,
		"A service account with the name %q exists already. Choose another name.", name)
}
