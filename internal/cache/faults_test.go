package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

// drops counts what was dropped, by queue, and the calls that failed.
type drops struct {
	nobody
	failures atomic.Int64
	mu       sync.Mutex
	all      map[string]int
}

func (d *drops) QueueDropped(queue string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[string]int{}
	}
	d.all[queue] += n
}

func (d *drops) RedisCalled(_ context.Context, _ time.Time, err error) {
	if err != nil {
		d.failures.Add(1)
	}
}

func (d *drops) of(queue string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all[queue]
}

// TestNoRequestWaitsForRedis is design §4: what a token request calls is
// answered from memory, whatever Redis does; and what waits for Redis waits a
// quarter of a second at most. The limits here are far wider, for a busy
// machine, and far below what the library does by default with one paused
// server (5 s a call).
func TestNoRequestWaitsForRedis(t *testing.T) {
	for name, harm := range map[string]func(*redistest.Server){
		"paused": (*redistest.Server).Pause,
		"killed": (*redistest.Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			var dropped drops
			b := backend{url: s.URL(), nodes: []*redistest.Server{s}}
			var log syncbuf.Buffer
			c := b.node(t, Config{Observer: &dropped, Patience: callTimeout,
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			require.Empty(t, c.Failing(t.Context()))
			h := listen(t, c, ChannelChanges)
			harm(s)

			now := time.Now()
			const many = 20_000
			for i := range many {
				c.RecordToken(t.Context(), record("sa_"+strconv.Itoa(i), "j"+strconv.Itoa(i), now, time.Hour))
				c.MarkRevoked("r"+strconv.Itoa(i), now.Add(time.Hour))
				c.Fail("sa_1", addr("192.0.2.1"), 1)
			}
			require.Less(t, time.Since(now), 5*time.Second, "60,000 calls with Redis %s", name)
			eventually(t, func() bool { return dropped.of("token_records") > 0 },
				"what does not fit to be dropped and counted")
			require.LessOrEqual(t, dropped.of("token_records"), many-8192, "the queue holds 8192")
			require.Positive(t, dropped.of("revocation_markers"))
			require.True(t, limited(c, "sa_1", "192.0.2.1"), "wrong secrets are counted without Redis")

			publish := func(ctx context.Context) error { return c.Publish(ctx, ChannelChanges, []byte("x")) }
			for call, do := range map[string]func(context.Context) error{
				"publish": publish,
				"tokens": func(ctx context.Context) error {
					_, _, err := c.Tokens(ctx, "org_1", "sa_1", time.Now())
					return err
				},
				"find": func(ctx context.Context) error { _, _, err := c.FindToken(ctx, "j1"); return err },
			} {
				began := time.Now()
				err := do(t.Context())
				require.ErrorIs(t, err, ErrUnavailable, call)
				require.NotContains(t, err.Error(), s.URL())
				require.Less(t, time.Since(began), 3*time.Second, call)
			}
			began := time.Now()
			for range 1000 {
				require.Error(t, publish(t.Context()))
			}
			require.Less(t, time.Since(began), 10*time.Second,
				"the breaker answers at once; 1000 time-outs would take 250 s")
			require.Less(t, dropped.failures.Load(), int64(500), "and sends little")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, publish(ctx), context.Canceled, "who has gone away is told so")

			gaps := h.gaps.Load()
			if name == "paused" {
				eventually(t, func() bool { return strings.Contains(log.String(), "subscription to Redis lost") },
					"the subscription to be found dead by its own pings, not by TCP")
				s.Resume()
			} else {
				s.Start()
			}
			eventually(t, func() bool { return len(c.Failing(t.Context())) == 0 }, "Redis to be used again by itself")
			eventually(t, func() bool { return h.gaps.Load() > gaps }, "the subscriber to be told of the gap")
			require.True(t, c.Shared())
			_, _, err := c.Tokens(t.Context(), "org_1", "sa_1", time.Now())
			require.NoError(t, err)
			eventually(t, func() bool { _, ok, err := c.FindToken(t.Context(), "j5"); return err == nil && ok },
				"what was queued to be written")
		})
	}
}

