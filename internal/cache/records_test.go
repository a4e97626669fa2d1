package cache

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func record(client, jti string, issued time.Time, life time.Duration) TokenRecord {
	return TokenRecord{JTI: jti, ClientID: client, OrgID: "org_1", SecretID: "sec_1", Scope: "a:b c:d",
		IP: "192.0.2.1", UserAgent: "curl/8",
		Epoch: 3, Pol: 4, IssuedAt: issued.UTC(), ExpiresAt: issued.Add(life).UTC()}
}

func jtis(records []TokenRecord) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.JTI)
	}
	return all
}

// listed waits until the client's tokens are exactly these, newest first.
func listed(t *testing.T, c *Cache, client string, want ...string) {
	t.Helper()
	var got []string
	eventually(t, func() bool {
		all, _, err := c.Tokens(t.Context(), "org_1", client, time.Now())
		got = jtis(all)
		return err == nil && fmt.Sprint(got) == fmt.Sprint(want)
	}, "the tokens of "+client+" to be "+fmt.Sprint(want))
}

func testRecords(t *testing.T, b backend) {
	k := newClock()
	c := b.node(t, Config{Clock: k.Now})
	now := k.Now()
	first, second, other := record("sa_1", "j1", now.Add(-time.Minute), time.Hour), record("sa_1", "j2", now,
		time.Hour), record("sa_2", "j3", now, time.Hour)
	c.RecordToken(t.Context(), first)
	c.RecordToken(t.Context(), second)
	c.RecordToken(t.Context(), other)
	listed(t, c, "sa_1", "j2", "j1")
	listed(t, c, "sa_2", "j3")
	listed(t, c, "sa_3")
	got, ok, err := c.FindToken(t.Context(), "j2")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, second, got)
	_, ok, err = c.FindToken(t.Context(), "unknown")
	require.NoError(t, err)
	require.False(t, ok)

	c.MarkRevoked("j1", first.ExpiresAt)
	c.MarkRevoked("unknown", first.ExpiresAt)
	listed(t, c, "sa_1", "j2")
	c.MarkRevoked("j2", second.ExpiresAt)
	listed(t, c, "sa_1")
	_, ok, err = c.FindToken(t.Context(), "j2")
	require.NoError(t, err)
	require.False(t, ok, "a revoked token has no record")

	k.Advance(time.Hour)
	listed(t, c, "sa_2") // by the clock it has expired
	_, ok, err = c.FindToken(t.Context(), "j3")
	require.NoError(t, err)
	require.False(t, ok)
}

func testNewestThousand(t *testing.T, b backend) {
	c := b.node(t, Config{})
	began := time.Now().Truncate(time.Millisecond)
	for i := range maxPerClient + 200 {
		c.RecordToken(t.Context(), record("sa_1", "j"+strconv.Itoa(i), began.Add(time.Duration(i)*time.Millisecond),
			time.Hour))
	}
	c.RecordToken(t.Context(), record("sa_2", "other", began, time.Hour))
	listed(t, c, "sa_2", "other")
	var got []TokenRecord
	var partial bool
	eventually(t, func() bool {
		var err error
		got, partial, err = c.Tokens(t.Context(), "org_1", "sa_1", time.Now())
		return err == nil && len(got) > 0 && got[0].JTI == "j"+strconv.Itoa(maxPerClient+199)
	}, "the newest to be there")
	require.Len(t, got, maxPerClient)
	require.Equal(t, "j200", got[len(got)-1].JTI)
	require.True(t, partial, "the oldest are not there")
	_, partial, err := c.Tokens(t.Context(), "org_1", "sa_2", time.Now())
	require.NoError(t, err)
	require.False(t, partial)
}

