package verify

import "time"

// believedAfter is how long a clock that has jumped ahead must stay there before
// it is believed.
const believedAfter = time.Hour

// maxSlew is how far a clock may move against the monotonic one, between two
// looks, without having jumped.
const maxSlew = time.Second

// steadyClock compares a clock with the monotonic one, which nobody can set. A clock
// that is set back is believed at once, one that is set ahead after an hour: no
// revocation may be forgotten because of a wrong time.
type steadyClock struct {
	started time.Time     // where the monotonic clock is counted from
	known   bool          // ahead is
	ahead   time.Duration // by how much the clock that is believed is ahead of started and what has passed since
	jumped  time.Duration // on the monotonic clock, when the clock was first seen to have jumped ahead; 0: it has not
}

func (c *steadyClock) believe(now time.Time) time.Time {
	passed := time.Since(c.started)
	ahead := now.Round(0).Sub(c.started.Round(0)) - passed
	switch {
	case !c.known || ahead <= c.ahead+maxSlew || c.jumped > 0 && passed-c.jumped >= believedAfter:
		c.known, c.ahead, c.jumped = true, ahead, 0
	case c.jumped == 0:
		c.jumped = max(passed, 1)
	}
	return c.started.Round(0).Add(passed + c.ahead)
}