func TestFailOverThroughSentinel(t *testing.T) {
	s := redistest.StartSentinel(t)
	b := backend{url: s.URL()}
	one, two := b.node(t, Config{Prefix: "f:"}), b.node(t, Config{Prefix: "f:"})
	h := listen(t, two, ChannelChanges)
	now := time.Now().Truncate(time.Millisecond)
	one.RecordToken(t.Context(), record("sa_1", "before", now, time.Hour))
	listed(t, two, "sa_1", "before")
	s.FailOver()
	one.RecordToken(t.Context(), record("sa_1", "after", now.Add(time.Second), time.Hour))
	eventually(t, func() bool { _, ok, err := two.FindToken(t.Context(), "after"); return err == nil && ok },
		"the new master to be used")
	eventually(t, func() bool { return h.gaps.Load() > 1 }, "the subscriber to be told of the gap")
	eventually(t, func() bool {
		return one.Publish(t.Context(), ChannelChanges, []byte("x")) == nil && h.all() != ""
	}, "a notification to arrive through the new master")
}

// TestClusterWithoutOneMaster loses the third of the keys that this master
// held, and nothing else.
func TestClusterWithoutOneMaster(t *testing.T) {
	cl := redistest.StartCluster(t)
	b := backend{url: cl.URL()}
	var dropped drops
	c := b.node(t, Config{Prefix: "lost:", Observer: &dropped})
	now := time.Now().Truncate(time.Millisecond)
	c.RecordToken(t.Context(), record("sa_0", "j0", now, time.Hour))
	listed(t, c, "sa_0", "j0")
	cl.Nodes[2].Kill()
	const many = 60
	for i := range many {
		c.RecordToken(t.Context(), record("sa_"+strconv.Itoa(i), "k"+strconv.Itoa(i), now, time.Hour))
	}
	readable := func() (n int) {
		for i := range many {
			if _, ok, err := c.FindToken(t.Context(), "k"+strconv.Itoa(i)); err == nil && ok {
				n++
			}
		}
		return n
	}
	eventually(t, func() bool { return readable() >= many/3 }, "what the other two hold to be written and read")
	requireListedHaveKeys(t, backend{nodes: cl.Nodes[:2]}, "lost:")
	cl.Nodes[2].Start()
	eventually(t, func() bool { return readable()+dropped.of("token_records") >= many },
		"the rest to be written when it is back, or counted as dropped")
}

// requireListedHaveKeys fails where a client's list has a token ("k…") whose
// key is on none of the servers: a reader would tidy that entry away.
func requireListedHaveKeys(t *testing.T, b backend, prefix string) {
	t.Helper()
	var listed []string
	for _, node := range b.nodes {
		for list := range strings.SplitSeq(node.Must("KEYS", prefix+"*:tokens"), "\n") {
			if list != "" {
				listed = append(listed, strings.Split(node.Must("ZRANGEBYLEX", list, "[k", "(l"), "\n")...)
			}
		}
	}
	listed = slices.DeleteFunc(listed, func(jti string) bool { return jti == "" })
	require.NotEmpty(t, listed)
	keys := b.keys(prefix) // read after the lists: whatever they had must be here
	for _, jti := range listed {
		require.Contains(t, keys, prefix+"{"+jti+"}:token")
	}
}

func TestQueueRetriesCountsAndDrops(t *testing.T) {
	var dropped drops
	q := newQueue[int]("q", 300, &dropped)
	for i := range 310 {
		q.put(i)
	}
	require.Equal(t, 10, dropped.of("q"))
	away := errors.New("away")
	for range 3 * maxTries {
		q.flush(func([]int) ([]bool, error) { return nil, away })
	}
	require.Equal(t, 10, dropped.of("q"), "while Redis is away nothing is given up")
	written := map[int]int{}
	refuse7 := func(batch []int) ([]bool, error) {
		done := make([]bool, len(batch))
		for i, v := range batch {
			if done[i] = v != 7; done[i] {
				written[v]++
			}
		}
		return done, nil
	}
	for range maxTries - 1 {
		q.flush(refuse7)
	}
	require.Equal(t, 10, dropped.of("q"))
	q.flush(refuse7)
	require.Equal(t, 11, dropped.of("q"), "one that never succeeds while others do is given up")
	require.Len(t, written, 299)
	for v, n := range written {
		require.Equal(t, 1, n, v)
	}
	q.flush(func([]int) ([]bool, error) { t.Fatal("nothing is left"); return nil, nil })
}

