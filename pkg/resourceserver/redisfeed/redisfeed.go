// Package redisfeed listens to the Redis that svcauth uses, to learn of
// revocations within milliseconds. It is for resource servers that can reach
// that Redis and have more processes than the issuer has streams for. They poll
// the feed every few seconds, which proves that nothing is missing. When Redis
// announces something new, they poll at once:
//
//	verifier, err := resourceserver.New(resourceserver.Config{
//		…
//		Feed: &resourceserver.Feed{Token: …, Poll: true, Every: 10 * time.Second},
//	})
//	…
//	go redisfeed.Follow(ctx, redisfeed.Config{Client: client, Verifier: verifier})
//
// Messages from Redis are not trusted. A message only leads to a poll, at most
// four times a second, and only the feed says what is revoked. So nobody who
// can publish in Redis can make a token be refused, and no key has to be
// shared. Redis delivers a message at most once and stores none; what it loses
// comes with the next regular poll.
package redisfeed

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// Config says what to listen to. Client and Verifier are required.
type Config struct {
	// Client is connected to the Redis that svcauth uses (one server, Sentinel
	// or Cluster). The caller closes it.
	Client redis.UniversalClient
	// Verifier must poll the feed (Feed.Poll).
	Verifier *resourceserver.Verifier
	// Channel is the name of svcauth's channel: its setting redis.prefix
	// followed by "{changes}". Default: "svcauth:{changes}".
	Channel string
	// Logger gets one line when Redis is lost and one when it is back. Default:
	// no log.
	Logger *slog.Logger
}

const pingAfter = 5 * time.Second

var backoff = httpx.Backoff{First: 100 * time.Millisecond, Most: 5 * time.Second}

// Follow makes the verifier poll the feed whenever svcauth announces something,
// until ctx is done; then it returns nil. It reconnects if Redis is lost. It
// returns an error only if Client or Verifier is missing, at once.
func Follow(ctx context.Context, cfg Config) error {
	if cfg.Client == nil || cfg.Verifier == nil {
		return errors.New("redisfeed: Client and Verifier are required; expected a client of " +
			"svcauth's Redis and the verifier that polls the feed")
	}
	if cfg.Channel == "" {
		cfg.Channel = wire.DefaultPrefix + wire.Channel
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for failures, lost := 1, false; ; failures++ {
		err := cfg.listen(ctx, func() {
			if lost {
				cfg.Logger.Info("revocations are heard from Redis again")
			}
			failures, lost = 1, false
		})
		if ctx.Err() != nil {
			return nil
		}
		if !lost {
			cfg.Logger.Warn(
				"revocations are not heard from Redis; they come with the next poll of the feed",
				"error", err,
			)
		}
		lost = true
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff.Wait(failures, 0)):
		}
	}
}

// listen runs one subscription until it breaks. After a silence it sends a ping
// and expects an answer, since a server that hangs keeps its connections open.
func (cfg Config) listen(ctx context.Context, subscribed func()) error {
	sub := cfg.Client.Subscribe(ctx, cfg.Channel)
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	for pinged := false; ; {
		event, err := sub.ReceiveTimeout(ctx, pingAfter)
		var timeout interface{ Timeout() bool }
		switch {
		case err == nil:
			pinged = false
		case !pinged && errors.As(err, &timeout) && timeout.Timeout():
			pinged = true
			err = sub.Ping(ctx)
		}
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case *redis.Subscription:
			subscribed()
			cfg.Verifier.Nudge() // something may have been missed
		case *redis.Message:
			if event.Payload != "" { // svcauth tests with empty ones if it can publish
				cfg.Verifier.Nudge()
			}
		}
	}
}
