package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Secrets lists a service account's secrets, newest first: what may be known of
// them. It needs members:read.
func (s *Service) Secrets(ctx context.Context, id string) (list svcauth.List[svcauth.SecretInfo], err error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return list, err
	}
	account, err := s.account(ctx, s.read(), actor.OrgID, id)
	return svcauth.List[svcauth.SecretInfo]{Items: account.Secrets}, Problem(err,
		svcauth.AuditTarget{Kind: "service_account"})
}

// CreateSecret adds a secret to a service account, beside those it has. Its
// text is in the answer and never shown again. If the caller made it, the
// answer does not have it either. The caller must hold every privilege that the
// account holds.
func (s *Service) CreateSecret(
	ctx context.Context,
	id string,
	r svcauth.NewSecretRequest,
) (made svcauth.SecretInfo, err error) {
	err = s.changeSecret(ctx, id, "", "secret.create", func(
		ctx context.Context,
		t *Tx,
		account svcauth.ServiceAccount,
	) error {
		if r.Description, err = validDescription(r.Description); err != nil {
			return err
		}
		r.ExpiresAt = milli(r.ExpiresAt)
		if err := validExpiry("body.expires_at", r.ExpiresAt, t.Now); err != nil {
			return err
		}
		if err := t.MayHandOverAccount(ctx, id, Handover{
			What:    "make a secret for the service account " + account.Name,
			End:     r.ExpiresAt,
			Bounded: "the secret",
		}); err != nil {
			return err
		}
		if err := t.mayMakeSecret(ctx, "Add a credential of another kind: a key, a federated credential or a "+
			"certificate."); err != nil {
			return err
		}
		if err := s.validOwnSecret(ctx, t, id, r.ClientSecret); err != nil {
			return err
		}
		if len(account.Secrets) >= svcauth.MaxSecrets {
			return tooManySecrets(account.Secrets, t)
		}
		var text svcauth.Secret
		if made, text, err = t.addSecret(ctx, t.Actor.OrgID, id, t.maker(), r); err != nil {
			return err
		}
		t.Target.ID, t.After = made.ID, made // before the secret's text is added
		made.ClientSecret = text
		return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
	})
	if err != nil {
		return svcauth.SecretInfo{}, err
	}
	return made, nil
}

// addSecret makes a secret, or takes the caller's, and returns what may be
// known of it. It returns the text only if the secret was made here.
func (t *Tx) addSecret(
	ctx context.Context,
	orgID,
	clientID string,
	by svcauth.Creator,
	r svcauth.NewSecretRequest,
) (svcauth.SecretInfo, svcauth.Secret, error) {
	secret, made := r.ClientSecret, svcauth.Secret("")
	if secret == "" {
		secret = svcauth.NewSecret()
		made = secret
	}
	info := svcauth.SecretInfo{ID: typeid.New(svcauth.PrefixSecret,
		t.Now), Hint: secret.Hint(), Description: r.Description, CreatedAt: t.Now,
		CreatedBy: by, ExpiresAt: r.ExpiresAt}
	err := t.InsertCredential(ctx, store.CredentialRow{ID: info.ID, ClientID: clientID, OrgID: orgID,
		Kind: store.CredentialSecret, Material: t.s.cfg.Keyring.HashSecret(secret),
		Hint: info.Hint, Description: r.Description, CreatedAt: t.Now, CreatedByID: by.ID, CreatedByName: by.Email,
		ExpiresAt: r.ExpiresAt})
	return info, made, err
}

// changeSecret runs a change of a service account's secret.
func (s *Service) changeSecret(
	ctx context.Context,
	id,
	secretID,
	action string,
	do func(context.Context, *Tx, svcauth.ServiceAccount) error,
) error {
	return s.changeAccount(ctx, id, action, func(ctx context.Context, t *Tx, account svcauth.ServiceAccount) error {
		t.Target = svcauth.AuditTarget{Kind: "secret", ID: secretID, Name: account.Name}
		return do(ctx, t, account)
	})
}

// validOwnSecret refuses a caller's secret that is none, or that the account
// has already: a request that is repeated after its answer was lost must not
// leave two.
func (s *Service) validOwnSecret(ctx context.Context, t *Tx, accountID string, secret svcauth.Secret) error {
	if secret == "" {
		return nil
	}
	if _, err := svcauth.ParseSecret(secret.Reveal()); err != nil {
		return svcauth.InvalidField("body.client_secret",
			"Refused: %s. Or leave client_secret out: then the server makes one.", err)
	}
	had, err := t.SecretWithMaterial(ctx, t.Actor.OrgID, accountID, s.cfg.Keyring.HashSecret(secret))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = svcauth.NewProblem(svcauth.CodeConflict, "The service account has this secret already: it is %s.", had.ID)
	}
	return err
}