// testLifetimes is the trap that a lifetime of zero or less is stored for ever.
func testLifetimes(t *testing.T, b backend) {
	const prefix = "lifetimes:"
	k := newClock()
	c := b.node(t, Config{Prefix: prefix, Clock: k.Now})
	now := k.Now()
	for i, life := range []time.Duration{-time.Hour, -1, 0, 1, time.Microsecond, 999 * time.Microsecond} {
		c.RecordToken(t.Context(), record("sa_1", fmt.Sprintf("dead%d", i), now, life))
		c.MarkRevoked(fmt.Sprintf("gone%d", i), now.Add(life))
	}
	c.RecordToken(t.Context(), record("sa_1", "long", now, 24*time.Hour))
	// must not shorten the life of the list
	c.RecordToken(t.Context(), record("sa_1", "short", now.Add(time.Millisecond), time.Hour))
	c.MarkRevoked("revoked", now.Add(time.Hour))
	listed(t, c, "sa_1", "short", "long")
	for range 3 {
		c.Fail("sa_1", addr("192.0.2.9"), 1)
	}
	if b.url == "" {
		return
	}
	var keys map[string]string
	eventually(t, func() bool {
		keys = b.keys(prefix)
		// The gap comes when it likes, and so do since when uses are remembered and,
		// if Redis was slow to answer, a probe's keys.
		others := 0
		for key := range keys {
			if strings.HasSuffix(key, ":gap") || strings.Contains(key, "{probe") || strings.HasSuffix(key, ":since") {
				others++
			}
		}
		return len(keys)-others == 7
	}, "long, short, the list, the marker with its tombstone and the two counters")
	for key, left := range keys {
		ms, err := strconv.Atoi(left)
		require.NoError(t, err)
		require.Positive(t, ms, "%s never ends", key)
		require.Contains(t, key, "{", "a hash tag, for Cluster")
		require.NotContains(t, key, "192.0.2.9")
		require.NotContains(t, key, "dead")
		require.NotContains(t, key, "gone")
		switch {
		case strings.HasSuffix(key, "{sa_1}:tokens"), strings.HasSuffix(key, "{long}:token"):
			require.Greater(t, ms, 23*3600*1000, key)
		case strings.HasSuffix(key, ":gap"):
			require.LessOrEqual(t, ms, int(gapKept/time.Millisecond), key)
		case strings.HasSuffix(key, ":wrong"):
			require.LessOrEqual(t, ms, 60_000, key)
		default:
			require.LessOrEqual(t, ms, 3600*1000, key)
		}
	}
}

func testRecordsCrossNodes(t *testing.T, b backend) {
	if b.url == "" {
		t.Skip("the twin has one node")
	}
	one, two := b.node(t, Config{Prefix: "cross:"}), b.node(t, Config{Prefix: "cross:"})
	now := time.Now().Truncate(time.Millisecond)
	one.RecordToken(t.Context(), record("sa_1", "j1", now, time.Hour))
	two.RecordToken(t.Context(), record("sa_1", "j2", now.Add(time.Second), time.Hour))
	listed(t, one, "sa_1", "j2", "j1")
	listed(t, two, "sa_1", "j2", "j1")
	one.MarkRevoked("j2", now.Add(time.Hour))
	listed(t, two, "sa_1", "j1")
	// A record that is late comes after its revocation, and stays away.
	one.MarkRevoked("late", now.Add(time.Hour))
	eventually(t, func() bool { return b.keys("cross:{late}:revoked")["cross:{late}:revoked"] != "" }, "the marker")
	two.RecordToken(t.Context(), record("sa_1", "late", now, time.Hour))
	two.RecordToken(t.Context(), record("sa_1", "j4", now.Add(2*time.Second), time.Hour))
	listed(t, one, "sa_1", "j4", "j1")
	b.wipe()
	listed(t, one, "sa_1")
	two.RecordToken(t.Context(), record("sa_1", "j5", now, time.Hour))
	listed(t, one, "sa_1", "j5")
}

// testRecordsAreListedWhileTheyCome reads without a pause what is being
// written: a reader tidies a client's list, and must take nothing from it that
// is on its way.
func testRecordsAreListedWhileTheyCome(t *testing.T, b backend) {
	c := b.node(t, Config{})
	now := time.Now().Truncate(time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = c.Tokens(ctx, "org_1", "sa_1", time.Now())
			}
		})
	}
	want := make([]string, 500)
	for i := range want {
		want[len(want)-1-i] = "j" + strconv.Itoa(i)
		c.RecordToken(t.Context(), record("sa_1", "j"+strconv.Itoa(i), now.Add(time.Duration(i)*time.Millisecond),
			time.Hour))
		time.Sleep(time.Millisecond)
	}
	time.Sleep(3 * writeEvery)
	stop()
	readers.Wait()
	listed(t, c, "sa_1", want...)
}

