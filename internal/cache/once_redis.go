package cache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/internal/batch"
)

// sharedOnce remembers uses for all nodes: a key each, <prefix>{<MAC>}:once.
// Its name is a MAC, so that reading Redis does not tell what was used, and its
// value is the one try's own: if the answer to the first try is lost and the
// library asks again, it finds itself.
type sharedOnce struct {
	*remote
	sealer
	prefix string
	clock  func() time.Time
	batch  batch.Caller[*SharedUse]

	remembers *remembering
}

// ClocksDiffer is how much longer a use is remembered than by this node's clock
// it could be made again: another node's may be behind.
const ClocksDiffer = 10 * time.Second

var errNoOnce = fmt.Errorf("%w: %w", ErrUnavailable, errNoKey)

func newSharedOnce(at *remote, sealer sealer, prefix string, clock func() time.Time) *sharedOnce {
	s := &sharedOnce{remote: at, sealer: sealer, prefix: prefix, clock: clock}
	s.remembers = newRemembering(at, prefix, clock)
	s.batch = batch.Caller[*SharedUse]{Call: s.ask, Max: MaxSharedUses}
	return s
}

// ask is [Cache.OnceShared]. A cluster may answer for some of the uses only.
func (s *sharedOnce) ask(ctx context.Context, uses []*SharedUse) {
	err := errNoOnce
	if len(s.key()) > 0 {
		err = s.do(ctx, func(ctx context.Context) error {
			if err := s.set(ctx, uses); err != nil {
				return err
			}
			return s.compare(ctx, uses)
		})
	}
	for _, use := range uses {
		if err != nil {
			use.Err = err
		}
		if use.Err != nil && !errors.Is(use.Err, ErrUnavailable) {
			use.Err = fmt.Errorf("%w: %w", ErrUnavailable, use.Err)
		}
		use.Again = use.Again && use.Err == nil
		if use.Err != nil {
			s.remembers.lacks.Store(true)
		}
	}
}

// set writes the key of each use where there is none. It returns an error if
// not one was answered.
func (s *sharedOnce) set(ctx context.Context, uses []*SharedUse) error {
	pipe := s.client.Pipeline()
	answers := make([]*redis.BoolCmd, len(uses))
	now, mac, own := s.clock(), s.newMAC(), rand.Text()
	for i, use := range uses {
		name := base64.RawURLEncoding.EncodeToString(macOf(mac, "used once", s.prefix, string(use.ID[:]))[:18])
		use.key, use.own = s.prefix+"{"+name+"}:once", own+strconv.Itoa(i)
		left := min(max(use.Until.Sub(now), 0), MaxOnceFor) + ClocksDiffer
		answers[i] = pipe.SetNX(ctx, use.key, use.own, left)
	}
	_, err := pipe.Exec(ctx)
	for i, use := range uses {
		var first bool
		if first, use.Err = answers[i].Result(); use.Err == nil {
			use.Again, err = !first, nil
		}
	}
	return err
}

// compare finds the uses whose key is there already because the library has
// sent it twice.
func (s *sharedOnce) compare(ctx context.Context, uses []*SharedUse) error {
	pipe := s.client.Pipeline()
	answers := make(map[*SharedUse]*redis.StringCmd)
	for _, use := range uses {
		if use.Again {
			answers[use] = pipe.GetRange(ctx, use.key, 0, int64(len(use.own)))
		}
	}
	if len(answers) == 0 {
		return nil
	}
	_, err := pipe.Exec(ctx)
	for use, answer := range answers {
		there, failed := answer.Result()
		if use.Err = failed; failed == nil {
			use.Again, err = there != use.own, nil
		}
	}
	return err
}
