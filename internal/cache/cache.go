package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/wire"
)

// ErrUnavailable means that Redis did not answer in time, or refused. Nothing
// durable is lost by it. Match it with errors.Is.
var ErrUnavailable = errors.New("the shared memory can't be used, since " + away.Redis + ": " +
	"it does not answer or refuses; see redis.url, whether that server runs, and what /readyz says fails")

// Config says where the shared memory is and what bounds it. The zero value is
// the twin in this process with the default limits.
type Config struct {
	URL    string           // one of the forms of [CheckURL]; empty for this process
	TLS    *tls.Config      // for a rediss URL; nil for the system's authorities and no certificate
	Prefix string           // of every key and channel in Redis; empty is "svcauth:"
	Clock  func() time.Time // for lifetimes, not for timeouts; nil is time.Now
	Logger *slog.Logger     // nil for no log

	// Key returns the secret that all nodes share and nobody else has. They
	// seal with it what they write into Redis, so that whoever else may write
	// there can forge nothing, and hide whose attempts failed. Nothing is
	// written or believed until Key returns something. It is called each time
	// and required with URL.
	Key func() []byte

	// WrongPerClient is how many wrong secrets are allowed for one client from
	// one address in one Window; 0 is 20.
	WrongPerClient int
	// WrongPerAddress is how many are allowed from one address over all
	// clients; 0 is 200.
	WrongPerAddress int
	// Window is counted from the first wrong secret; 0 is one minute.
	Window time.Duration

	// OneOfMany is set if other nodes may serve the same clients. Without URL
	// none knows of the others' tokens.
	OneOfMany bool

	// Patience is how long one call may take; 0 is a quarter of a second. Tests
	// give more, since their machine may not run a process for seconds.
	Patience time.Duration
	// Observer may be nil: nobody hears.
	Observer Observer
}

// Observer hears how Redis is doing.
type Observer interface {
	// QueueDropped is told that n entries of a full queue were dropped:
	// "token_records" or "revocation_markers".
	QueueDropped(queue string, n int)
	// RedisCalled is told that a call to Redis has ended. err is nil if it
	// succeeded.
	RedisCalled(ctx context.Context, began time.Time, err error)
	// TokenRecorded is told that the record of a token was written to Redis, or
	// that this failed. from is the span of the request that the token was
	// issued for. It is called only for requests whose trace is sampled.
	TokenRecorded(from trace.SpanContext, began time.Time, err error)
}

// nobody is the [Observer] where there is none.
type nobody struct{}

func (nobody) QueueDropped(string, int)                          {}
func (nobody) RedisCalled(context.Context, time.Time, error)     {}
func (nobody) TokenRecorded(trace.SpanContext, time.Time, error) {}

// Cache is the shared short memory. Its methods are safe for concurrent use.
type Cache struct {
	cfg      Config
	remote   *remote // nil in the twin, as are writer and probe
	records  records
	notifier notifier
	attempts *attempts
	once     *onceMemory
	writer   *writer
	probe    *probe

	sharedOnce *sharedOnce // nil in the twin
}

// records holds token records. There are two: [memoryRecords] and
// [redisRecords].
type records interface {
	record(TokenRecord)
	revoke(jti string, expires time.Time)
	list(ctx context.Context, orgID, clientID string, made time.Time) (all []TokenRecord, partial bool, err error)
	find(ctx context.Context, jti string) (TokenRecord, bool, error)
}

// notifier carries messages to whoever listens now. There are two:
// [memoryNotifier] and [redisNotifier].
type notifier interface {
	publish(ctx context.Context, channel Channel, msg []byte) error
	subscribe(ctx context.Context, channel Channel, onMessage func([]byte), onGap func()) error
}

// New checks cfg and returns the cache. It connects to nothing and starts
// nothing, which [Cache.Run] does. It fails only if Config.URL or Config.Key is
// faulty.
//
// It silences the Redis library's log, which is one for the whole process. What
// the library would print is in the errors returned here.
func New(cfg Config) (*Cache, error) {
	cfg = cfg.withDefaults()
	c := &Cache{cfg: cfg, attempts: newAttempts(cfg), once: newOnceMemory(cfg.Clock)}
	if cfg.URL == "" {
		c.records, c.notifier = newMemoryRecords(cfg), &memoryNotifier{}
		return c, nil
	}
	at, err := parseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	if cfg.Key == nil {
		return nil, errors.New("cache: Key is missing; expected the secret of all nodes, " +
			"without which anybody in Redis could speak for them")
	}
	if at.tls != nil && cfg.TLS != nil {
		at.tls = cfg.TLS
	}
	c.remote = newRemote(at, cfg)
	store := newRedisRecords(c.remote, cfg)
	c.records = store
	c.notifier = &sealedNotifier{&redisNotifier{c.remote, cfg.Prefix, cfg.Logger}, sealer{cfg.Key}, cfg.Prefix}
	c.sharedOnce = newSharedOnce(c.remote, sealer{cfg.Key}, cfg.Prefix, cfg.Clock)
	c.probe = &probe{remote: c.remote, prefix: cfg.Prefix}
	c.writer = &writer{records: store, shared: newSharedAttempts(c.remote, c.attempts, cfg), probe: c.probe,
		uses: c.sharedOnce.remembers}
	return c, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Prefix == "" {
		cfg.Prefix = wire.DefaultPrefix
	}
	// A brace of its own would change which part of a key Redis Cluster hashes.
	cfg.Prefix = strings.NewReplacer("{", "", "}", "").Replace(cfg.Prefix)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.WrongPerClient <= 0 {
		cfg.WrongPerClient = 20
	}
	if cfg.WrongPerAddress <= 0 {
		cfg.WrongPerAddress = 200
	}
	if cfg.Window <= 0 {
		cfg.Window = time.Minute
	}
	if cfg.Patience <= 0 {
		cfg.Patience = callTimeout
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	return cfg
}

// Run carries token records, revocation markers and counters to Redis until ctx
// ends, and once more then. It returns nil, even if Redis is away. The twin's
// Run only waits.
func (c *Cache) Run(ctx context.Context) error {
	if c.writer == nil {
		<-ctx.Done()
		return nil
	}
	c.writer.run(ctx)
	return nil
}

// Close ends the connections. Call it after Run has returned.
func (c *Cache) Close() error {
	if c.remote == nil {
		return nil
	}
	return c.remote.client.Close()
}

// Connections are the connections of this process to Redis, at one moment.
type Connections struct {
	InUse, Idle, Max int
	Waits            uint64 // how often a call had to wait since New, because all were in use
}

// Connections counts the connections. With a cluster or Sentinel it counts
// those to all servers, but Max is of one server. The twin has none.
func (c *Cache) Connections() Connections {
	if c.remote == nil {
		return Connections{}
	}
	stats := c.remote.client.PoolStats()
	total, idle := int(stats.TotalConns), int(stats.IdleConns)
	return Connections{InUse: total - idle, Idle: idle, Max: poolSize, Waits: uint64(stats.WaitCount)}
}

// Shared reports whether other nodes see what is written here.
func (c *Cache) Shared() bool { return c.remote != nil }
