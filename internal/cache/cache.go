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
)

// ErrUnavailable says that Redis did not answer in time, or refused. Nothing
// durable is lost by it. Match with errors.Is.
var ErrUnavailable = errors.New("shared cache unavailable: Redis does not answer or refuses; see redis.url, whether that server runs, and what /readyz says fails")

// Config says where the shared memory is and what bounds it. The zero value is the twin in this process with the default limits.
type Config struct {
	URL    string           // one of the forms of [CheckURL]; empty: in this process
	TLS    *tls.Config      // for a URL with rediss; nil: the system's authorities, and no certificate
	Prefix string           // what every key and channel in Redis begins with; empty: "svcauth:"
	Clock  func() time.Time // nil: time.Now. Lifetimes are computed by it; time-outs are not
	Logger *slog.Logger     // nil: no log

	// Key returns the secret that all nodes share and nobody else has: under it
	// they seal what they write into Redis, so that whoever else may write there
	// forges nothing, and hide whose attempts failed. It is called whenever it is
	// needed; until it returns something, nothing is written or believed.
	// Required with URL.
	Key func() []byte

	WrongPerClient  int           // wrong secrets for one client from one address in one Window before more are refused; 0: 20
	WrongPerAddress int           // the same over all clients; 0: 200
	Window          time.Duration // counted from the first wrong one; 0: one minute

	// OneOfMany says that other nodes may serve the same clients. Without URL
	// none knows of the others' tokens.
	OneOfMany bool

	OnDrop func(queue string, n int)                             // n entries of a full queue ("token_records", "revocation_markers") were dropped
	OnCall func(ctx context.Context, began time.Time, err error) // a call to Redis ended; err is nil where it succeeded

	// OnRecorded hears that the record of a token was written to Redis, or that this failed; from is the span of the request that the token was issued for. It
	// hears only of requests whose trace is sampled. nil: nothing is remembered of a record's request.
	OnRecorded func(from trace.SpanContext, began time.Time, err error)
}

// Cache is the shared short memory. Its methods are safe for concurrent use.
type Cache struct {
	cfg      Config
	remote   *remote // nil: the twin
	records  records
	notifier notifier
	attempts *attempts
	writer   *writer // nil: the twin
	probe    *probe  // nil: the twin
}

// records holds token records. Two exist: in memory and in Redis.
type records interface {
	record(TokenRecord)
	revoke(jti string, expires time.Time)
	list(ctx context.Context, orgID, clientID string, made time.Time) (all []TokenRecord, partial bool, err error)
	find(ctx context.Context, jti string) (TokenRecord, bool, error)
	forget(ctx context.Context, clientID, jti string) error
}

// notifier carries messages to whoever listens now. Two exist: in memory and in Redis.
type notifier interface {
	publish(ctx context.Context, channel Channel, msg []byte) error
	subscribe(ctx context.Context, channel Channel, onMessage func([]byte), onGap func()) error
}

// New checks cfg and returns the cache. It connects to nothing yet, and starts nothing: see [Cache.Run]. It fails only for a faulty Config.URL.
//
// The Redis library's own log, one for the whole process, is silenced: what it would print is in the errors returned here.
func New(cfg Config) (*Cache, error) {
	cfg = cfg.withDefaults()
	c := &Cache{cfg: cfg, attempts: newAttempts(cfg)}
	if cfg.URL == "" {
		c.records, c.notifier = newMemoryRecords(cfg), &memoryNotifier{}
		return c, nil
	}
	at, err := parseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	if cfg.Key == nil {
		return nil, errors.New("cache: Key is missing; expected the secret of all nodes, without which anybody in Redis could speak for them")
	}
	if at.tls != nil && cfg.TLS != nil {
		at.tls = cfg.TLS
	}
	c.remote = newRemote(at, cfg)
	store := newRedisRecords(c.remote, cfg)
	c.records = store
	c.notifier = &sealedNotifier{&redisNotifier{c.remote, cfg.Prefix, cfg.Logger}, sealer{cfg.Key}, cfg.Prefix}
	c.probe = &probe{remote: c.remote, prefix: cfg.Prefix}
	c.writer = &writer{records: store, share: newShare(c.remote, c.attempts, cfg), probe: c.probe}
	return c, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Prefix == "" {
		cfg.Prefix = "svcauth:"
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
	if cfg.OnDrop == nil {
		cfg.OnDrop = func(string, int) {}
	}
	if cfg.OnCall == nil {
		cfg.OnCall = func(context.Context, time.Time, error) {}
	}
	return cfg
}

// Run carries token records, revocation markers and counters to Redis until ctx ends, and once more then. It returns nil, also while Redis is away.
// The twin needs no work; its Run only waits.
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

// Connections are those of this process to Redis, at one moment.
type Connections struct {
	InUse, Idle, Max int
	Waits            uint64 // how often a call had to wait since New, because all were in use
}

// Connections counts them; of a cluster and of Sentinel, those to all servers, where Max is what one server may have. The twin has none.
func (c *Cache) Connections() Connections {
	if c.remote == nil {
		return Connections{}
	}
	stats := c.remote.client.PoolStats()
	return Connections{InUse: int(stats.TotalConns) - int(stats.IdleConns), Idle: int(stats.IdleConns), Max: poolSize, Waits: uint64(stats.WaitCount)}
}

// Shared says whether other nodes see what is written here.
func (c *Cache) Shared() bool { return c.remote != nil }
