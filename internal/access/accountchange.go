package access

import (
	"context"
	"errors"
	"maps"
	"reflect"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// UpdateServiceAccount changes what patch names, if version is still the
// account's own (0: whatever it is). Disabling kills its tokens, and demanding
// more of what they are bound to kills those that lack it. Enabling it again,
// or giving it another name or other claims, needs every privilege that it
// holds.
func (s *Service) UpdateServiceAccount(
	ctx context.Context,
	id string,
	version int64,
	patch svcauth.ServiceAccountPatch,
) (changed svcauth.ServiceAccount, err error) {
	whom := byDefault{principalID: id}
	before, err := whom.before(ctx, s, svcauth.MembersManage, patch.Caution)
	if err != nil {
		return changed, err
	}
	another := false // its tokens are, by default, others than they were
	err = s.changeAccount(ctx, id, "service_account.update", func(
		ctx context.Context,
		t *Tx,
		old svcauth.ServiceAccount,
	) error {
		t.Caution = patch.Caution
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
		if err := t.checkChangedTokens(ctx, row, next); err != nil {
			return err
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
		changed = next
		changed.Roles, changed.Secrets, changed.Version = old.Roles, old.Secrets, row.Version+1
		changed.TokenTTLSeconds = s.effectiveTTL(next.TokenTTLSeconds)
		t.Before, t.After = old, changed
		if row.Disabled && !next.Disabled { // before they go into the answer: the audit log is not for them
			if changed.Warnings, err = s.warnOfAccount(ctx, t.Q, t.Actor, id); err != nil {
				return err
			}
		}
		if err := t.endTokens(ctx, row, next); err != nil {
			return err
		}
		if another = othersByDefault(row, next); !another {
			return nil
		}
		if row.Disabled { // it got none at all
			before = nil
		}
		return t.judge(ctx, func(ctx context.Context) error {
			t.warnOfCredentials(changed.Warnings, 0)
			return t.warnOfStopped(ctx, whom, before)
		})
	})
	if err != nil {
		return svcauth.ServiceAccount{}, err
	}
	if another {
		changed.DefaultRefused = s.defaultRefused(ctx, whom)
	}
	return changed, nil
}

// othersByDefault reports whether what a changed account gets, unless it asks
// for something else, may be other than before.
func othersByDefault(old, next svcauth.ServiceAccount) bool {
	if next.Disabled {
		return false // it gets nothing
	}
	return old.Disabled || next.Name != old.Name || next.DefaultResource != old.DefaultResource ||
		!sameClaims(next.Claims, old.Claims)
}

// endTokens kills those tokens of a changed account that it would not get any
// longer, and tells every node that the account has changed.
func (t *Tx) endTokens(ctx context.Context, old, next svcauth.ServiceAccount) error {
	switch {
	case next.Disabled && !old.Disabled:
		return t.revokeClient(ctx, t.Actor.OrgID, next.ID, "")
	case svcauth.StricterTokenBinding(old.TokenBinding, next.TokenBinding):
		return t.revokeUnbound(ctx, t.Actor.OrgID, next.ID, next.TokenBinding)
	}
	return t.touch(ctx, t.Actor.OrgID, store.ChangeClient, next.ID)
}

// mayChangeAccount refuses what hands over all that the account holds to a
// caller that may not: to enable it, to let its tokens be bound to less, to say
// something else of it in its claims, and to rename it. Somebody who grants by
// name next means the account that had that name. Where its tokens are for by
// default is not among these: they could be asked for as they will be.
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
	if !sameClaims(old.Claims, next.Claims) {
		if err := t.MayHandOverAccount(ctx, old.ID, Handover{
			What: "change the claims of the service account " + old.Name, End: &t.Now,
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
	if patch.DefaultResource != nil {
		a.DefaultResource = *patch.DefaultResource
	}
	if patch.Claims != nil {
		a.Claims = map[string]any{}
		maps.Copy(a.Claims, *patch.Claims)
	}
	if patch.Disabled != nil {
		a.Disabled = *patch.Disabled
	}
	return a, nil
}

// sameAccount compares what a patch can change.
func sameAccount(a, b svcauth.ServiceAccount) bool {
	return a.Name == b.Name && a.Description == b.Description && a.TokenTTLSeconds == b.TokenTTLSeconds &&
		a.Disabled == b.Disabled && a.TokenBinding == b.TokenBinding &&
		a.DefaultResource == b.DefaultResource && sameClaims(a.Claims, b.Claims)
}

// sameClaims compares claims as they come out of JSON.
func sameClaims(a, b map[string]any) bool { return len(a)+len(b) == 0 || reflect.DeepEqual(a, b) }
