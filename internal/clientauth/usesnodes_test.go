package clientauth

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// nodes returns a function that starts a node beside those that it has started,
// with a PostgreSQL and a Redis of their own. It may be told another address of
// Redis, and another clock.
func nodes(t *testing.T) (*pgtest.Server, *redistest.Server, func(...cache.Config) (*Uses, *store.Store)) {
	t.Helper()
	postgres, redis := pgtest.Start(t, pgtest.Config{Durable: true}), redistest.Start(t)
	url := postgres.NewDatabase()
	migrated, err := store.Open(store.Config{URL: url})
	require.NoError(t, err)
	_, err = migrated.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, migrated.Close())
	run := func(run func(context.Context) error) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- run(ctx) }()
		t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	}
	return postgres, redis, func(given ...cache.Config) (*Uses, *store.Store) {
		cfg := cache.Config{URL: redis.URL(), Clock: time.Now}
		if len(given) > 0 {
			cfg.URL, cfg.Clock = cmp.Or(given[0].URL, cfg.URL), given[0].Clock
		}
		cfg.Key = func() []byte { return []byte("key") }
		db, err := store.Open(store.Config{URL: url})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		memory, err := cache.New(cfg)
		require.NoError(t, err)
		run(memory.Run)
		u := NewUses(UsesConfig{Cache: memory, Store: db, Clock: cfg.Clock, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, u.Load(t.Context()))
		run(u.Run)
		return u, db
	}
}

// waitRemembers waits until Redis remembers.
func waitRemembers(t *testing.T, u *Uses, since time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		from, err := u.cfg.Cache.RemembersSince(t.Context())
		return err == nil && !from.Before(since)
	}, 30*time.Second, 10*time.Millisecond)
}

// madeLater returns what is like [usedOnce] but made so late that Redis surely
// remembers then.
func madeLater(jti string) Once {
	once := usedOnce("sa_1", "org_1", jti)
	once.IssuedAt, once.ExpiresAt = once.IssuedAt.Add(time.Minute), once.ExpiresAt.Add(time.Minute)
	return once
}

// What passed by Redis while the database was away passes at no other node once
// that is back, though Redis has forgotten it by then.
func TestTheDatabaseIsToldWhatPassedWhileItWasAway(t *testing.T) {
	postgres, redis, node := nodes(t)
	one, db := node()
	other, _ := node()
	waitRemembers(t, one, time.Time{})
	waitRemembers(t, other, time.Time{})
	postgres.Kill()
	once := madeLater("a")
	require.NoError(t, one.Use(t.Context(), once))
	require.ErrorContains(t, other.Use(t.Context(), once), "used before")
	postgres.Restart()
	require.Eventually(t, func() bool {
		n, err := db.Read().CountAssertionUses(t.Context(), "sa_1", time.Now(), 10)
		one.mu.Lock()
		defer one.mu.Unlock()
		return err == nil && n == 1 && len(one.owed) == 0
	}, time.Minute, 20*time.Millisecond)
	redis.Flush()
	require.ErrorContains(t, other.Use(t.Context(), once), "used before")
}

// While the database is away, Redis does not let pass what it may have
// forgotten: who has used it is asked to make a new one.
func TestRedisAloneLetsNothingPassThatItMayHaveForgotten(t *testing.T) {
	postgres, redis, node := nodes(t)
	one, _ := node()
	other, _ := node()
	waitRemembers(t, other, time.Time{})
	used := usedOnce("sa_1", "org_1", "a")
	require.NoError(t, one.Use(t.Context(), used))
	flushed := time.Now()
	redis.Flush()
	postgres.Kill()
	require.Error(t, other.Use(t.Context(), used))
	waitRemembers(t, other, flushed)
	refused := oautherr.From(other.Use(t.Context(), usedOnce("sa_1", "org_1", "b")))
	require.Equal(t, "assertion_before_start", refused.Reason)
	require.ErrorContains(t, refused, "make a new assertion")
	require.Greater(t, refused.RetryAfter, assertionSkew)
	require.NoError(t, other.Use(t.Context(), madeLater("c")))
}

