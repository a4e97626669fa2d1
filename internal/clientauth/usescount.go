package clientauth

import (
	"context"
	"maps"
	"time"

	"github.com/svcauth/svcauth/internal/oautherr"
)

const (
	// countedFor is for how long this process goes by how many uses of a client
	// the database had, and by its own since. Other nodes' may be as many more.
	countedFor = 5 * time.Second
	maxCounted = 1 << 12 // clients
)

// counted is how many uses of a client are in the database.
type counted struct {
	n     int64
	until time.Time // when it is to be counted anew
}

// checkCount refuses a client with too many uses in the database. To count them
// costs as much as they are many, so it is not done for each.
func (u *Uses) checkCount(ctx context.Context, clientID string, now time.Time) error {
	if u.countOne(clientID, now) {
		return nil
	}
	n, err := u.cfg.Store.Read().CountAssertionUses(ctx, clientID, now, maxUses)
	if err != nil {
		return oautherr.From(err)
	}
	if n >= maxUses {
		return tooManyUses()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.counted) >= maxCounted {
		maps.DeleteFunc(u.counted, func(_ string, c counted) bool { return !now.Before(c.until) })
	}
	if len(u.counted) < maxCounted {
		u.counted[clientID] = counted{n: n + 1, until: now.Add(countedFor)}
	}
	return nil
}

// countOne counts one more use, if it is known that there may be one.
func (u *Uses) countOne(clientID string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	c, known := u.counted[clientID]
	if left := c.until.Sub(now); !known || left <= 0 || left > countedFor || c.n >= maxUses {
		return false
	}
	c.n++
	u.counted[clientID] = c
	return true
}
