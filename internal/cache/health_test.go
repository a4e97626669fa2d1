package cache

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

// count returns how many lines of a log hold all of the given words.
func count(log *syncbuf.Buffer, words ...string) (n int) {
	for line := range strings.SplitSeq(log.String(), "\n") {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// all is what an ACL user needs who may do everything that svcauth does.
var all = []string{"on", ">pw", "~*", "&*", "+@all"}

// failing returns the names of the operations that fail, sorted.
func failing(t *testing.T, c *Cache) string {
	t.Helper()
	var names []string
	for op := range maps.Keys(c.Failing(t.Context())) {
		names = append(names, string(op))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// TestHealthIsThatOfTheWork has a real Redis refuse each thing that it can
// refuse while it answers a PING, and take it again.
func TestHealthIsThatOfTheWork(t *testing.T) {
	command := func(denied string) (harm, heal func(*redistest.Server)) {
		return func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "-"+denied) },
			func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "+"+denied) }
	}
	type harm struct {
		want, reason string
		harm, heal   func(*redistest.Server)
	}
	harms := map[string]harm{
		"no channels": {"publish,subscribe", "NOPERM",
			func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "resetchannels") },
			func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "&*") }},
		"no keys": {"read,write", "NOPERM",
			func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "resetkeys") },
			func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "~*") }},
		"only reading keys": {"write", "NOPERM",
			func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "resetkeys", "%R~*") },
			func(s *redistest.Server) { s.Must("ACL", "SETUSER", "svc", "~*") }},
		"a full memory": {"write", "OOM",
			func(s *redistest.Server) {
				s.Must("CONFIG", "SET", "maxmemory-policy", "noeviction")
				s.Must("CONFIG", "SET", "maxmemory", "1mb")
			},
			func(s *redistest.Server) { s.Must("CONFIG", "SET", "maxmemory", "0") }},
		"a replica": {"write", "READONLY",
			func(s *redistest.Server) { s.Must("REPLICAOF", "127.0.0.1", "1") },
			func(s *redistest.Server) { s.Must("REPLICAOF", "NO", "ONE") }},
		"too few replicas": {"write", "NOREPLICAS",
			func(s *redistest.Server) { s.Must("CONFIG", "SET", "min-replicas-to-write", "3") },
			func(s *redistest.Server) { s.Must("CONFIG", "SET", "min-replicas-to-write", "0") }},
	}
	for _, name := range []string{"set", "zadd", "zrem", "zremrangebyrank", "hset", "pexpire", "getrange",
		"zrevrange", "hscan", "pttl", "publish"} {
		op, ok := operationOf(name)
		require.True(t, ok, name)
		one := harm{want: string(op), reason: "NOPERM"}
		one.harm, one.heal = command(name)
		harms["no "+name] = one
	}
	s := redistest.Start(t)
	s.Must(append([]string{"ACL", "SETUSER", "svc"}, all...)...)
	for name, h := range harms {
		t.Run(name, func(t *testing.T) {
			var log syncbuf.Buffer
			c := backend{url: s.UserURL("svc", "pw")}.node(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			heard := listen(t, c, ChannelChanges)
			eventually(t, func() bool { return heard.gaps.Load() > 0 && failing(t, c) == "" }, "all to work at first")
			h.harm(s)
			eventually(t, func() bool { return failing(t, c) == h.want }, "what fails to be said: "+h.want)
			for op, err := range c.Refused() {
				require.ErrorIs(t, err, ErrUnavailable)
				require.ErrorContains(t, err, h.reason)
				eventually(t, func() bool { return count(&log, "level=WARN", "operation="+string(op), h.reason) == 1 },
					"one line in the log")
			}
			h.heal(s)
			eventually(t, func() bool { return failing(t, c) == "" }, "all to work again")
			for op := range strings.SplitSeq(h.want, ",") {
				require.Equal(t, 1, count(&log, "level=INFO", "again", "operation="+op), "and the log to say so")
				require.Equal(t, 1, count(&log, "level=WARN", "operation="+op), "nothing repeated")
			}
		})
	}
}

