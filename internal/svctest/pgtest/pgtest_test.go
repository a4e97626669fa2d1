package pgtest

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

func query(t *testing.T, s *Server, statement string) string {
	t.Helper()
	out, err := s.Query("postgres", statement)
	require.NoError(t, err)
	return out
}

func TestSharedServerGivesFreshDatabases(t *testing.T) {
	first, second := URL(t), URL(t)
	require.NotEqual(t, first, second)
	a, err := url.Parse(first)
	require.NoError(t, err)
	b, err := url.Parse(second)
	require.NoError(t, err)
	require.Equal(t, a.Host, b.Host)
	name := strings.TrimPrefix(a.Path, "/")
	_, err = sharedServer.Query(name, "create table t (n int); insert into t values (1)")
	require.NoError(t, err)
	_, err = sharedServer.Query(strings.TrimPrefix(b.Path, "/"), "select n from t")
	require.ErrorContains(t, err, "does not exist")
	out, err := exec.Command(sharedServer.bin+"/psql", "-XtAc", "select n from t", first).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "1", strings.TrimSpace(string(out)))
	a.User = url.UserPassword(superuser, "wrong")
	out, err = exec.Command(sharedServer.bin+"/psql", "-XtAc", "select 1", a.String()).CombinedOutput()
	require.Error(t, err, string(out))
}

func TestWhatIsCommittedSurvivesKillAndRestart(t *testing.T) {
	t.Parallel()
	s := Start(t, Config{Durable: true})
	at := s.URL()
	query(t, s, "create table t (n int)")
	query(t, s, "insert into t values (7)")
	require.Equal(t, "on", query(t, s, "show fsync"))
	s.Kill()
	_, err := s.Query("postgres", "select 1")
	require.Error(t, err)
	s.Restart()
	require.Equal(t, at, s.URL())
	require.Equal(t, "7", query(t, s, "select n from t"))
	s.Restart()
	require.Equal(t, "7", query(t, s, "select n from t"))
}

func TestPausedServerAnswersAfterResumeOnly(t *testing.T) {
	t.Parallel()
	s := Start(t, Config{Settings: map[string]string{"max_connections": "17"}})
	require.Equal(t, "17", query(t, s, "show max_connections"))
	require.Equal(t, "off", query(t, s, "show fsync"))
	s.Pause()
	probe := s.client("psql", "-XtAc", "select 1", "postgres") // its own connect time-out is 5 s
	require.Error(t, probe.Run())
	s.Resume()
	require.Equal(t, "1", query(t, s, "select 1"))
}

// TestNothingIsLeftWhenTheProcessDies runs itself again as a process that is
// killed while its server is paused, the worst case.
func TestNothingIsLeftWhenTheProcessDies(t *testing.T) {
	needs.Service(t, "a real PostgreSQL")
	watchdog.NothingIsLeft(t, func() (string, int) {
		s := Start(t, Config{})
		s.Pause()
		return s.dir, s.running.Process.Pid
	})
}

// program is a TB that is no test.
type program struct{ cleanups []func() }

func (*program) Helper()               {}
func (*program) Fatalf(string, ...any) { panic("fatal") }
func (*program) Logf(string, ...any)   {}
func (p *program) Cleanup(f func())    { p.cleanups = append(p.cleanups, f) }

func TestCleanupRemovesEverything(t *testing.T) {
	needs.Service(t, "a real PostgreSQL")
	p := &program{}
	s := Start(p, Config{})
	pid := s.running.Process.Pid
	require.Contains(t, s.NewDatabase(), "/db1?")
	require.Len(t, p.cleanups, 1)
	p.cleanups[0]()
	require.NoDirExists(t, s.dir)
	require.False(t, watchdog.AnyAlive([]int{pid}))
	require.PanicsWithValue(t, "fatal", func() { s.Kill() })
}

func TestSkippedUnlessWanted(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv("SVCAUTH_TEST_SERVICES", "")
	require.False(t, needs.All())
	skipped := false
	t.Run("inner", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		URL(t)
	})
	require.True(t, skipped)
	t.Setenv("CI", "true")
	require.True(t, needs.All())
	t.Setenv("CI", "")
	t.Setenv("SVCAUTH_TEST_SERVICES", "1")
	require.True(t, needs.All())
}

// TestTheOtherVersionIsTheOneThatRuns: `make versions` would else try the
// installed one again and again.
func TestTheOtherVersionIsTheOneThatRuns(t *testing.T) {
	bin := os.Getenv(otherVersion)
	if bin == "" {
		t.Skip("make versions says where another PostgreSQL is, in " + otherVersion)
	}
	said, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	require.NoError(t, err)
	got, err := Start(t, Config{}).Query("postgres", "SHOW server_version")
	require.NoError(t, err)
	require.Equal(t, strings.Fields(string(said))[2], strings.Fields(got)[0])
}
