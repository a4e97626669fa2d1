package keyring

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Crowding says that keys rotate too often for the algorithms in use: retired
// ones would pile up until there is no room for the next.
type Crowding struct {
	Algorithms []string
	Every      time.Duration // how long a key is to sign
	Enough     time.Duration // with which no rotation waits, in whole hours
}

// String says what happens and which value would do.
func (c *Crowding) String() string {
	return fmt.Sprintf("keys.rotate_every is %s, too short for keys of %d algorithms (%s): at most %d keys are "+
		"published over all, a retired one for %s, so that rotations will wait for room; %s or more would do",
		timespan.Text(c.Every), len(c.Algorithms), strings.Join(c.Algorithms, ", "), svcauth.MaxPublishedKeys,
		timespan.Text(keptUntil(time.Time{}).Sub(time.Time{})), timespan.Text(c.Enough))
}

// keptUntil returns until when a key that retires now is published: until the
// last token that it may have signed is good nowhere.
func keptUntil(now time.Time) time.Time { return verify.KeptUntil(verify.LastExpiry(now)) }

// Crowded returns what is wrong with how often keys rotate, if they are those
// of the server's algorithm and of the profiles of some APIs. It returns nil if
// no rotation by the clock has to wait.
func Crowded(every time.Duration, algorithm string, apis []svcauth.API) *Crowding {
	return crowded(every, newUsage(algorithm, apis))
}

func crowded(every time.Duration, use usage) *Crowding {
	if use.rotatesFreely(every) {
		return nil
	}
	c := &Crowding{Algorithms: use.all, Every: every, Enough: every.Truncate(time.Hour)}
	for ok := false; !ok; ok = use.rotatesFreely(c.Enough) {
		c.Enough += time.Hour
	}
	return c
}

// rotatesFreely reports whether there is room for each rotation, if all
// algorithms rotate at the same moments. As they began together, they do.
func (u usage) rotatesFreely(every time.Duration) bool {
	s := sort(nil, u)
	for _, algorithm := range u.all {
		*s.of(algorithm) = slot{active: &store.SigningKeyRow{}, next: &store.SigningKeyRow{}}
	}
	at := time.Time{}
	for end := keptUntil(at).Add(every); !at.After(end); at = at.Add(every) {
		s.retired = slices.DeleteFunc(s.retired, func(r store.SigningKeyRow) bool { return expired(r, at) })
		for range u.all {
			if s.full(1) != nil {
				return false
			}
			until := keptUntil(at)
			s.retired = append(s.retired, store.SigningKeyRow{SigningKey: svcauth.SigningKey{DeleteAfter: &until}})
		}
	}
	return true
}
