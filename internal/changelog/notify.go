package changelog

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// notification is the message by which a node tells the others that the log has
// grown. It names the revocations too, for the moments in which the table can't
// be read.
type notification struct {
	Seq         int64          `json:"seq"`
	Revocations []announcement `json:"revocations"`
}

// announcement is a revocation with its position in the log and its
// organization.
type announcement struct {
	Seq        int64              `json:"seq"`
	OrgID      string             `json:"org"`
	Revocation svcauth.Revocation `json:"entry"`
}

// perNotification is how many revocations go into one message: some 20 KB, and
// never more than a message may have.
const perNotification = 100

// outbox is what the other nodes are still to be told.
type outbox struct {
	wake chan struct{}

	mu      sync.Mutex
	grown   bool           // this node has written something
	written int64          // seq of the newest entry that it wrote
	news    []announcement // revocations among them
}

func (o *outbox) add(seq int64, news []announcement) {
	o.mu.Lock()
	room := max(0, pageSize-len(o.news)) // beyond that the others read it from the table anyway
	o.grown, o.written = true, max(o.written, seq)
	o.news = append(o.news, news[:min(len(news), room)]...)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) take() (grown bool, written int64, news []announcement) {
	o.mu.Lock()
	defer o.mu.Unlock()
	grown, news = o.grown, o.news
	o.grown, o.news = false, nil
	return grown, o.written, news
}

// OnCommitted catches up with what this node has just written to the log, and
// notifies the other nodes. If the table has become unavailable since the
// commit, the revocations are enforced as they are, here and by the others.
func (l *Log) OnCommitted(ctx context.Context, written []store.Change) {
	ctx = context.WithoutCancel(ctx) // the change is committed, though its caller may be gone
	news := l.announcements(written)
	l.outgoing.add(written[len(written)-1].Seq, news)
	if l.synced.Load() == nil {
		return // the server is starting: Load, which follows, reads all there is
	}
	soon, cancel := context.WithTimeout(ctx, readBackWithin)
	defer cancel()
	if err := l.catchUp(soon); err != nil {
		l.cfg.Logger.WarnContext(
			ctx,
			"a change is committed but this node could not read it back; it will when the database answers",
			"error", err,
		)
		l.applyEarly(news)
	}
}

// sendNotifications tells the other nodes of what this one has written. What
// Redis does not take is not sent again: it is in the table.
func (l *Log) sendNotifications(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.outgoing.wake:
		}
		grown, written, news := l.outgoing.take()
		seq := max(l.head.Load(), written)
		for grown {
			part := append([]announcement{}, news[:min(perNotification, len(news))]...)
			news = news[len(part):]
			msg, err := json.Marshal(notification{Seq: seq, Revocations: part})
			if err != nil {
				return fmt.Errorf("encode a notification: %w", err)
			}
			if err := l.cfg.Cache.Publish(ctx, cache.ChannelChanges, msg); err != nil {
				if ctx.Err() == nil {
					l.cfg.Logger.Debug(
						"other nodes could not be notified of a change; they read it within a second",
						"error", err,
					)
				}
				break
			}
			grown = len(news) > 0
		}
	}
}

// receive reads the table because of a notification. If the table does not
// answer, the revocations in the message are enforced at once.
func (l *Log) receive(ctx context.Context, msg []byte) {
	var n notification
	if json.Unmarshal(msg, &n) != nil || n.Seq <= l.head.Load() {
		return
	}
	soon, cancel := context.WithTimeout(ctx, readBackWithin)
	defer cancel()
	err := l.CatchUp(soon)
	if err == nil || ctx.Err() != nil {
		return
	}
	l.cfg.Logger.Debug("the change log could not be read after a notification", "error", err)
	l.applyEarly(n.Revocations[:min(perNotification, len(n.Revocations))])
}