// TestSubscriptionRefused: only SUBSCRIBE is denied, which shows when the
// connection has to be made anew.
func TestSubscriptionRefused(t *testing.T) {
	s := redistest.Start(t)
	s.Must(append([]string{"ACL", "SETUSER", "svc"}, all...)...)
	c := backend{url: s.UserURL("svc", "pw")}.node(t, Config{})
	heard := listen(t, c, ChannelChanges)
	s.Must("ACL", "SETUSER", "svc", "-subscribe")
	s.Must("CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, func() bool { return failing(t, c) == "subscribe" }, "the refusal to be said")
	before := heard.gaps.Load()
	s.Must("ACL", "SETUSER", "svc", "+subscribe")
	eventually(t, func() bool { return failing(t, c) == "" && heard.gaps.Load() > before }, "the subscription")
}

// TestPasswordChangedUnderWay: everything fails, as when Redis is away, and the
// log says why once.
func TestPasswordChangedUnderWay(t *testing.T) {
	s := redistest.Start(t)
	s.Must(append([]string{"ACL", "SETUSER", "svc"}, all...)...)
	var log syncbuf.Buffer
	c := backend{url: s.UserURL("svc", "pw")}.node(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	heard := listen(t, c, ChannelChanges)
	eventually(t, func() bool { return heard.gaps.Load() > 0 && failing(t, c) == "" }, "all to work at first")
	s.Must("ACL", "DELUSER", "svc") // ends its connections
	s.Must(append([]string{"ACL", "SETUSER", "svc", "on", ">other"}, all[2:]...)...)
	eventually(t, func() bool { return failing(t, c) == "publish,read,subscribe,write" }, "all to fail")
	eventually(t, func() bool { return count(&log, "level=WARN", "WRONGPASS") == 1 }, "the log to say why")
	time.Sleep(5 * openFor)
	require.Equal(t, 1, count(&log, "level=WARN"), "once")
	s.Must("ACL", "SETUSER", "svc", ">pw")
	eventually(t, func() bool { return failing(t, c) == "" }, "all to work again")
	require.Equal(t, 1, count(&log, "level=INFO", "again"))
}

// TestOneRefusalIsNotAll: an operation that is refused must not have the others
// refused by the breaker.
func TestOneRefusalIsNotAll(t *testing.T) {
	s := redistest.Start(t)
	s.Must(append(append([]string{"ACL", "SETUSER", "svc"}, all...), "-publish")...)
	c := backend{url: s.UserURL("svc", "pw")}.node(t, Config{})
	for range 3 * openAfter {
		require.ErrorIs(t, c.Publish(t.Context(), ChannelChanges, []byte("x")), ErrUnavailable)
	}
	_, _, err := c.Tokens(t.Context(), "org_1", "sa_1", time.Now())
	require.NoError(t, err)
}

// TestRefusalsNameNoData: Redis repeats what a command that it does not know
// was given.
func TestRefusalsNameNoData(t *testing.T) {
	s := redistest.Start(t, "--rename-command", "SET", "")
	var log syncbuf.Buffer
	c := backend{url: s.URL()}.node(t, Config{Prefix: "hidden:", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c.RecordToken(t.Context(), record("sa_hidden", "j_hidden", time.Now(), time.Hour))
	eventually(t, func() bool { return count(&log, "level=WARN", "operation=write") == 1 }, "the line")
	require.Equal(t, 1, count(&log, "unknown command"))
	require.Zero(t, count(&log, "hidden"))
}

// TestListsSayWhatTheyLack: a record that could not be written is written when
// it can be, and until then, and wherever records are lost, a list says
// partial.
func TestListsSayWhatTheyLack(t *testing.T) {
	s := redistest.Start(t)
	b := backend{url: s.URL(), nodes: []*redistest.Server{s}}
	old := time.Now().Add(-time.Hour)
	start := func() *Cache { return b.node(t, Config{Prefix: "l:"}) }
	one, two := start(), start()
	now := time.Now().Truncate(time.Millisecond)
	partial := func(c *Cache, client string, made time.Time) bool {
		_, partial, err := c.Tokens(t.Context(), "org_1", client, made)
		require.NoError(t, err)
		return partial
	}
	made := now.Add(time.Second)
	one.RecordToken(t.Context(), record("sa_1", "j1", now, time.Hour))
	listed(t, two, "sa_1", "j1")
	require.False(t, partial(two, "sa_1", made))

	s.Must("CONFIG", "SET", "maxmemory-policy", "noeviction")
	s.Must("CONFIG", "SET", "maxmemory", "1mb")
	one.RecordToken(t.Context(), record("sa_1", "j2", now, time.Hour))
	for _, node := range []*Cache{one, two} {
		eventually(t, func() bool { return partial(node, "sa_1", made) }, "a list to say that it lacks some")
	}
	time.Sleep(time.Duration(maxTries+5) * writeEvery)
	s.Must("CONFIG", "SET", "maxmemory", "0")
	listed(t, two, "sa_1", "j2", "j1")
	for _, node := range []*Cache{one, two} {
		eventually(t, func() bool { return !partial(node, "sa_1", made) }, "nothing to be lacking")
	}

	time.Sleep(2 * probeEvery) // both have seen the key
	s.Flush()
	lost := time.Now()
	for _, node := range []*Cache{one, two} {
		eventually(t, func() bool { return partial(node, "sa_1", made) }, "a list to know of the loss")
		require.False(t, partial(node, "sa_9", time.Now().Add(time.Hour)), "of who is younger nothing is lost")
	}
	three := start()
	eventually(t, func() bool { return partial(three, "sa_1", lost.Add(-time.Second)) },
		"a node that starts to be told")
	require.True(t, partial(three, "sa_1", old))
}

// TestTheWorkItselfIsHeard: what Redis answers to one command is as good as
// what it answers to the probe, and while it is away nothing new is known.
func TestTheWorkItselfIsHeard(t *testing.T) {
	server := redistest.Start(t)
	server.Must("ACL", "SETUSER", "mute", "on", ">pw", "~*", "&*", "+@all", "-publish")
	c := backend{url: server.UserURL("mute", "pw"), nodes: []*redistest.Server{server}}.node(t, Config{})
	for i := range 40 {
		require.Error(t, publish(t.Context(), c.remote.client, "svcauth:x", []byte("x")))
		require.Contains(t, c.remote.health.all(), OpPublish)
		if i == 20 {
			server.Kill()
		}
	}
}

// TestListsSayWhatRedisForgot: Redis may come back with what it had saved some
// time ago. What was written since is gone, and lists say so.
func TestListsSayWhatRedisForgot(t *testing.T) {
	s := redistest.Start(t)
	c := backend{url: s.URL()}.node(t, Config{Prefix: "f:"})
	partial := func(made time.Time) bool {
		_, partial, err := c.Tokens(t.Context(), "org_1", "sa_1", made)
		require.NoError(t, err)
		return partial
	}
	var saved string
	eventually(t, func() bool { saved = s.Must("GET", "f:{records}:gap"); return saved != "" }, "the key")
	made := time.Now().Add(time.Second)
	c.RecordToken(t.Context(), record("sa_1", "j1", time.Now(), time.Hour))
	listed(t, c, "sa_1", "j1")
	time.Sleep(wentBack + 2*probeEvery)
	require.False(t, partial(made))
	s.Flush()
	s.Must("SET", "f:{records}:gap", saved)
	eventually(t, func() bool { return partial(made) }, "a list to know of it")
	require.False(t, partial(time.Now().Add(time.Hour)), "of who is younger nothing is lost")
}

// TestRecordedUntil: what Redis has not taken yet, and what was lost and is not
// told to the others yet, is not on record.
func TestRecordedUntil(t *testing.T) {
	s := redistest.Start(t)
	c := backend{url: s.URL()}.node(t, Config{Prefix: "u:"})
	now := time.Now()
	eventually(t, func() bool { return c.RecordedUntil().After(now) }, "nothing to be left")
	s.Must("CONFIG", "SET", "maxmemory-policy", "noeviction")
	s.Must("CONFIG", "SET", "maxmemory", "1mb")
	issued := time.Now()
	c.RecordToken(t.Context(), record("sa_1", "j1", issued, time.Hour))
	eventually(t, func() bool { return c.Refused()[OpWrite] != nil }, "Redis to refuse")
	for range 10 {
		require.False(t, c.RecordedUntil().After(issued))
		time.Sleep(2 * writeEvery)
	}
	s.Must("CONFIG", "SET", "maxmemory", "0")
	eventually(t, func() bool { return c.RecordedUntil().After(issued) }, "it to be on record")
	listed(t, c, "sa_1", "j1")

	g := newGaps(Config{Key: testKey, Clock: time.Now})
	require.True(t, g.allTold())
	_, before, err := g.read("", now)
	require.NoError(t, err)
	g.lost(now)
	require.False(t, g.allTold())
	before()
	require.False(t, g.allTold(), "what was written does not say it")
	_, written, err := g.read("", now)
	require.NoError(t, err)
	require.False(t, g.allTold())
	written()
	require.True(t, g.allTold())
}

// TestASubscriptionThatCameBackCounts: in a cluster a command that succeeds may
// have been another server's, and is sent again. A subscription comes into force
// once, where its channel is, and may then last for months.
func TestASubscriptionThatCameBackCounts(t *testing.T) {
	h := newHealth(slog.New(slog.DiscardHandler), true)
	away := errors.New("connection refused")
	h.failed("subscribe {changes}", OpSubscribe, away)
	h.failed("zadd", OpWrite, away)
	require.Len(t, h.all(), 2)
	h.succeeded("subscribe {changes}", OpSubscribe)
	h.succeeded("zadd", OpWrite)
	require.Equal(t, []Operation{OpWrite}, slices.Collect(maps.Keys(h.all())))
}
