package changes

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// doorbell is the message on the channel. It names the revocations too, for the moments in which the table can't be read.
type doorbell struct {
	Seq         int64  `json:"seq"`
	Revocations []rung `json:"revocations"`
}

// rung is a revocation with the organization whose it is.
type rung struct {
	OrgID      string             `json:"org"`
	Revocation svcauth.Revocation `json:"entry"`
}

// perDoorbell is how many revocations go into one message: some 20 KB, and never more than a message may have.
const perDoorbell = 100

// rang takes a message: what counts is the table, but where that does not answer, the revocations in the message are enforced at once.
func (f *Follower) rang(ctx context.Context, msg []byte) {
	var bell doorbell
	readable := json.Unmarshal(msg, &bell) == nil
	if readable && bell.Seq <= f.head.Load() {
		return
	}
	soon, cancel := context.WithTimeout(ctx, readBackWithin)
	defer cancel()
	err := f.CatchUp(soon)
	if err == nil || ctx.Err() != nil {
		return
	}
	f.cfg.Logger.Debug("the change log could not be read after a doorbell", "error", err)
	if !readable {
		return
	}
	var entries []store.Change
	for _, r := range bell.Revocations[:min(perDoorbell, len(bell.Revocations))] {
		if payload, err := json.Marshal(r.Revocation); err == nil {
			entries = append(entries, store.Change{OrgID: r.OrgID, Kind: store.ChangeRevocation, Payload: string(payload)})
		}
	}
	f.ahead(entries)
}

// ahead enforces revocations that were not read from the table yet. They come again from there, which changes nothing.
func (f *Follower) ahead(entries []store.Change) {
	var revocations []svcauth.Revocation
	var kept []store.Change
	for _, c := range entries {
		if r, ok := f.revocation(c); ok {
			revocations, kept = append(revocations, r), append(kept, c)
		}
	}
	if len(kept) == 0 {
		return
	}
	f.cfg.Revocations.Add(revocations...)
	if f.cfg.OnAhead != nil {
		f.cfg.OnAhead(kept)
	}
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
		bell, news, seq := f.bell, f.news, max(f.head.Load(), f.written)
		f.bell, f.news = false, nil
		f.mu.Unlock()
		for bell {
			part := append([]rung{}, news[:min(perDoorbell, len(news))]...)
			news = news[len(part):]
			msg, err := json.Marshal(doorbell{Seq: seq, Revocations: part})
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
