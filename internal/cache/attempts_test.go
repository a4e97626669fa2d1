package cache

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// limited reports whether more than the allowed number of wrong secrets came
// for this client from this address, or from this address. It counts nothing.
func limited(c *Cache, clientID, from string) bool {
	a, key := c.attempts, pair{clientID, limits.NetworkOf(addr(from))}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, ofPair, ofAddress := a.cfg.Clock(), &window{}, &window{}
	if w := a.pairs.find(key, now); w != nil {
		ofPair = w
	}
	if w := a.addresses.find(key.addr, now); w != nil {
		ofAddress = w
	}
	_, tooMany := a.verdict(ofPair, ofAddress, now)
	return tooMany
}

// testAttemptsTable is contract §2.1: 20 a minute for one client from one
// address, 200 a minute from one address; the next is refused until the window
// ends.
func testAttemptsTable(t *testing.T, b backend) {
	type step struct {
		wait    time.Duration
		client  string
		from    string
		times   int // wrong secrets
		limited int // how many of them, the last ones
	}
	office := "198.51.100.7"
	for name, steps := range map[string][]step{
		"20 wrong secrets for one client are wrong, the 21st is one too many": {{0, "sa_1", office, 20, 0},
			{0, "sa_1", office, 1, 1}, {0, "sa_1", office, 9, 9}},
		"another client from that address is not limited": {{0, "sa_1", office, 25, 5},
			{0, "sa_2", office, 20, 0}},
		"that client from another address is not limited": {{0, "sa_1", office, 25, 5},
			{0, "sa_1", "198.51.100.8", 20, 0}},
		"a minute after the first it begins anew": {{0, "sa_1", office, 10, 0},
			{59 * time.Second, "sa_1", office, 11, 1}, {time.Second, "sa_1", office, 20, 0}},
		"200 over all clients from one address": {{0, "a", office, 20, 0}, {0, "b", office, 20, 0},
			{0, "c", office, 20, 0}, {0, "d", office, 20, 0}, {0, "e", office, 20, 0},
			{0, "f", office, 20, 0}, {0, "g", office, 20, 0}, {0, "h", office, 20, 0}, {0, "i", office, 20, 0}, {0,
				"j", office, 20, 0}, {0, "k", office, 1, 1}, {0, "k", "198.51.100.8", 1, 0}},
		"what is limited still counts for the address": {{0, "a", office, 200, 180}, {0, "b", office, 1, 1}},
		"IPv6 is counted by /64": {{0, "sa_1", "2001:db8::1", 10, 0},
			{0, "sa_1", "2001:db8::ffff:1", 11, 1}, {0, "sa_1", "2001:db8:0:1::1", 20, 0}},
		"IPv4 in IPv6 is IPv4": {{0, "sa_1", "::ffff:198.51.100.7", 10, 0},
			{0, "sa_1", office, 11, 1}},
		"a zone is no other address": {{0, "sa_1", "fe80::1%eth0", 10, 0},
			{0, "sa_1", "fe80::1%eth1", 11, 1}},
		"overlong ids are told apart": {{0, strings.Repeat("x", 5000) + "1", office, 20, 0},
			{0, strings.Repeat("x", 5000) + "2", office, 20, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newClock()
			c := b.node(t, Config{Clock: k.Now})
			require.False(t, limited(c, "sa_1", office))
			for i, s := range steps {
				k.Advance(s.wait)
				for n := range s.times {
					retryAfter, tooMany := c.Fail(s.client, addr(s.from), 1)
					require.Equal(t, n >= s.times-s.limited, tooMany, "step %d, wrong secret %d", i, n+1)
					require.Equal(t, tooMany, retryAfter > 0)
					require.LessOrEqual(t, retryAfter, time.Minute)
				}
			}
			require.False(t, limited(c, "sa_1", "203.0.113.1"), "an address that sent nothing wrong is never limited")
		})
	}
}

