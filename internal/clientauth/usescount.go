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
	full  bool      // the database said that there are as many as may be
	until time.Time // when it is to be counted anew
}

// checkCount refuses a client with too many uses in the database. To count them
// costs as much as they are many, so it is not done for each, and least of all
// for those that are refused.
func (u *Uses) checkCount(ctx context.Context, clientID string, now time.Time) error {
	c, known := u.countOne(clientID, now)
	if !known {
		n, err := u.cfg.Store.Read().CountAssertionUses(ctx, clientID, now, maxUses)
		if err != nil {
			return oautherr.From(err)
		}
		c = counted{n: n + 1, full: n >= maxUses, until: now.Add(countedFor)}
		u.keepCount(clientID, c, now)
	}
	if c.full {
		return tooManyUses()
	}
	return nil
}

// countOne counts one more use, if it is known how many there are and that
// there may be one.
func (u *Uses) countOne(clientID string, now time.Time) (c counted, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	c, known = u.counted[clientID]
	if left := c.until.Sub(now); !known || left <= 0 || left > countedFor || c.n >= maxUses && !c.full {
		return counted{}, false
	}
	c.n++
	u.counted[clientID] = c
	return c, true
}

// keepCount remembers a count, if there is room. All uses wait for one that
// makes room, so that is tried no more often than any becomes too old.
func (u *Uses) keepCount(clientID string, c counted, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	since := now.Sub(u.swept)
	if len(u.counted) >= maxCounted && (since < 0 || since >= countedFor) {
		u.swept = now
		maps.DeleteFunc(u.counted, func(_ string, c counted) bool { return !now.Before(c.until) })
	}
	if _, again := u.counted[clientID]; again || len(u.counted) < maxCounted {
		u.counted[clientID] = c
	}
}
