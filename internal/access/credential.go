package access

import (
	"context"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// credentialKind is what the rules for a kind of credentials beside secrets
// have in common.
type credentialKind struct {
	kind   string // such as [store.CredentialKey]
	prefix string // of its ids
	target string // what the audit log calls it; its actions are target.create …
	noun   string // in a sentence, in the singular: "key"
	a      string // noun behind its article: "a key"
	most   int    // how many a service account may have
	named  bool   // the hint is a name, which no other one of the account has
}

var (
	keyKind = credentialKind{
		store.CredentialKey, svcauth.PrefixKey, "key", "key", "a key", svcauth.MaxKeys, false,
	}
	federatedKind = credentialKind{
		store.CredentialFederated, svcauth.PrefixFederated, "federated_credential",
		"federated credential", "a federated credential", svcauth.MaxFederatedCredentials, true,
	}
	certificateKind = credentialKind{
		store.CredentialCertificate, svcauth.PrefixCertificate, "certificate",
		"certificate", "a certificate", svcauth.MaxCertificates, false,
	}
)

// credentials lists a service account's credentials of a kind, newest first. It
// needs members:read.
func (s *Service) credentials(ctx context.Context, id string, kind credentialKind) ([]store.CredentialRow, error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return nil, err
	}
	if _, err := s.account(ctx, s.read(), actor.OrgID, id); err != nil {
		return nil, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
	}
	return s.read().CredentialsOf(ctx, actor.OrgID, id, kind.kind)
}

// credential reads one credential of a service account. It needs members:read.
func (s *Service) credential(
	ctx context.Context, id string, kind credentialKind, credentialID string,
) (row store.CredentialRow, err error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return row, err
	}
	account, err := s.account(ctx, s.read(), actor.OrgID, id)
	if err != nil {
		return row, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
	}
	return ownCredential(ctx, s.read(), actor.OrgID, account, kind, credentialID)
}

// createCredential adds a credential to a service account: row has Material,
// Lookup, Hint, Description and ExpiresAt, all valid. The caller must hold
// every privilege that the account holds. check, unless it is nil, looks at
// those that the account has, and says what there is to warn of. shown returns
// what the audit log keeps of the new one.
func (s *Service) createCredential(
	ctx context.Context, id string, kind credentialKind, row store.CredentialRow,
	check func(*Tx, []store.CredentialRow) error, shown func(store.CredentialRow) any,
) (store.CredentialRow, error) {
	err := s.changeCredential(ctx, id, kind, "", "create", func(
		ctx context.Context, t *Tx, account svcauth.ServiceAccount,
	) (err error) {
		if row.Description, err = validDescription(row.Description); err != nil {
			return err
		}
		row.ExpiresAt = milli(row.ExpiresAt)
		if err := validExpiry("body.expires_at", row.ExpiresAt, t.Now); err != nil {
			return err
		}
		if err := t.MayHandOverAccount(ctx, id, Handover{
			What: "make " + kind.a + " for the service account " + account.Name,
			End:  row.ExpiresAt, Bounded: "the " + kind.noun,
		}); err != nil {
			return err
		}
		there, err := t.CredentialsOf(ctx, t.Actor.OrgID, id, kind.kind)
		if err != nil {
			return err
		}
		if len(there) >= kind.most {
			return svcauth.NewProblem(svcauth.CodeConflict,
				"The service account has %d credentials of this kind, %s, the most there can be. Delete one first.",
				len(there), kind.noun)
		}
		if err := credentialNameTaken(there, row, kind); err != nil {
			return err
		}
		if check != nil {
			if err := check(t, there); err != nil {
				return err
			}
		}
		by := t.maker()
		row.ID, row.ClientID, row.OrgID, row.Kind = typeid.New(kind.prefix, t.Now), id, t.Actor.OrgID, kind.kind
		row.CreatedAt, row.CreatedByID, row.CreatedByName = t.Now, by.ID, by.Email
		t.Target.ID, t.After = row.ID, shown(row)
		if err := t.InsertCredential(ctx, row); err != nil {
			return err
		}
		return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
	})
	return row, err
}

