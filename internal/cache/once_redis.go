package cache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
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
	batch  batch.Caller[*sharedUse]
}

// maxSharedUses is how many uses are sent to Redis at once.
const maxSharedUses = 64

// sharedUse is a request that waits for Redis.
type sharedUse struct {
	key, own string
	left     time.Duration
	first    bool
	err      error
}

var errNoOnce = fmt.Errorf("%w: %w", ErrUnavailable, errNoKey)

func newSharedOnce(at *remote, sealer sealer, prefix string, clock func() time.Time) *sharedOnce {
	s := &sharedOnce{remote: at, sealer: sealer, prefix: prefix, clock: clock}
	s.batch = batch.Caller[*sharedUse]{Call: s.send, Max: maxSharedUses}
	return s
}

// take reports whether nobody has taken the id. An error is [ErrUnavailable],
// or that of a ctx that ended.
func (s *sharedOnce) take(ctx context.Context, id [32]byte, until time.Time) (first bool, err error) {
	if len(s.key()) == 0 {
		return false, errNoOnce
	}
	left := min(until.Sub(s.clock()), MaxOnceFor)
	if left < time.Millisecond {
		left = time.Millisecond // zero would mean for ever
	}
	name := base64.RawURLEncoding.EncodeToString(s.sum("used once", s.prefix, string(id[:]))[:18])
	use := &sharedUse{key: s.prefix + "{" + name + "}:once", own: rand.Text(), left: left}
	if err := s.batch.Do(ctx, use); err != nil {
		return false, err
	}
	return use.first, use.err
}

// send asks Redis about uses. A cluster may answer for some of them only.
func (s *sharedOnce) send(ctx context.Context, uses []*sharedUse) {
	err := s.do(ctx, func(ctx context.Context) error {
		if err := s.set(ctx, uses); err != nil {
			return err
		}
		return s.compare(ctx, uses)
	})
	for _, use := range uses {
		switch {
		case err != nil:
			use.err = err
		case use.err != nil:
			use.err = fmt.Errorf("%w: %w", ErrUnavailable, use.err)
		}
	}
}

// set writes the key of each use where there is none. It returns an error if
// not one was answered.
func (s *sharedOnce) set(ctx context.Context, uses []*sharedUse) error {
	pipe := s.client.Pipeline()
	answers := make([]*redis.BoolCmd, len(uses))
	for i, use := range uses {
		answers[i] = pipe.SetNX(ctx, use.key, use.own, use.left)
	}
	_, err := pipe.Exec(ctx)
	for i, use := range uses {
		if use.first, use.err = answers[i].Result(); use.err == nil {
			err = nil
		}
	}
	return err
}

// compare finds the uses whose key is there already because the library has
// sent it twice.
func (s *sharedOnce) compare(ctx context.Context, uses []*sharedUse) error {
	pipe := s.client.Pipeline()
	answers := make(map[*sharedUse]*redis.StringCmd)
	for _, use := range uses {
		if use.err == nil && !use.first {
			answers[use] = pipe.GetRange(ctx, use.key, 0, int64(len(use.own)))
		}
	}
	if len(answers) == 0 {
		return nil
	}
	_, err := pipe.Exec(ctx)
	for use, answer := range answers {
		there, failed := answer.Result()
		if failed != nil && !errors.Is(failed, redis.Nil) {
			use.err = failed
			continue
		}
		use.first, err = there == use.own, nil
	}
	return err
}
