package access

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// UpdateServiceAccount changes what patch names, if version is still the
// account's own (0: whatever it is). Disabling kills its tokens. Enabling it
// again, or giving it another name, needs every privilege that it holds.
func (s *Service) UpdateServiceAccount(
	ctx context.Context,
	id string,
	version int64,
	patch svcauth.ServiceAccountPatch,
) (changed svcauth.ServiceAccount, err error) {
	err = s.changeAccount(ctx, id, "service_account.update", func(
		ctx context.Context,
		t *Tx,
		old svcauth.ServiceAccount,
	) error {
		if version != 0 && version != old.Version {
			return store.ErrStale
		}
		row, err := t.ServiceAccount(ctx, t.Actor.OrgID, id)
		if err != nil {
			return err
		}
		next, err := patchedAccount(row, patch)
		if err != nil {
			return err
		}
		if sameAccount(next, row) {
			t.Silent, changed = true, old
			return nil
		}
		if err := s.mayChangeAccount(ctx, t, row, next); err != nil {
			return err
		}
		err = t.UpdateServiceAccount(ctx, t.Actor.OrgID, next)
		if errors.Is(err, store.ErrConflict) {
			return accountNameTaken(next.Name)
		}
		if err != nil {
			return err
		}
		changed = old
		changed.Name, changed.Description = next.Name, next.Description
		changed.Disabled, changed.Version = next.Disabled, row.Version+1
		changed.TokenTTLSeconds, changed.TokenBinding = s.effectiveTTL(next.TokenTTLSeconds), next.TokenBinding
		t.Before, t.After = old, changed
		if row.Disabled && !next.Disabled { // before they go into the answer: the audit log is not for them
			if changed.Warnings, err = s.warnOfAccount(ctx, t.Q, t.Actor, id); err != nil {
				return err
			}
		}
		if next.Disabled && !row.Disabled {
			return t.revokeClient(ctx, t.Actor.OrgID, id, "")
		}
		return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id)
	})
	return changed, err
}

// mayChangeAccount refuses what hands over all that the account holds to a
// caller that may not: to enable it, to let its tokens be bound to less, and to
// rename it. Somebody who grants by name next means the account that had that
// name.
func (s *Service) mayChangeAccount(ctx context.Context, t *Tx, old, next svcauth.ServiceAccount) error {
	if old.Disabled && !next.Disabled {
		if err := t.MayHandOverAccount(ctx, old.ID, Handover{
			What: "enable the service account " + old.Name,
		}); err != nil {
			return err
		}
	}
	if svcauth.WeakerTokenBinding(old.TokenBinding, next.TokenBinding) {
		if err := t.MayHandOverAccount(ctx, old.ID, Handover{
			What: "let the tokens of the service account " + old.Name + " be bound to less",
		}); err != nil {
			return err
		}
	}
	if old.Name != next.Name {
		return t.MayHandOverAccount(ctx, old.ID, Handover{What: "rename the service account " + old.Name, End: &t.Now})
	}
	return nil
}

func patchedAccount(a svcauth.ServiceAccount, patch svcauth.ServiceAccountPatch) (_ svcauth.ServiceAccount, err error) {
	if patch.Name != nil {
		if a.Name, err = ValidName("body.name", *patch.Name); err != nil {
			return a, err
		}
	}
	if patch.Description != nil {
		if a.Description, err = validDescription(*patch.Description); err != nil {
			return a, err
		}
	}
	if patch.TokenTTLSeconds != nil {
		if err := validTTL("body.token_ttl_seconds", *patch.TokenTTLSeconds); err != nil {
			return a, err
		}
		a.TokenTTLSeconds = *patch.TokenTTLSeconds
	}
	if patch.TokenBinding != nil {
		if err := validTokenBinding(*patch.TokenBinding); err != nil {
			return a, err
		}
		a.TokenBinding = *patch.TokenBinding
	}
	if patch.Disabled != nil {
		a.Disabled = *patch.Disabled
	}
	return a, nil
}

// sameAccount compares what a patch can change.
func sameAccount(a, b svcauth.ServiceAccount) bool {
	return a.Name == b.Name && a.Description == b.Description && a.TokenTTLSeconds == b.TokenTTLSeconds &&
		a.Disabled == b.Disabled && a.TokenBinding == b.TokenBinding
}
