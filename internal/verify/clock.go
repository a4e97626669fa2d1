package verify

import "time"

// believedAfter is how long a clock that has jumped ahead must stay there
// before it is believed.
const believedAfter = time.Hour

// maxSlew is how far a clock may drift from the monotonic one between two
// readings without having jumped.
const maxSlew = time.Second

// SetBack reports whether the clock was set back between two of its readings.
// What was forgotten by the wrong time may be live by the right one.
func SetBack(before, now time.Time) bool {
	return shift(before, now, now.Sub(before)) < -maxSlew
}

// shift returns by how much the clock was set ahead between two of its
// readings while passed went by on the monotonic clock. It is negative if the
// clock was set back.
func shift(before, now time.Time, passed time.Duration) time.Duration {
	return now.Round(0).Sub(before.Round(0)) - passed
}

// steadyClock compares a clock with the monotonic one, which nobody can set. A
// clock that is set back is believed at once. One that is set ahead is believed
// after an hour, so that no revocation is forgotten because of a wrong time.
type steadyClock struct {
	started time.Time // when counting on the monotonic clock began
	known   bool      // ahead is set
	// ahead is how far the believed clock is ahead of started plus the
	// monotonic time since then.
	ahead time.Duration
	// jumped is when the clock was first seen to have jumped ahead, on the
	// monotonic clock; 0: it has not.
	jumped time.Duration
}

func (c *steadyClock) believe(now time.Time) time.Time {
	passed := time.Since(c.started)
	ahead := shift(c.started, now, passed)
	switch {
	case !c.known || ahead <= c.ahead+maxSlew || c.jumped > 0 && passed-c.jumped >= believedAfter:
		c.known, c.ahead, c.jumped = true, ahead, 0
	case c.jumped == 0:
		c.jumped = max(passed, 1)
	}
	return c.started.Round(0).Add(passed + c.ahead)
}
