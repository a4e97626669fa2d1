package access

import (
	"context"
	"strings"

	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// FederatedCredentials lists a service account's federated credentials, newest
// first, all on one page. It needs members:read.
func (s *Service) FederatedCredentials(
	ctx context.Context, id string,
) (list svcauth.List[svcauth.FederatedCredential], err error) {
	rows, err := s.credentials(ctx, id, federatedKind)
	list.Items = []svcauth.FederatedCredential{}
	for _, row := range rows {
		one, err := s.federated(row)
		if err != nil {
			return list, err
		}
		list.Items = append(list.Items, one)
	}
	return list, err
}

// FederatedCredential reads one of a service account's. It needs members:read.
func (s *Service) FederatedCredential(
	ctx context.Context, id, credentialID string,
) (one svcauth.FederatedCredential, err error) {
	row, err := s.credential(ctx, id, federatedKind, credentialID)
	if err != nil {
		return one, err
	}
	return s.federated(row)
}

// federated returns what may be known of a row: all of it.
func (s *Service) federated(row store.CredentialRow) (svcauth.FederatedCredential, error) {
	policy, err := federation.Parse(row.Material)
	if err != nil {
		return svcauth.FederatedCredential{}, err
	}
	one := policy.Noun(s.cfg.Issuer)
	one.ID, one.Description, one.CreatedAt = row.ID, row.Description, row.CreatedAt
	one.CreatedBy = svcauth.Creator{ID: row.CreatedByID, Email: row.CreatedByName}
	one.ExpiresAt, one.LastUsedAt = row.ExpiresAt, row.LastUsedAt
	return one, nil
}

// shownFederated is what the audit log keeps.
func (s *Service) shownFederated(row store.CredentialRow) any {
	one, err := s.federated(row)
	if err != nil {
		return nil
	}
	return one
}

// CreateFederatedCredential adds a federated credential to a service account.
// The answer warns of ways in which others could come to have tokens that fit
// it. The caller must hold every privilege that the account holds.
func (s *Service) CreateFederatedCredential(
	ctx context.Context, id string, n svcauth.NewFederatedCredential,
) (made svcauth.FederatedCredential, err error) {
	var row store.CredentialRow
	var policy *federation.Policy
	if actor, err := Caller(ctx, svcauth.MembersManage); err == nil { // else the change refuses, and writes that down
		if policy, row, err = s.newFederated(ctx, actor, n); err != nil {
			return made, err
		}
	}
	row, err = s.createCredential(ctx, id, federatedKind, row, func(t *Tx, _ []store.CredentialRow) error {
		t.Caution = n.Caution
		s.warnOfPolicy(t, policy)
		return nil
	}, s.shownFederated)
	if err != nil {
		return made, err
	}
	return s.federated(row)
}

// newFederated returns the policy that a request asks for, and its row.
func (s *Service) newFederated(
	ctx context.Context, actor Actor, n svcauth.NewFederatedCredential,
) (policy *federation.Policy, row store.CredentialRow, err error) {
	if n.Name, err = ValidName("body.name", n.Name); err != nil {
		return nil, row, err
	}
	if policy, err = federation.New(n, s.cfg.Issuer); err != nil {
		return nil, row, err
	}
	if policy.Privileges, err = s.validCeiling(ctx, actor, policy.Privileges); err != nil {
		return nil, row, err
	}
	row.Description, row.ExpiresAt = n.Description, n.ExpiresAt
	setPolicy(&row, policy)
	return policy, row, nil
}

// warnOfPolicy notes in a change by what others could come to have tokens that
// fit a policy.
func (s *Service) warnOfPolicy(t *Tx, p *federation.Policy) {
	for _, w := range p.Lint(s.cfg.Issuer) {
		t.warn(w.Message)
	}
}

// UpdateFederatedCredential changes a federated credential. If more may fit it,
// or its tokens may carry more or last longer, the caller must hold every
// privilege that the account holds.
func (s *Service) UpdateFederatedCredential(
	ctx context.Context, id, credentialID string, patch svcauth.FederatedCredentialPatch,
) (changed svcauth.FederatedCredential, err error) {
	if actor, err := Caller(ctx, svcauth.MembersManage); err == nil && patch.Privileges != nil {
		sorted, err := s.validCeiling(ctx, actor, *patch.Privileges)
		if err != nil {
			return changed, err
		}
		patch.Privileges = &sorted
	}
	row, err := s.updateCredential(ctx, id, federatedKind, credentialID,
		func(t *Tx, row *store.CredentialRow) (bool, bool, error) {
			return s.patchFederated(t, row, patch)
		}, s.shownFederated)
	if err != nil {
		return changed, err
	}
	return s.federated(row)
}

// patchFederated applies a patch to a row.
func (s *Service) patchFederated(
	t *Tx, row *store.CredentialRow, patch svcauth.FederatedCredentialPatch,
) (changed, wider bool, err error) {
	old, err := federation.Parse(row.Material)
	if err != nil {
		return false, false, err
	}
	if patch.Name != nil {
		name, err := ValidName("body.name", *patch.Name)
		if err != nil {
			return false, false, err
		}
		patch.Name = &name
	}
	policy, wider, err := old.Patched(patch, s.cfg.Issuer)
	if err != nil {
		return false, false, err
	}
	if t.Caution = patch.Caution; wider {
		s.warnOfPolicy(t, policy)
	}
	before := *row
	setPolicy(row, policy)
	if patch.Description != nil {
		if row.Description, err = validDescription(*patch.Description); err != nil {
			return false, false, err
		}
	}
	switch {
	case patch.ClearExpiresAt && patch.ExpiresAt != nil:
		return false, false, svcauth.InvalidField("body.expires_at", "Give a moment or clear the expiry, not both.")
	case patch.ClearExpiresAt:
		row.ExpiresAt = nil
	case patch.ExpiresAt != nil && !sameMoment(milli(patch.ExpiresAt), row.ExpiresAt):
		if err := validExpiry("body.expires_at", patch.ExpiresAt, t.Now); err != nil {
			return false, false, err
		}
		row.ExpiresAt = milli(patch.ExpiresAt)
	}
	changed = row.Material != before.Material || row.Description != before.Description ||
		!sameMoment(row.ExpiresAt, before.ExpiresAt)
	return changed, wider, nil
}

// setPolicy writes a policy into its row.
func setPolicy(row *store.CredentialRow, p *federation.Policy) {
	row.Material, row.Hint, row.Lookup = p.Material(), p.Name, store.FederatedLookup(p.Issuer, p.Subject)
}

// validCeiling sorts privileges and refuses those that the organization can't
// have. nil is no ceiling.
func (s *Service) validCeiling(ctx context.Context, actor Actor, privileges []string) ([]string, error) {
	if privileges == nil {
		return nil, nil
	}
	sorted, err := s.validPrivileges(ctx, s.tx(s.read(), actor), "body.privileges", privileges)
	if sorted == nil {
		sorted = []string{} // not to be taken for no ceiling
	}
	return sorted, Problem(err, svcauth.AuditTarget{Kind: federatedKind.target})
}

// DeleteFederatedCredential removes a federated credential. What it obtained
// lives on, unless revokeTokens kills it.
func (s *Service) DeleteFederatedCredential(ctx context.Context, id, credentialID string, revokeTokens bool) error {
	return s.deleteCredential(ctx, id, federatedKind, credentialID, revokeTokens, s.shownFederated)
}

// credentialNameTaken refuses a name that another of the account's credentials
// has.
func credentialNameTaken(there []store.CredentialRow, row store.CredentialRow, kind credentialKind) error {
	for _, other := range there {
		if kind.named && other.ID != row.ID && strings.EqualFold(other.Hint, row.Hint) {
			return svcauth.NewProblem(svcauth.CodeConflict,
				"The service account has a %s with the name %s already: it is %s. Choose another name.",
				kind.noun, row.Hint, other.ID)
		}
	}
	return nil
}
