package changelog

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// doorbell is the message on the channel. It names the revocations too, for the
// moments in which the table can't be read.
type doorbell struct {
	Seq         int64  `json:"seq"`
	Revocations []rung `json:"revocations"`
}

// rung is a revocation with its place in the log and the organization whose it
// is.
type rung struct {
	Seq        int64              `json:"seq"`
	OrgID      string             `json:"org"`
	Revocation svcauth.Revocation `json:"entry"`
}

const (
	// perDoorbell is how many revocations go into one message: some 20 KB, and
	// never more than a message may have.
	perDoorbell = 100
	// maxEarly bounds what is enforced before it was read from the table.
	maxEarly = 10 * pageSize
)

// rang takes a message: what counts is the table, but if that does not answer,
// the revocations in the message are enforced at once.
func (f *Follower) rang(ctx context.Context, msg []byte) {
	var bell doorbell
	if json.Unmarshal(msg, &bell) != nil || bell.Seq <= f.head.Load() {
		return
	}
	soon, cancel := context.WithTimeout(ctx, readBackWithin)
	defer cancel()
	err := f.CatchUp(soon)
	if err == nil || ctx.Err() != nil {
		return
	}
	f.cfg.Logger.Debug("the change log could not be read after a doorbell", "error", err)
	f.ahead(bell.Revocations[:min(perDoorbell, len(bell.Revocations))])
}

// ahead enforces revocations that were not read from the table yet. They are
// remembered until they come from there; see confirm.
func (f *Follower) ahead(news []rung) {
	var revocations []svcauth.Revocation
	var entries []store.Change
	f.mu.Lock()
	for _, r := range news {
		payload, err := json.Marshal(r.Revocation)
		if _, known := f.early[r.Seq]; known || err != nil || r.Seq <= f.head.Load() || len(f.early) >= maxEarly {
			continue
		}
		f.early[r.Seq] = r
		revocations = append(revocations, r.Revocation)
		entries = append(entries, store.Change{Seq: r.Seq, OrgID: r.OrgID, Kind: store.ChangeRevocation, Payload: string(payload)})
	}
	f.cfg.Revocations.Add(revocations...) // under the lock: confirm must not be between
	f.mu.Unlock()
	if len(entries) > 0 && f.cfg.OnAhead != nil {
		f.cfg.OnAhead(entries)
	}
}

// came notes entries that were read from the table.
func (f *Follower) came(page []store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.early) == 0 {
		return
	}
	for _, c := range page {
		if r, ok := f.revocation(c); ok && f.early[c.Seq] == (rung{c.Seq, c.OrgID, r}) {
			delete(f.early, c.Seq)
		}
	}
}

// unconfirmed returns how many of the revocations in force ahead of the table
// are not in it, though it has been read to its end since they came. before are
// those that were known when the reading began.
func (f *Follower) unconfirmed(before []int64) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, seq := range before {
		if _, still := f.early[seq]; still {
			n++
		}
	}
	return n
}

// known returns which revocations are in force ahead of the table.
func (f *Follower) known() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.early))
}

// forget ends what was in force ahead of the table, other than what came since
// before was taken.
func (f *Follower) forget(before []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, seq := range before {
		delete(f.early, seq)
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