func testAttemptsCrossNodes(t *testing.T, b backend) {
	if b.url == "" {
		t.Skip("the twin has one node")
	}
	cfg := Config{Prefix: "wrong:", Window: time.Hour}
	one, two := b.node(t, cfg), b.node(t, cfg)
	for range 15 {
		one.Fail("sa_1", addr("192.0.2.1"), 1)
		two.Fail("sa_1", addr("192.0.2.1"), 1)
	}
	for _, c := range []*Cache{one, two} {
		eventually(t, func() bool { return limited(c, "sa_1", "192.0.2.1") },
			"30 over both nodes to be too many")
		require.False(t, limited(c, "sa_1", "192.0.2.2"))
	}
	for key := range b.keys("wrong:") {
		require.NotContains(t, key, "192.0.2")
		require.NotContains(t, key, "sa_1")
	}
	for key := range b.keys("wrong:") { // whoever may write in Redis can't make counts up
		for _, node := range b.nodes {
			_, _ = node.Do("HSET", key, "forged", "1000 9999999999999", "sealed",
				strings.Repeat("A", sealSize)+".1000 9999999999999")
		}
	}
	one.Fail("sa_2", addr("192.0.2.1"), 1)
	time.Sleep(3 * readBackEvery / 2)
	require.False(t, limited(one, "sa_2", "192.0.2.1"))
	b.wipe()
	time.Sleep(3 * readBackEvery / 2)
	// What the other node saw is forgotten with Redis; what this node saw
	// itself is not.
	tooMany := false
	for range 6 {
		_, tooMany = one.Fail("sa_1", addr("192.0.2.1"), 1)
	}
	require.True(t, tooMany, "15 and 6 on this node alone")
}

func TestCountersAreBoundedAndTheOldestGiveWay(t *testing.T) {
	k := newClock()
	a := newAttempts(Config{Clock: k.Now}.withDefaults())
	for i := range maxPairs + 100 {
		a.fail(fmt.Sprint("sa_", i), addr("192.0.2.1"), 1)
	}
	require.Len(t, a.pairs.byKey, maxPairs)
	require.Equal(t, maxPairs, a.pairs.order.Len())
	require.Len(t, a.addresses.byKey, 1, "one that tries many clients can't push out the counter of its address")
	_, tooMany := a.fail("sa_fresh", addr("192.0.2.1"), 1)
	require.True(t, tooMany)
	for i := range maxAddresses + 100 {
		a.fail("sa_1", netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
	}
	require.Len(t, a.addresses.byKey, maxAddresses)
	require.Empty(t, a.changed, "nobody takes them without Redis")
	k.Advance(time.Minute)
	a.fail("sa_1", addr("192.0.2.1"), 1)
	require.Len(t, a.pairs.byKey, 1, "what has ended leaves when another comes")
	require.Len(t, a.addresses.byKey, 1)
}

// Limited says, before a costly proof is looked at, that no further wrong one
// would be answered.
func TestLimitedIsAskedBeforeTheProof(t *testing.T) {
	k := newClock()
	c := backend{}.node(t, Config{Clock: k.Now})
	for i := range 20 {
		_, before := c.Limited("sa_1", addr("192.0.2.1"))
		require.False(t, before, i)
		c.Fail("sa_1", addr("192.0.2.1"), 1)
	}
	wait, now := c.Limited("sa_1", addr("192.0.2.1"))
	require.True(t, now)
	require.Equal(t, time.Minute, wait)
	_, other := c.Limited("sa_2", addr("192.0.2.1"))
	require.False(t, other)
	k.Advance(time.Minute)
	_, after := c.Limited("sa_1", addr("192.0.2.1"))
	require.False(t, after)
	for range 200 {
		c.Fail("sa_3", addr("192.0.2.1"), 1)
	}
	_, address := c.Limited("sa_2", addr("192.0.2.1"))
	require.True(t, address)
}

// What costs more counts more against a client, and no more than any other
// wrong proof against the address that others share. What could not be judged
// is answered as if it was wrong, and counts against neither.
func TestWhatWrongProofsCount(t *testing.T) {
	c := backend{}.node(t, Config{Clock: newClock().Now})
	shared := addr("192.0.2.1")
	for n := range 60 {
		_, limited := c.Fail(fmt.Sprint("sa_", n/5), shared, 4)
		require.False(t, limited, n)
	}
	_, limited := c.Limited("sa_0", shared)
	require.True(t, limited)
	_, limited = c.Limited("sa_other", shared)
	require.False(t, limited)
	for n := range 300 {
		_, limited := c.FailUnjudged("sa_away", shared)
		require.Equal(t, n >= 20, limited)
		_, limited = c.Limited("sa_away", shared)
		require.False(t, limited)
	}
}