func testHostileRecords(t *testing.T, b backend) {
	const prefix = "hostile:"
	c := b.node(t, Config{Prefix: prefix})
	now := time.Now().Truncate(time.Millisecond)
	for _, id := range []string{"", "a{b", "a}b", "a b", "a\nb", "a\x00b", "ü", strings.Repeat("a", maxID+1)} {
		c.RecordToken(t.Context(), record("sa_1", id, now, time.Hour))
		c.RecordToken(t.Context(), record(id, "j", now, time.Hour))
		c.MarkRevoked(id, now.Add(time.Hour))
		got, _, err := c.Tokens(t.Context(), "org_1", id, time.Now())
		require.NoError(t, err)
		require.Empty(t, got)
		_, ok, err := c.FindToken(t.Context(), id)
		require.NoError(t, err)
		require.False(t, ok)
	}
	long := record("sa_1", "long", now, time.Hour)
	long.Scope, long.UserAgent, long.IP = strings.Repeat("x", 5000), strings.Repeat("ü", 5000), "\xff\n"
	c.RecordToken(t.Context(), long)
	listed(t, c, "sa_1", "long")
	got, _, err := c.FindToken(t.Context(), "long")
	require.NoError(t, err)
	require.Len(t, got.Scope, maxScope)
	require.LessOrEqual(t, len(got.UserAgent), maxUserAgent)
	require.Equal(t, "\n", got.IP)
	if b.url == "" {
		return
	}
	// Whoever writes to Redis directly can't bring in another client's record,
	// and breaks nothing but his own key.
	plant := func(args ...string) {
		for _, node := range b.nodes {
			if _, err := node.Do(args...); err == nil {
				return
			}
		}
		t.Fatalf("no node took %v", args)
	}
	for jti, value := range map[string]string{"p1": "no json",
		"p2": `{"jti":"other","client_id":"sa_1","exp":"2999-01-01T00:00:00Z"}`,
		"p3": `{"jti":"p3","client_id":"sa_2","exp":"2999-01-01T00:00:00Z"}`,
		"p4": `{"jti":"p4","client_id":"sa_1","exp":"1999-01-01T00:00:00Z"}`,
		"p5": `{"jti":"p5","client_id":"sa_1","exp":"2999-01-01T00:00:00Z"}`, "p6": strings.Repeat("A",
			sealSize) + `.{"jti":"p6","client_id":"sa_1","exp":"2999-01-01T00:00:00Z"}`,
		"p7": strings.Repeat("long", maxRecord)} {
		plant("SET", prefix+"{"+jti+"}:token", value)
		plant("ZADD", prefix+"{sa_1}:tokens", "9e15", jti)
	}
	listed(t, c, "sa_1", "long")
	plant("LPUSH", prefix+"{sa_9}:tokens", "x")
	c.RecordToken(t.Context(), record("sa_9", "j9", now, time.Hour))
	c.RecordToken(t.Context(), record("sa_8", "j8", now, time.Hour))
	listed(t, c, "sa_8", "j8")
	_, _, err = c.Tokens(t.Context(), "org_1", "sa_9", time.Now())
	require.ErrorIs(t, err, ErrUnavailable)
}

func TestTwinIsBoundedAsAWhole(t *testing.T) {
	k := newClock()
	m := newMemoryRecords(Config{Clock: k.Now})
	now := k.Now()
	for i := range maxRecords + 10 {
		m.record(record("sa_"+strconv.Itoa(i%500), "j"+strconv.Itoa(i), now, time.Hour+time.Duration(i)*time.Second))
	}
	require.Equal(t, maxRecords, len(m.byJTI))
	_, ok, _ := m.find(t.Context(), "j0")
	require.False(t, ok, "the oldest gave way")
	k.Advance(1000 * time.Hour)
	m.record(record("sa_1", "fresh", k.Now(), time.Hour))
	require.Equal(t, 1, len(m.byJTI))
	require.Equal(t, 1, len(m.byClient))
	require.Equal(t, 1, len(m.byMinute))
}

