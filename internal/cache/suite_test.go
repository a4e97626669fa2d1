package cache

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/internal/svctest/template"
)

// patience is for whatever takes its time on a busy machine.
const patience = 30 * time.Second

// backend is one kind of store that the suite runs on.
type backend struct {
	url   string
	nodes []*redistest.Server // whoever may hold keys; none: the twin
	wipe  func()
}

// backends runs test on the twin and on a real Redis alone, behind Sentinel and
// as a Cluster. Each is started once for all that test does.
func backends(t *testing.T, test func(*testing.T, backend)) {
	t.Run("twin", func(t *testing.T) { test(t, backend{}) })
	t.Run("redis", func(t *testing.T) {
		s := redistest.Start(t)
		test(t, backend{s.URL(), []*redistest.Server{s}, s.Flush})
	})
	t.Run("sentinel", func(t *testing.T) {
		s := redistest.StartSentinel(t)
		test(t, backend{s.URL(), []*redistest.Server{s.Master}, s.Master.Flush})
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.StartCluster(t)
		test(t, backend{c.URL(), c.Nodes, c.Flush})
	})
}

var prefixes atomic.Int64

// testKey is what the nodes of one installation share.
func testKey() []byte { return []byte("0123456789abcdef0123456789abcdef") }

// node starts one node's cache on the backend. Nodes with one prefix share; an
// empty one is the node's own.
func (b backend) node(t *testing.T, cfg Config) *Cache {
	t.Helper()
	cfg.URL = b.url
	if cfg.Key == nil {
		cfg.Key = testKey
	}
	if cfg.Patience == 0 {
		cfg.Patience = template.Patience
	}
	if cfg.Prefix == "" {
		cfg.Prefix = fmt.Sprintf("t%d:", prefixes.Add(1))
	}
	c, err := New(cfg)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended; require.NoError(t, c.Close()) })
	return c
}

// keys lists what Redis holds under a prefix: key → milliseconds left.
func (b backend) keys(prefix string) map[string]string {
	all := map[string]string{}
	for _, node := range b.nodes {
		for key := range strings.SplitSeq(node.Must("KEYS", prefix+"*"), "\n") {
			if key != "" {
				all[key] = node.Must("PTTL", key)
			}
		}
	}
	return all
}

func newClock() *clock.Clock { return clock.New(time.Now().Truncate(time.Millisecond)) }

func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, 10*time.Millisecond, what)
}

// TestSuite is the contract of the shared memory, the same on every backend.
func TestSuite(t *testing.T) {
	backends(t, func(t *testing.T, b backend) {
		for name, test := range map[string]func(*testing.T, backend){
			"records live, are found and revoked":                         testRecords,
			"the newest 1,000 records of a client stay":                   testNewestThousand,
			"everything in Redis ends; what has expired is never written": testLifetimes,
			"records cross nodes":                                         testRecordsCrossNodes,
			"records are listed while they come":                          testRecordsAreListedWhileTheyCome,
			"strange ids and foreign values do no harm":                   testHostileRecords,
			"notifications reach who listens":                             testNotifier,
			"a lost subscription comes back and says so":                  testResubscription,
			"wrong secrets are counted exactly":                           testAttemptsTable,
			"wrong secrets are counted over all nodes":                    testAttemptsCrossNodes,
			"what may be used once is used once over all nodes":           testOnce,
			"what was used once may be used when it is over":              testOnceEnds,
			"since when Redis remembers":                                  testRemembersSince,
		} {
			t.Run(name, func(t *testing.T) { test(t, b) })
		}
	})
}