// tooManySecrets says which of them could go.
func tooManySecrets(all []svcauth.SecretInfo, t *Tx) error {
	var idle []string
	for _, one := range all {
		switch {
		case one.ExpiresAt != nil && !one.ExpiresAt.After(t.Now):
			idle = append(idle, fmt.Sprintf("%s (…%s, expired)", one.ID, one.Hint))
		case one.LastUsedAt == nil:
			idle = append(idle, fmt.Sprintf("%s (…%s, never used)", one.ID, one.Hint))
		}
	}
	advice := "All of them are in use; delete the one that has not been used for longest once nothing needs it."
	if len(idle) > 0 {
		advice = "Unused: " + strings.Join(idle, ", ") + ". Delete one first."
	}
	return svcauth.NewProblem(svcauth.CodeConflict,
		"The service account has %d secrets, the most there can be. %s", len(all), advice)
}

// UpdateSecret changes a secret's description or expiry. To let it live longer,
// the caller must hold every privilege that the account holds.
func (s *Service) UpdateSecret(
	ctx context.Context,
	id,
	secretID string,
	patch svcauth.SecretPatch,
) (changed svcauth.SecretInfo, err error) {
	err = s.changeSecret(ctx, id, secretID, "secret.update", func(
		ctx context.Context,
		t *Tx,
		account svcauth.ServiceAccount,
	) error {
		old, err := ownSecret(account, secretID)
		if err != nil {
			return err
		}
		if changed, err = patchedSecret(old, patch, t.Now); err != nil {
			return err
		}
		if changed.Description == old.Description && sameMoment(changed.ExpiresAt, old.ExpiresAt) {
			t.Silent = true
			return nil
		}
		if later(changed.ExpiresAt, old.ExpiresAt) {
			longer := Handover{
				What:    "let a secret of the service account " + account.Name + " live longer",
				End:     changed.ExpiresAt,
				Bounded: "the secret",
			}
			if err := t.MayHandOverAccount(ctx, id, longer); err != nil {
				return err
			}
		}
		t.Before, t.After = old, changed
		if err := t.UpdateSecret(ctx, t.Actor.OrgID, id, changed); err != nil {
			return err
		}
		return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
	})
	if err != nil {
		return svcauth.SecretInfo{}, err
	}
	return changed, nil
}

// patchedSecret returns what becomes of a secret by a patch.
func patchedSecret(old svcauth.SecretInfo, patch svcauth.SecretPatch, now time.Time) (s svcauth.SecretInfo, err error) {
	s = old
	if patch.Description != nil {
		if s.Description, err = validDescription(*patch.Description); err != nil {
			return s, err
		}
	}
	switch {
	case patch.ClearExpiresAt && patch.ExpiresAt != nil:
		return s, svcauth.InvalidField("body.expires_at", "Give a moment or clear the expiry, not both.")
	case patch.ClearExpiresAt:
		s.ExpiresAt = nil
	case patch.ExpiresAt != nil && !sameMoment(milli(patch.ExpiresAt), old.ExpiresAt):
		s.ExpiresAt = milli(patch.ExpiresAt)
		return s, validExpiry("body.expires_at", patch.ExpiresAt, now)
	}
	return s, nil
}

// DeleteSecret removes a secret, even the last one: it obtains no new tokens.
// Those that it obtained live on, unless revokeTokens kills them. A node that
// is cut off from the database may take the secret for up to token.serve_stale
// more; with revokeTokens what it issues is born revoked.
func (s *Service) DeleteSecret(ctx context.Context, id, secretID string, revokeTokens bool) error {
	return s.changeSecret(ctx, id, secretID, "secret.delete", func(
		ctx context.Context,
		t *Tx,
		account svcauth.ServiceAccount,
	) error {
		old, err := ownSecret(account, secretID)
		if err != nil {
			return err
		}
		t.Before = old
		if err := t.DeleteCredential(ctx, t.Actor.OrgID, id, store.CredentialSecret, secretID); err != nil {
			return err
		}
		if revokeTokens {
			if err := t.revoke(ctx, t.Actor.OrgID, svcauth.Revocation{ClientID: id, Cred: secretID}); err != nil {
				return err
			}
		}
		return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
	})
}

// ownSecret finds one of an account's.
func ownSecret(account svcauth.ServiceAccount, secretID string) (svcauth.SecretInfo, error) {
	for _, one := range account.Secrets {
		if one.ID == secretID {
			return one, nil
		}
	}
	return svcauth.SecretInfo{}, svcauth.NewProblem(svcauth.CodeNotFound,
		"The service account %s has no secret with the id %q.", account.Name, secretID)
}
