package access

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Handover is what a change would give into somebody's hands.
type Handover struct {
	Gives EffectivePrivileges // what it opens
	End   *time.Time          // when it ends by itself; nil: never
	What  string              // completes "You can't …"
	// Bounded names what of it the caller may give an end, such as "the grant";
	// empty: nothing.
	Bounded string
}

// holder returns what the caller may hand over, and until when it holds that:
// of a full token what its holder holds now, else what of this the request
// carries.
func (t *Tx) holder(ctx context.Context) (EffectivePrivileges, error) {
	org, err := t.Organization(ctx, t.Actor.OrgID)
	if err != nil {
		return EffectivePrivileges{}, err
	}
	held, err := t.s.Effective(ctx, t.Q, org.ID, org.Operator, t.Actor.ID)
	if !t.Actor.Full {
		held.Privileges = slices.DeleteFunc(held.Privileges,
			func(p string) bool { return !slices.Contains(t.Actor.Privileges, p) })
	}
	return held, err
}

// mayHandOver refuses to give anybody privileges that the caller may not hand
// over, or for longer than the caller holds them itself.
func (t *Tx) mayHandOver(ctx context.Context, h Handover) error {
	if len(h.Gives.Privileges) == 0 || t.Actor.Kind == svcauth.KindSystem {
		return nil
	}
	holder, err := t.holder(ctx)
	if err != nil {
		return err
	}
	if missing := without(h.Gives.Privileges, holder.Privileges); len(missing) > 0 {
		return lacks(missing,
			"You can't %s: that hands over privileges which %s does not carry: %s.", h.What,
			t.Actor.credential(), strings.Join(missing, ", "))
	}
	longer, first := holder.Outlasting(h.Gives.within(h.End))
	if len(longer) == 0 {
		return nil
	}
	rest := "and this would last longer. Somebody who holds that for longer can"
	if h.Bounded != "" {
		rest = h.Bounded + " must end by then: set expires_at to this moment or an earlier one"
	}
	return lacks(longer, "You can't %s: you hold %s only until %s; %s.", h.What,
		strings.Join(longer, ", "), first.UTC().Format(time.RFC3339Nano), rest)
}

// MayHandOverAccount refuses if the account may do something that the caller
// may not hand over, or for longer. End is when what gives the account away
// ends.
func (t *Tx) MayHandOverAccount(ctx context.Context, accountID string, h Handover) error {
	org, err := t.Organization(ctx, t.Actor.OrgID)
	if err != nil {
		return err
	}
	if h.Gives, err = t.s.Effective(ctx, t.Q, org.ID, org.Operator, accountID); err != nil {
		return err
	}
	return t.mayHandOver(ctx, h)
}
