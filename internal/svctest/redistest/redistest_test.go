package redistest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

func TestSharedServerGivesEachTestItsOwnDatabase(t *testing.T) {
	first, second := URL(t), URL(t)
	require.NotEqual(t, first, second)
	require.Equal(t, first[:strings.LastIndex(first, "/")], second[:strings.LastIndex(second, "/")])
	require.NotContains(t, []string{first, second}, sharedServer.URL())
}

func TestKilledServerComesBackEmptyAndPausedOneAnswersAfterResume(t *testing.T) {
	s := Start(t)
	at := s.URL()
	s.Must("SET", "k", "v")
	require.Equal(t, "v", s.Must("GET", "k"))
	s.Pause()
	answered := make(chan string, 1)
	go func() { v, _ := s.Do("GET", "k"); answered <- v }()
	select {
	case <-answered:
		t.Fatal("a paused server answered")
	case <-time.After(200 * time.Millisecond):
	}
	s.Resume()
	require.Equal(t, "v", <-answered)
	s.Flush()
	require.Equal(t, "", s.Must("GET", "k"))
	s.Must("SET", "k", "v")
	s.Kill()
	_, err := s.Do("PING")
	require.Error(t, err)
	s.Start()
	require.Equal(t, at, s.URL())
	require.Equal(t, "0", s.Must("DBSIZE"))
	unauthenticated := &Server{port: s.port}
	_, err = unauthenticated.Do("GET", "k")
	require.ErrorContains(t, err, "NOAUTH")
}

func TestSentinelsMakeTheReplicaTheMaster(t *testing.T) {
	t.Parallel()
	s := StartSentinel(t)
	s.Master.Must("SET", "k", "v")
	require.Equal(t, "1", s.Master.Must("WAIT", "1", "10000"))
	s.FailOver()
	require.Equal(t, "v", s.Replica.Must("GET", "k"))
	s.Replica.Must("SET", "k", "w")
}

func TestClusterSpreadsKeysOverItsNodes(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	moved := 0
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		for _, node := range c.Nodes {
			if _, err := node.Do("SET", key, "v"); err != nil {
				require.ErrorContains(t, err, "MOVED")
				moved++
			}
		}
	}
	require.Equal(t, 12, moved)
	c.Flush()
}

func TestClusterMakesTheReplicaOfADeadMasterTheMaster(t *testing.T) {
	t.Parallel()
	c := StartReplicatedCluster(t)
	key := "" // one whose slot the master serves
	for i := 0; key == ""; i++ {
		if _, err := c.Nodes[1].Do("SET", strconv.Itoa(i), "v"); err == nil {
			key = strconv.Itoa(i)
		}
	}
	require.Equal(t, "1", c.Nodes[1].Must("WAIT", "1", "10000"))
	c.FailOver(1)
	require.Equal(t, "v", c.Replicas[1].Must("GET", key))
	c.Replicas[1].Must("SET", key, "w")
}

// TestNothingIsLeftWhenTheProcessDies runs itself again as a process that is
// killed while its server is paused, the worst case.
func TestNothingIsLeftWhenTheProcessDies(t *testing.T) {
	needs.Service(t, "a real redis-server")
	watchdog.NothingIsLeft(t, func() (string, int) {
		s := Start(t)
		s.Pause()
		return s.dir, s.running.Process.Pid
	})
}

func TestSkippedUnlessWanted(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv("SVCAUTH_TEST_SERVICES", "")
	skipped := false
	t.Run("inner", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		URL(t)
	})
	require.True(t, skipped)
	t.Setenv("CI", "true")
	require.True(t, needs.All())
}
