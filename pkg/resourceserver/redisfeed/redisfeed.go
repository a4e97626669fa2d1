// Package redisfeed hears revocations from svcauth's Redis itself, beside the feed over HTTP: for resource servers that stand next to it and are too many, or too
// far from a stream, to follow by server-sent events. Such a one polls the feed every few seconds, which proves that nothing is missing, and learns of each
// revocation from Redis at once:
//
//	set := resourceserver.NewRevocationSet()
//	verifier, err := resourceserver.New(resourceserver.Config{ …, Revocations: set, Feed: &resourceserver.Feed{Token: …, Poll: true, Every: 10 * time.Second}})
//	…
//	go redisfeed.Follow(ctx, redisfeed.Config{Client: client, Revocations: set})
//
// Redis delivers a message once at most and keeps none: it only makes things faster. Whatever it loses, the feed brings with the next poll, and staleness is
// counted by the feed alone. Whoever may read the channel sees the revocations of all organizations, and whoever may write there can have tokens refused
// (never accepted): give access to resource servers of the operator only.
//
// It owns the subscription. It refuses to know what a revocation means.
package redisfeed

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config says where to listen. Client and Revocations are required.
type Config struct {
	// Client is connected to the Redis that svcauth uses (one server, Sentinel or Cluster). It stays the caller's.
	Client redis.UniversalClient
	// Revocations is the set of the verifier whose Feed is the ledger.
	Revocations *resourceserver.RevocationSet
	// Channel is the name of svcauth's channel. Default "svcauth:{changes}".
	Channel string
	// Logger hears when Redis is lost and found again. Default: silence.
	Logger *slog.Logger
}

const (
	maxMessage   = 64 << 10 // svcauth's own bound
	pingAfter    = 5 * time.Second
	retryAtFirst = 100 * time.Millisecond
	retryAtMost  = 5 * time.Second
)

// Follow puts what svcauth publishes into the set, until ctx is done; then it returns nil. A lost connection is made anew, again and again. It fails at once for
// a configuration without Client or Revocations, and never later.
func Follow(ctx context.Context, cfg Config) error {
	if cfg.Client == nil || cfg.Revocations == nil {
		return errors.New("redisfeed: Client and Revocations are required; expected a client of svcauth's Redis and the verifier's set")
	}
	if cfg.Channel == "" {
		cfg.Channel = "svcauth:{changes}"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for wait, lost := retryAtFirst, false; ; wait = min(2*wait, retryAtMost) {
		err := cfg.listen(ctx, func() {
			if lost {
				cfg.Logger.Info("revocations are heard from Redis again")
			}
			wait, lost = retryAtFirst, false
		})
		if ctx.Err() != nil {
			return nil
		}
		if !lost {
			cfg.Logger.Warn("revocations are not heard from Redis; they come with the next poll of the feed", "error", err)
		}
		lost = true
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// listen runs one subscription until it breaks. Silence is ended with a ping, whose answer must come: a server that stands still keeps its connections open.
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
		case *redis.Message:
			cfg.apply(event.Payload)
		}
	}
}

// apply trusts a message no further than to refuse tokens.
func (cfg Config) apply(message string) {
	var said struct {
		Revocations []struct {
			Entry svcauth.Revocation `json:"entry"`
		} `json:"revocations"`
	}
	if len(message) > maxMessage || json.Unmarshal([]byte(message), &said) != nil {
		return
	}
	for _, r := range said.Revocations {
		cfg.Revocations.Add(r.Entry)
	}
}
