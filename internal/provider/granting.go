package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The provider chooses a grant's id before it asks for the grant. So it
// recognizes its own grant if the answer was lost or another grant has replaced
// it. Replacing a grant revokes no token, and deleting a grant that was
// replaced ends nothing.

// holds returns all grants of a service account or a member.
func holds(ctx context.Context, client *svcauth.Client, holder string) ([]svcauth.Grant, error) {
	roles := client.ServiceAccountRoles
	if svcauth.ValidID(svcauth.PrefixMember, holder) {
		roles = client.MemberRoles
	}
	return collect(ctx, func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.Grant], error) {
		return roles(ctx, holder, o)
	})
}

// assign makes one call for the grant g.
func assign(
	ctx context.Context, client *svcauth.Client, holder string, g svcauth.Grant, c svcauth.Caution,
) (svcauth.GrantAnswer, error) {
	call := client.AssignServiceAccountRole
	if svcauth.ValidID(svcauth.PrefixMember, holder) {
		call = client.AssignMemberRole
	}
	return call(ctx, holder, g.RoleID, svcauth.GrantRequest{ID: g.ID, ExpiresAt: g.ExpiresAt, Caution: c})
}

// rehearseGrant asks by a dry run what a grant would be warned of.
func rehearseGrant(holder string, g svcauth.Grant) func(context.Context, *svcauth.Client) error {
	return func(ctx context.Context, client *svcauth.Client) error {
		_, err := assign(ctx, client, holder, g, aDryRun)
		return err
	}
}

// give creates the grant g or sets its expiry, even if answers get lost.
func give(ctx context.Context, client *svcauth.Client, holder string, g svcauth.Grant) (svcauth.GrantAnswer, error) {
	answer, _, err := creation[svcauth.GrantAnswer]{
		what: fmt.Sprintf("the grant of %s to %s", g.RoleID, holder),
		create: func(ctx context.Context) (svcauth.GrantAnswer, error) {
			return assign(ctx, client, holder, g, svcauth.Caution{})
		},
		find: func(ctx context.Context) (none svcauth.GrantAnswer, ok bool, err error) {
			held, err := holds(ctx, client, holder)
			if gone(err) {
				return none, false, nil
			}
			return none, slices.ContainsFunc(held, func(h svcauth.Grant) bool {
				return h.ID == g.ID && h.RoleID == g.RoleID && sameInstant(h.ExpiresAt, g.ExpiresAt)
			}), err
		},
	}.run(ctx)
	return answer, err
}

// take ends the grant with the id and no other. If id is empty, it ends
// whichever grant of the role there is.
func take(ctx context.Context, client *svcauth.Client, holder, roleID, id string) error {
	end := client.UnassignServiceAccountRole
	if svcauth.ValidID(svcauth.PrefixMember, holder) {
		end = client.UnassignMemberRole
	}
	if _, err := end(ctx, holder, roleID, id, 0); err != nil && !gone(err) {
		return err
	}
	return nil
}

// mayHaveBeenMade reports whether a grant may exist although its creation
// failed. It then belongs in the state, as tainted: the next plan looks for it.
func mayHaveBeenMade(err error) bool {
	lost := (*lostError)(nil)
	return errors.As(err, &lost) || uncertain(err)
}

// privateData is the framework's storage for the provider's own use.
type privateData interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// makesKey is the key, in a plan, of the holder/role pairs that a creation will
// grant. If the creation is half of a replacement, the deletion that is the
// other half has the same plan, and by default comes first.
const makesKey = "makes"

// announce records what a plan's creation will make: nothing for any other
// plan. A creation stores none of it, so no later deletion sees it.
func announce(ctx context.Context, d *diagnostics, plan privateData, pairs ...string) {
	raw, err := json.Marshal(append([]string{}, pairs...))
	if err != nil {
		panic(err) // texts
	}
	d.Append(plan.SetKey(ctx, makesKey, raw)...)
}

// takenOver returns the pairs that are granted anew right after this deletion.
// The deletion leaves them to the new grants, so no token is revoked.
func takenOver(ctx context.Context, d *diagnostics, plan privateData) (pairs []string) {
	raw, more := plan.GetKey(ctx, makesKey)
	d.Append(more...)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &pairs); err != nil {
			d.AddError("The plan can't be read",
				fmt.Sprintf("What this provider noted in it is damaged (%v). Plan again.", err))
		}
	}
	return pairs
}
