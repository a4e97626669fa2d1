package resourceserver

import "time"

// believedAfter is how long a clock that has jumped ahead must stay there before
// it is believed.
const believedAfter = time.Hour

// maxSlew is how far a clock may move against the monotonic one, between two
// looks, without having jumped.
const maxSlew = time.Second

// patience compares a clock with the monotonic one, which nobody can set. A clock
// that is set back is believed at once, one that is set ahead after an hour: no
// revocation may be forgotten because of a wrong time.
type patience struct {
	started time.Time     // where the monotonic clock is counted from
	known   bool          // ahead is
	ahead   time.Duration // by how much the clock that is believed is ahead of started and what has passed since
	jumped  time.Duration // on the monotonic clock, when the clock was first seen to have jumped ahead; 0: it has not
}

func (p *patience) believe(now time.Time) time.Time {
	passed := time.Since(p.started)
	ahead := now.Round(0).Sub(p.started.Round(0)) - passed
	switch {
	case !p.known || ahead <= p.ahead+maxSlew || p.jumped > 0 && passed-p.jumped >= believedAfter:
		p.known, p.ahead, p.jumped = true, ahead, 0
	case p.jumped == 0:
		p.jumped = max(passed, 1)
	}
	return p.started.Round(0).Add(passed + p.ahead)
}
