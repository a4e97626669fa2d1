package changes

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// doorbell is the message on the channel. Resource servers that read Redis themselves (package redisfeed) act on the revocations in it at once.
type doorbell struct {
	Seq         int64                `json:"seq"`
	Revocations []svcauth.Revocation `json:"revocations"`
}

// perDoorbell is how many revocations go into one message: some 20 KB, and never more than a message may have.
const perDoorbell = 100

func (f *Follower) isNew(msg []byte) bool {
	var bell doorbell
	return json.Unmarshal(msg, &bell) != nil || bell.Seq > f.head.Load()
}

// publish rings the bell for what this node has written. What Redis does not take is not repeated: the table has it.
func (f *Follower) publish(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.ringing:
		}
		f.mu.Lock()
		bell, news := f.bell, f.news
		f.bell, f.news = false, nil
		f.mu.Unlock()
		for bell {
			part := append([]svcauth.Revocation{}, news[:min(perDoorbell, len(news))]...)
			news = news[len(part):]
			msg, err := json.Marshal(doorbell{Seq: f.head.Load(), Revocations: part})
			if err != nil {
				return fmt.Errorf("write a doorbell message: %w", err)
			}
			if err := f.cfg.Cache.Publish(ctx, cache.ChannelChanges, msg); err != nil {
				if ctx.Err() == nil {
					f.cfg.Logger.Debug("the doorbell did not ring; other nodes notice within a second", "error", err)
				}
				break
			}
			bell = len(news) > 0
		}
	}
}