// updateCredential changes a credential. edit changes the row, whose Material,
// Lookup, Hint, Description and ExpiresAt are written if it reports that
// something has changed. If it reports that the credential opens more than
// before, the caller must hold every privilege that the account holds.
func (s *Service) updateCredential(
	ctx context.Context, id string, kind credentialKind, credentialID string,
	edit func(t *Tx, row *store.CredentialRow) (changed, wider bool, err error),
	shown func(store.CredentialRow) any,
) (row store.CredentialRow, err error) {
	err = s.changeCredential(ctx, id, kind, credentialID, "update", func(
		ctx context.Context, t *Tx, account svcauth.ServiceAccount,
	) error {
		old, err := ownCredential(ctx, t.Q, t.Actor.OrgID, account, kind, credentialID)
		if err != nil {
			return err
		}
		row = old
		changed, wider, err := edit(t, &row)
		if err != nil {
			return err
		}
		if t.Silent = !changed; t.Silent {
			return nil
		}
		if wider || later(row.ExpiresAt, old.ExpiresAt) {
			if err := t.MayHandOverAccount(ctx, id, Handover{
				What: "change " + kind.a + " of the service account " + account.Name,
				End:  row.ExpiresAt, Bounded: "the " + kind.noun,
			}); err != nil {
				return err
			}
		}
		if kind.named && row.Hint != old.Hint {
			there, err := t.CredentialsOf(ctx, t.Actor.OrgID, id, kind.kind)
			if err != nil {
				return err
			}
			if err := credentialNameTaken(there, row, kind); err != nil {
				return err
			}
		}
		t.Before, t.After = shown(old), shown(row)
		if err := t.UpdateCredential(ctx, row); err != nil {
			return err
		}
		return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
	})
	return row, err
}

// deleteCredential ends a credential, even the last one: it obtains no new
// tokens. Those that it obtained live on, unless revokeTokens kills them.
func (s *Service) deleteCredential(
	ctx context.Context, id string, kind credentialKind, credentialID string, revokeTokens bool,
	shown func(store.CredentialRow) any,
) error {
	return s.changeCredential(ctx, id, kind, credentialID, "delete", func(
		ctx context.Context, t *Tx, account svcauth.ServiceAccount,
	) error {
		old, err := ownCredential(ctx, t.Q, t.Actor.OrgID, account, kind, credentialID)
		if err != nil {
			return err
		}
		t.Before = shown(old)
		if err := t.DeleteCredential(ctx, t.Actor.OrgID, id, kind.kind, credentialID); err != nil {
			return err
		}
		if revokeTokens {
			if err := t.revoke(ctx, t.Actor.OrgID, svcauth.Revocation{ClientID: id, Cred: credentialID}); err != nil {
				return err
			}
		}
		return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
	})
}

// changeCredential runs a change of a service account's credential.
func (s *Service) changeCredential(
	ctx context.Context, id string, kind credentialKind, credentialID, verb string,
	do func(context.Context, *Tx, svcauth.ServiceAccount) error,
) error {
	return s.changeAccount(ctx, id, kind.target+"."+verb, func(
		ctx context.Context, t *Tx, account svcauth.ServiceAccount,
	) error {
		t.Target = svcauth.AuditTarget{Kind: kind.target, ID: credentialID, Name: account.Name}
		return do(ctx, t, account)
	})
}

// ownCredential finds one of an account's.
func ownCredential(
	ctx context.Context, q *store.Q, orgID string, account svcauth.ServiceAccount, kind credentialKind, id string,
) (store.CredentialRow, error) {
	if err := checkID(kind.prefix, id); err != nil {
		return store.CredentialRow{}, err
	}
	row, err := q.Credential(ctx, orgID, account.ID, kind.kind, id)
	return row, Problem(err, svcauth.AuditTarget{Kind: kind.target, ID: id, Name: kind.noun + " " + id})
}
