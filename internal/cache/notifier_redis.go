package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/internal/httpx"
)

// pingAfter is how long a connection may be silent before it is sent a ping. If
// no answer comes within as long again, it is taken for dead.
const pingAfter = 2 * time.Second

// resubscribe is how long to wait before a lost subscription is made again.
var resubscribe = httpx.Backoff{First: 50 * time.Millisecond, Most: time.Second}

// redisNotifier is Redis pub/sub, which delivers at most once and to whoever is
// connected.
type redisNotifier struct {
	*remote
	prefix string
	logger *slog.Logger
}

// publish sends a message, in a Cluster to the master of the channel's slot,
// where subscribers listen too. The library's own Publish does not take the
// channel for a key and chooses another master each time. Two messages then
// race each other through the cluster bus, and the later one may win.
func (n *redisNotifier) publish(ctx context.Context, channel Channel, msg []byte) error {
	return n.do(ctx, func(ctx context.Context) error { return publish(ctx, n.client, n.prefix+string(channel), msg) })
}

func publish(ctx context.Context, on interface {
	Process(context.Context, redis.Cmder) error
}, channel string, msg []byte) error {
	cmd := redis.NewIntCmd(ctx, "publish", channel, msg)
	cmd.SetFirstKeyPos(1)
	return on.Process(ctx, cmd)
}

func (n *redisNotifier) subscribe(ctx context.Context, channel Channel, onMessage func([]byte), onGap func()) error {
	failures, lost := 0, time.Now()
	health := "subscribe " + string(channel)
	for {
		confirmed := false
		err := n.listen(ctx, n.prefix+string(channel), onMessage, func() {
			confirmed = true
			n.health.succeeded(health, OpSubscribe)
			onGap()
		})
		if ctx.Err() != nil {
			return nil
		}
		if failures++; confirmed {
			failures, lost = 0, time.Now()
		}
		n.health.note(health, OpSubscribe, err)
		if failures >= openAfter && !isRefusal(err) && n.answeredSince(lost) {
			// All else works: something between here and Redis knows no
			// subscriptions, or it lets no new connection in.
			n.health.failed(health, OpSubscribe, fmt.Errorf("a subscription does not come into force: %w", err))
		}
		n.logger.Debug("subscription to Redis lost", "channel", string(channel), "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(resubscribe.Wait(failures+1, 0)):
		}
	}
}

// listen runs one subscription until it breaks. The library's own channel would
// not notice a server that stands still: its health check only writes. So
// silence is ended with a ping here, and the ping's answer is waited for.
func (n *redisNotifier) listen(ctx context.Context, channel string, onMessage func([]byte), onGap func()) error {
	sub := n.client.Subscribe(ctx) // connects with the first channel, below
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	within, cancel := context.WithTimeout(ctx, n.patience)
	err := sub.Subscribe(within, channel)
	cancel()
	if err != nil {
		return err
	}
	confirmed, pinged := false, false
	for {
		event, err := sub.ReceiveTimeout(ctx, pingAfter)
		var timeout net.Error
		switch {
		case err == nil:
			pinged = false
		case confirmed && !pinged && errors.As(err, &timeout) && timeout.Timeout():
			pinged = true
			if err := sub.Ping(ctx); err != nil {
				return err
			}
		default:
			return err
		}
		switch event := event.(type) {
		case *redis.Subscription:
			if event.Kind == "subscribe" {
				confirmed = true
				n.report(time.Now(), false, nil) // Redis has answered: publish may try again at once
				onGap()
			}
		case *redis.Message:
			onMessage([]byte(event.Payload))
		}
	}
}
