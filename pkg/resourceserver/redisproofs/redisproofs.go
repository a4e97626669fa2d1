// Package redisproofs remembers in Redis which proofs of possession (RFC 9449,
// DPoP) were used, so that none passes twice whichever instance of an API it is
// sent to, nor after a restart:
//
//	proofs, err := redisproofs.New(redisproofs.Config{Client: client})
//	…
//	verifier, err := resourceserver.New(resourceserver.Config{
//		…
//		SharedProofs: proofs,
//	})
//
// Each proof costs one SET, and its key is gone after two minutes at most. If
// Redis does not answer, each instance goes by its own memory until it does: a
// proof could then pass once at each. Redis may forget, too: what it has lost
// passes once more at an instance that has not seen it.
//
// The keys tell nothing of callers. Whoever may write them can have proofs pass
// twice, but none refused that it has not seen. A user of Redis for this needs
// no more than
//
//	user proofs on >PASSWORD resetkeys ~svcauth-proof:* resetchannels -@all +set +getrange +ping
package redisproofs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// DefaultPrefix is what the keys begin with, if a Config does not say
// otherwise.
const DefaultPrefix = "svcauth-proof:"

// Config says where proofs are remembered. Client or URL is required.
type Config struct {
	// Client is connected to the Redis (one server, Sentinel or Cluster) that
	// all instances use. Its option ContextTimeoutEnabled must be true: else a
	// Redis that hangs would hold up requests. The caller closes it.
	Client redis.UniversalClient
	// URL is instead of Client: a redis:// or rediss:// URL, such as
	// redis://USER:PASSWORD@HOST:6379/0.
	URL string
	// Prefix is what the keys begin with. APIs may have the same one: a proof
	// is for one of them. Default: [DefaultPrefix].
	Prefix string
}

// Memory is a [resourceserver.ProofMemory] in Redis.
type Memory struct {
	client redis.UniversalClient
	own    bool
	prefix string
}

var _ resourceserver.ProofMemory = (*Memory)(nil)

// New returns a Memory. It sends nothing. If a field is wrong, the error says
// what was expected.
func New(cfg Config) (*Memory, error) {
	m := &Memory{client: cfg.Client, own: cfg.Client == nil, prefix: cfg.Prefix}
	if m.prefix == "" {
		m.prefix = DefaultPrefix
	}
	switch {
	case m.own && cfg.URL == "":
		return nil, errors.New("redisproofs: Client and URL are empty; expected one of them")
	case !m.own && cfg.URL != "":
		return nil, errors.New("redisproofs: both Client and URL are set; expected one of them")
	case m.own:
		options, err := redis.ParseURL(cfg.URL)
		if err != nil {
			return nil, fmt.Errorf("redisproofs: URL: %w", withoutURL(err))
		}
		options.ContextTimeoutEnabled = true
		m.client = redis.NewClient(options)
	case !heedsDeadlines(cfg.Client):
		return nil, errors.New("redisproofs: the Client does not heed deadlines; " +
			"set ContextTimeoutEnabled in its options")
	}
	return m, nil
}

// withoutURL returns an error without the text of the URL, which may have a
// password.
func withoutURL(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

func heedsDeadlines(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	}
	return true // it can't be asked
}

// First implements [resourceserver.ProofMemory]. The value is this try's own:
// if the answer is lost and the library asks again, it finds itself.
func (m *Memory) First(ctx context.Context, id string, life time.Duration) (first bool, err error) {
	key, own := m.prefix+id, rand.Text()
	// Zero would mean for ever.
	first, err = m.client.SetNX(ctx, key, own, max(life, time.Millisecond)).Result()
	if err != nil || first {
		return first, err
	}
	there, err := m.client.GetRange(ctx, key, 0, int64(len(own))).Result()
	return err == nil && there == own, err
}

// Close ends the connections that New has made. It closes no Client that was
// given.
func (m *Memory) Close() error {
	if !m.own {
		return nil
	}
	return m.client.Close()
}