func TestCheckURL(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                "",
		"redis://localhost":               "",
		"redis://:p%40ss@h:6379/3":        "",
		"rediss://u:p@h":                  "",
		"redis://[::1]:6379":              "",
		"redis+sentinel://a,b:26380/main": "",
		"redis+sentinel://:p@a/m?sentinel_auth=true": "",
		"redis+cluster://a:1,b:2":                    "",
		"http://h":                                   "scheme is not known",
		"redis+ring://h":                             "scheme is not known",
		"redis+://h":                                 "scheme is not known",
		"h:6379":                                     "scheme is not known",
		"redis://":                                   "a host is missing",
		"redis://a,b":                                "more than one host",
		"redis://h:0":                                "a port is not a number",
		"redis://h:99999":                            "a port is not a number",
		"redis://h/x":                                "the database is not a number",
		"redis://h/-1":                               "the database is not a number",
		"redis://s3cret@h":                           "a user without a password",
		"redis://:s3%zzcret@h":                       "percent-encoded",
		"redis://:s3/cret@h":                         "",
		"redis+sentinel://h":                         "no name of a master",
		"redis+cluster://h/1":                        "has no databases",
		"redis://h?db=1":                             "nothing may follow ?",
		"redis://:s3?cret@h":                         "",
	} {
		err := CheckURL(raw)
		if want == "" && raw != "redis://:s3/cret@h" && raw != "redis://:s3?cret@h" {
			require.NoError(t, err, raw)
			continue
		}
		require.ErrorContains(t, err, want, raw)
		require.NotContains(t, err.Error(), "cret", raw)
	}
	at, err := parseURL("rediss+sentinel://u:p%2Fw@a,[::1]:7/main?sentinel_auth=true")
	require.NoError(t, err)
	require.NotNil(t, at.tls)
	require.Equal(t, []string{"a:26379", "[::1]:7"}, at.addrs)
	require.Equal(t, "u p/w main true", fmt.Sprint(at.user, " ", at.password, " ", at.master, " ", at.sentinelAuth))
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"", "redis://:p@h:1/0", "redis+sentinel://a,b/m", "redis+cluster://[::1]:5,b",
		"rediss://u:p@h", "redis://%zz@h/?", "redis://@@,/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		at, err := parseURL(raw)
		if err != nil {
			return
		}
		require.NotEmpty(t, at.addrs)
		if at.password != "" && len(at.password) > 8 {
			require.NotContains(t, fmt.Sprint(at.addrs), at.password)
		}
	})
}

// TestBreakerTellsAPartFromAll has one master of a cluster fail every time
// while another one answers now and then: those calls must still be let
// through.
func TestBreakerTellsAPartFromAll(t *testing.T) {
	now := time.Now()
	away := errors.New("away")
	one := &remote{logger: slog.New(slog.DiscardHandler)}
	parts := &remote{logger: slog.New(slog.DiscardHandler), parts: true}
	for _, r := range []*remote{one, parts} {
		r.report(now, false, nil)
		for range openAfter {
			require.True(t, r.allow(now))
			r.report(now.Add(partFor-1), true, away)
		}
	}
	require.False(t, one.allow(now.Add(partFor)), "one server that failed so often is away")
	require.True(t, parts.allow(now.Add(partFor)))
	parts.report(now.Add(partFor), true, away)
	require.False(t, parts.allow(now.Add(partFor)), "nothing answered for so long: all of it is away")
	require.True(t, parts.allow(now.Add(partFor+openFor)), "one is let through to see")
	require.False(t, parts.allow(now.Add(partFor+openFor)), "only one")
	parts.report(now.Add(partFor+openFor), false, nil)
	require.True(t, parts.allow(now.Add(partFor+openFor)))
}