// Records leave within a minute of their end, in whatever order they came, and
// also those that come after the clock was set back.
func TestTheTwinKeepsNoExpiredRecords(t *testing.T) {
	k := newClock()
	m := newMemoryRecords(Config{Clock: k.Now})
	for round := range 5 {
		for i := range 600 {
			j := (i * 77) % 600
			m.record(record("sa_"+strconv.Itoa(j%7), fmt.Sprint(round, "-", j), k.Now(),
				time.Duration(1+j)*time.Second))
		}
		k.Advance(-3 * time.Minute)
		m.record(record("sa_1", fmt.Sprint(round, "-late"), k.Now(), time.Second))
		k.Advance(8 * time.Minute)
		m.record(record("sa_1", fmt.Sprint(round, "-next"), k.Now(), time.Second))
		for jti, h := range m.byJTI {
			require.True(t, h.ExpiresAt.After(k.Now().Add(-time.Minute)), jti)
		}
		require.Greater(t, len(m.byJTI), 250, "those of later minutes are there")
		k.Advance(time.Duration(2+round*30) * time.Minute)
	}
	k.Advance(time.Hour)
	m.record(record("sa_1", "last", k.Now(), time.Second))
	require.Equal(t, 1, len(m.byJTI))
	require.Equal(t, 1, len(m.byMinute))
	require.Equal(t, 1, len(m.byClient))
	require.Equal(t, 1, len(m.byOrg))
	require.Equal(t, 1, len(m.crowded))
}

// Recording a token takes as long among a hundred thousand as among few: it
// allocates the record and no more.
func BenchmarkRecordInMemory(b *testing.B) {
	for _, held := range []int{1000, maxRecords} {
		b.Run(strconv.Itoa(held), func(b *testing.B) {
			k := newClock()
			m := newMemoryRecords(Config{Clock: k.Now})
			all := make([]TokenRecord, held*2)
			for i := range all {
				all[i] = record("sa_"+strconv.Itoa(i%(held/500)), "j"+strconv.Itoa(i), k.Now(), time.Hour)
				all[i].OrgID = "org_" + strconv.Itoa(i%20)
				m.record(all[i])
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				m.record(all[i%len(all)])
			}
		})
	}
}

// An organization that has tokens issued without end pushes out its own records
// only, and both are told what became of theirs.
func TestTheRecordsOfOneOrganizationPushOutNoOthers(t *testing.T) {
	k := newClock()
	m := newMemoryRecords(Config{Clock: k.Now})
	add := func(org, client string, n int, life time.Duration) {
		for i := range n {
			r := record(client, client+"-"+strconv.Itoa(i), k.Now(), life)
			r.OrgID = org
			m.record(r)
		}
	}
	listed := func(org, client string) (int, bool) {
		all, partial, err := m.list(t.Context(), org, client, k.Now())
		require.NoError(t, err)
		return len(all), partial
	}
	add("org_quiet", "sa_quiet", 900, time.Minute) // these would go first by their expiry
	for i := range 200 {
		add("org_loud", "sa_loud"+strconv.Itoa(i), maxPerClient-1, time.Hour)
	}
	require.Equal(t, maxRecords, len(m.byJTI))
	n, partial := listed("org_quiet", "sa_quiet")
	require.Equal(t, 900, n)
	require.False(t, partial, "nothing of it gave way")
	n, partial = listed("org_loud", "sa_loud0")
	require.Zero(t, n, "the first of the loud one gave way")
	require.True(t, partial, "and it is told so though its list is empty")
	before := len(m.byJTI)
	add("org_late", "sa_late", 700, time.Hour)
	n, partial = listed("org_late", "sa_late")
	require.Equal(t, 700, n, "who comes when all is full has room as well")
	require.False(t, partial)
	require.Equal(t, before, len(m.byJTI))

	k.Advance(time.Hour)
	_, partial = listed("org_loud", "sa_loud0")
	require.False(t, partial, "what had to give way has expired")
	k.Advance(time.Minute)
	add("org_other", "sa_other", 1, time.Hour)
	require.Equal(t, 1, len(m.byJTI))
	require.Equal(t, 1, len(m.byOrg))
	require.Equal(t, 1, len(m.crowded))
}
