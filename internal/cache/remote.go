package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/timespan"
)

const (
	poolSize    = 16                     // connections to one server
	callTimeout = 250 * time.Millisecond // one call, connecting and retrying included, if Config.Patience does not say

	// After openAfter failures in a row, calls fail without being tried. Every
	// openFor one is let through.
	openAfter = 3
	openFor   = 500 * time.Millisecond
	// A cluster that answered anything within partFor has lost a part and not
	// all. The other parts are asked as before.
	partFor = time.Second
)

// errOpen is the error of the open breaker: nothing was sent.
var errOpen = fmt.Errorf("%w (failed at least %d times in a row; tried again soon)", ErrUnavailable, openAfter)

// remote is the connection to Redis, of any topology, with a breaker before it.
type remote struct {
	client   redis.UniversalClient
	logger   *slog.Logger
	observer Observer
	patience time.Duration // of one call
	parts    bool          // more than one server is asked: a cluster
	health   *health

	mu       sync.Mutex
	failures int       // in a row
	answered time.Time // when the last call succeeded
	open     bool
	opened   time.Time
	probeAt  time.Time // while open: when the next call is let through
}

func newRemote(at target, cfg Config) *remote {
	logging.Disable() // it prints to standard error by default
	opt := options(at, cfg.Patience*4/5)
	parts := at.topology == cluster
	r := &remote{logger: cfg.Logger, observer: cfg.Observer, patience: cfg.Patience, parts: parts,
		health: newHealth(cfg.Logger, parts)}
	switch at.topology {
	case sentinel:
		r.client = redis.NewFailoverClient(opt.Failover())
	case cluster:
		r.client = redis.NewClusterClient(opt.Cluster())
	default:
		r.client = redis.NewClient(opt.Simple())
	}
	r.client.AddHook(r.health)
	return r
}

// options has each part of a call end within a time.
func options(at target, within time.Duration) *redis.UniversalOptions {
	opt := &redis.UniversalOptions{
		Addrs: at.addrs, DB: at.db, MasterName: at.master, Username: at.user, Password: at.password, TLSConfig: at.tls,
		// Without this a deadline would not end a read.
		ContextTimeoutEnabled: true,
		// Without these a dead server would cost seconds.
		DialTimeout: within, ReadTimeout: within, WriteTimeout: within, PoolTimeout: within,
		DialerRetries: 1,
		// One retry gets past a connection that went stale in the pool. What is
		// written is idempotent, or may be counted twice.
		MaxRetries: 1, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: 10 * time.Millisecond,
		MaxRedirects: 2,
		// Few connections are enough, since no token request waits for Redis.
		PoolSize: poolSize, PipelinePoolSize: -1, ConnMaxIdleTime: 5 * time.Minute,
		// RESP2, no library name and no maintenance notifications: three things
		// less that an old server or a proxy may not understand.
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if at.sentinelAuth {
		opt.SentinelUsername, opt.SentinelPassword = at.user, at.password
	}
	return opt
}

// do runs one call, or refuses to while the breaker is open. It returns nil,
// redis.Nil, the error of a ctx that ended, or an ErrUnavailable.
func (r *remote) do(ctx context.Context, call func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !r.allow(time.Now()) {
		return errOpen
	}
	limited, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	start := time.Now()
	err := call(limited)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // the caller went away, or allowed less time, which says nothing about Redis
	}
	failed := err != nil && !errors.Is(err, redis.Nil)
	lost := failed && !isRefusal(err)
	if failed {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		r.observer.RedisCalled(ctx, start, err)
	} else {
		r.observer.RedisCalled(ctx, start, nil)
	}
	r.report(time.Now(), lost, err)
	return err
}

func (r *remote) isOpen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

func (r *remote) answeredSince(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures == 0 && r.answered.After(t)
}

func (r *remote) allow(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		return true
	}
	if now.Before(r.probeAt) {
		return false
	}
	r.probeAt = now.Add(openFor)
	return true
}

// report records whether Redis answered. A refusal is an answer.
func (r *remote) report(now time.Time, lost bool, err error) {
	r.mu.Lock()
	before := r.open
	if lost {
		r.failures++
		r.probeAt = now.Add(openFor)
		lostAll := !r.parts || now.Sub(r.answered) >= partFor
		r.open = r.open || r.failures >= openAfter && lostAll
	} else {
		r.failures, r.answered, r.open = 0, now, false
	}
	after := r.open
	if after && !before {
		r.opened = now
	}
	opened := r.opened
	r.mu.Unlock()
	switch {
	case after && !before:
		r.logger.Warn(away.Redis+"; going on without it", "error", err)
	case before && !after:
		r.logger.Info(away.RedisBack, "away", timespan.Text(now.Sub(opened).Round(time.Millisecond)))
	}
}
