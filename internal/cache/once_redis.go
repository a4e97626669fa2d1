package cache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"
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
}

var errNoOnce = fmt.Errorf("%w: %w", ErrUnavailable, errNoKey)

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
	key, own := s.prefix+"{"+name+"}:once", rand.Text()
	err = s.do(ctx, func(ctx context.Context) error {
		if first, err = s.client.SetNX(ctx, key, own, left).Result(); err != nil || first {
			return err
		}
		there, err := s.client.GetRange(ctx, key, 0, int64(len(own))).Result()
		first = there == own
		return err
	})
	return first, err
}
