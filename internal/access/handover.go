package access

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// handover is what a change would give into somebody's hands.
type handover struct {
	gives Holdings   // what it opens
	end   *time.Time // when it ends by itself; nil: never
	what  string     // completes "You can't …"
	// bounded names what of it the caller may give an end, such as "the grant";
	// empty: nothing.
	bounded string
}

// holder returns what the caller may hand over, and until when it holds that:
// of a full token what its holder holds now, else what of this the request
// carries.
func (t *tx) holder(ctx context.Context) (Holdings, error) {
	org, err := t.Organization(ctx, t.actor.OrgID)
	if err != nil {
		return Holdings{}, err
	}
	held, err := t.s.holdings(ctx, t.Q, org.ID, org.Operator, t.actor.ID)
	if !t.actor.Full {
		held.Privileges = slices.DeleteFunc(held.Privileges, func(p string) bool { return !slices.Contains(t.actor.Privileges, p) })
	}
	return held, err
}

// mayHandOver refuses to give anybody privileges that the caller may not hand
// over, or for longer than the caller holds them itself.
func (t *tx) mayHandOver(ctx context.Context, h handover) error {
	if len(h.gives.Privileges) == 0 || t.actor.Kind == svcauth.KindSystem {
		return nil
	}
	holder, err := t.holder(ctx)
	if err != nil {
		return err
	}
	if missing := without(h.gives.Privileges, holder.Privileges); len(missing) > 0 {
		return lacks(missing, "You can't %s: that hands over privileges which %s does not carry: %s.", h.what, t.actor.credential(), strings.Join(missing, ", "))
	}
	longer, first := holder.outlasting(h.gives.within(h.end))
	if len(longer) == 0 {
		return nil
	}
	rest := "and this would last longer. Somebody who holds that for longer can"
	if h.bounded != "" {
		rest = h.bounded + " must end by then: set expires_at to this moment or an earlier one"
	}
	return lacks(longer, "You can't %s: you hold %s only until %s; %s.", h.what, strings.Join(longer, ", "), first.UTC().Format(time.RFC3339Nano), rest)
}

// mayHandOverAccount refuses if the account may do something that the caller may
// not hand over, or for longer. end is when what gives the account away ends.
func (s *Service) mayHandOverAccount(ctx context.Context, t *tx, accountID string, h handover) error {
	org, err := t.Organization(ctx, t.actor.OrgID)
	if err != nil {
		return err
	}
	if h.gives, err = s.holdings(ctx, t.Q, org.ID, org.Operator, accountID); err != nil {
		return err
	}
	return t.mayHandOver(ctx, h)
}
