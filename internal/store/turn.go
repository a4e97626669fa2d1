package store

import (
	"context"

	"github.com/svcauth/svcauth/internal/limits"
)

// Turn says whose a change is, and whether it may overtake others. All changes
// of all nodes happen one after another. Without turns, an organization that
// sends many would decide how long the others wait.
type Turn struct {
	OrgID string // organizations take turns; empty for the server's own changes
	// First is for what takes something away: a revocation must not wait behind
	// changes that can wait. Such changes have a lane of their own.
	First bool
}

// turns lets at most one change of each of the two lanes into the database at
// once. A change that waits holds no connection. Organizations take turns, and
// the changes of one go in the order in which they came. The requests in work
// bound how many wait, and the context bounds how long.
type turns struct{ first, rest *limits.Slots[string] }

func newTurns() turns {
	return turns{first: limits.NewSlots[string](1, 0), rest: limits.NewSlots[string](1, 0)}
}

// take returns when it is the turn of the change. release passes the turn on.
func (q turns) take(ctx context.Context, t Turn) (release func(), err error) {
	lane := q.rest
	if t.First {
		lane = q.first
	}
	if err := lane.Take(ctx, t.OrgID, false); err != nil {
		return nil, classify("wait for the changes in front", err)
	}
	return lane.Give, nil
}