// What Redis remembers is by nobody's clock: one that was wrong when a node
// began keeps nobody out, and lets nothing pass.
func TestWhatRedisRemembersIsByNobodysClock(t *testing.T) {
	for _, wrong := range []time.Duration{8 * time.Hour, -8 * time.Hour} {
		postgres, redis, node := nodes(t)
		began := time.Now()
		astray, _ := node(cache.Config{Clock: func() time.Time { return time.Now().Add(wrong) }})
		waitRemembers(t, astray, time.Time{})
		right, _ := node()
		waitRemembers(t, right, began)
		other, _ := node()
		used := usedOnce("sa_1", "org_1", "a")
		require.NoError(t, other.Use(t.Context(), used))
		flushed := time.Now()
		redis.Flush()
		waitRemembers(t, astray, flushed.Add(wrong))
		postgres.Kill()
		require.ErrorContains(t, right.Use(t.Context(), used), "make a new assertion")
		require.NoError(t, right.Use(t.Context(), madeLater("b")))
	}
}

// What a node has passed that does not reach Redis, by the database, passes at
// no other one once that is away.
func TestWhatPassedAtANodeWithoutRedisPassesAtNoOther(t *testing.T) {
	postgres, redis, node := nodes(t)
	whole, _ := node()
	way, cut := relay(t, redis.Addr())
	without, _ := node(cache.Config{URL: strings.Replace(redis.URL(), redis.Addr(), way, 1), Clock: time.Now})
	waitRemembers(t, whole, time.Time{})
	waitRemembers(t, without, time.Time{})
	began := time.Now()
	cut()
	once := usedOnce("sa_1", "org_1", "a")
	once.IssuedAt = once.IssuedAt.Add(assertionSkew)
	require.NoError(t, without.Use(t.Context(), once))
	waitRemembers(t, whole, began)
	postgres.Kill()
	require.ErrorContains(t, whole.Use(t.Context(), once), "make a new assertion")
	require.NoError(t, whole.Use(t.Context(), madeLater("b")))
}

// relay listens at an address, and passes connections on until it is cut.
func relay(t *testing.T, to string) (address string, cut func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var open []net.Conn
	closed := false
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		closed = true
		_ = listener.Close()
		for _, c := range open {
			_ = c.Close()
		}
	}
	t.Cleanup(cut)
	pass := func(from, to net.Conn) { _, _ = io.Copy(to, from); _ = to.Close() }
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			mu.Lock()
			if open = append(open, near); err == nil {
				open = append(open, far)
				go pass(near, far)
				go pass(far, near)
			}
			if err != nil || closed {
				_ = near.Close()
			}
			mu.Unlock()
		}
	}()
	return listener.Addr().String(), cut
}

// place is a request's among those that are in work.
type place struct{}

func (place) Release()               {}
func (place) Await() bool            { return true }
func (place) Caller() (string, bool) { return "org_1", false }

// A database that hangs is away, too: once it is known to hang, what Redis
// knows passes without waiting for it.
func TestWhatRedisKnowsPassesWhileTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	postgres, _, node := nodes(t)
	one, db := node()
	other, _ := node()
	waitRemembers(t, one, time.Time{})
	waitRemembers(t, other, time.Time{})
	postgres.Pause()
	defer postgres.Resume()
	within := limits.WithPlace(t.Context(), place{})
	// One is let through now and then.
	for first := db.Silent(); first == nil && db.Silent() == nil; first = db.Silent() {
		var reads sync.WaitGroup
		for range 4 {
			reads.Go(func() { _, _ = db.Read().LastChange(t.Context()) })
		}
		reads.Wait()
	}
	const uses = 20
	passed := make(chan error, uses)
	for i := range uses {
		go func() { passed <- one.Use(within, madeLater(fmt.Sprint("then ", i))) }()
	}
	for range uses {
		require.NoError(t, <-passed)
	}
	require.ErrorContains(t, one.Use(within, madeLater("then 1")), "used before")
	require.ErrorContains(t, other.Use(within, madeLater("then 1")), "used before")
}
