package drill_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// disk is a small file system that can be filled.
type disk struct {
	t    testing.TB
	path string
}

// newDisk mounts one of so many bytes. That takes root: without, the drill is
// skipped.
func newDisk(t testing.TB, size string) *disk {
	t.Helper()
	dir, err := os.MkdirTemp("", "svcauth-disk-") // not in t.TempDir, into which other users can't look
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := syscall.Mount("svcauth-drill", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV,
		"mode=0755,size="+size); errors.Is(err, syscall.EPERM) {
		t.Skip("a small disk to fill is a tmpfs, and to mount one takes root")
	} else {
		require.NoError(t, err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // after all that was started since has ended
	return &disk{t, dir}
}

func (d *disk) ballast() string { return filepath.Join(d.path, "ballast") }

// fill leaves no byte.
func (d *disk) fill() {
	d.t.Helper()
	file, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(d.t, err)
	defer file.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else {
			require.NoError(d.t, err)
		}
	}
}

func (d *disk) free() {
	d.t.Helper()
	require.NoError(d.t, os.Remove(d.ballast()))
}

const fullFor = 15 * time.Second

// The disk of PostgreSQL is full: nothing can be changed, and nothing is said
// to be; tokens go on. What PostgreSQL can't write it may die of: then it is
// started again, as a service is, when there is room.
func TestDiskOfPostgreSQLIsFull(t *testing.T) {
	needFull(t)
	d := newDisk(t, "200m")
	postgres := pgtest.Start(t,
		pgtest.Config{Durable: true, Dir: d.path,
			Settings: map[string]string{"min_wal_size": "32MB", "max_wal_size": "64MB"}})
	s := newStack(t, 2, postgres.NewDatabase(), redistest.URL(t), manyWrong)
	drill(s, fault{name: "disk of PostgreSQL: full", held: fullFor, begin: d.fill, late: withRedis,
		refused: fullFor - maxStaleness + reconnected, end: func() {
			died := postgres.Ended()
			d.free()
			if died {
				postgres.Restart()
			}
			t.Logf("PostgreSQL had ended of the full disk: %t", died)
		}})
	requireLogged(t, s.nodes, "the disk of the database is full")
}

// The same with SQLite, in the one process.
func TestDiskOfSQLiteIsFull(t *testing.T) {
	needFull(t)
	d := newDisk(t, "48m")
	s := newStack(t, 1, "sqlite://"+filepath.Join(d.path, "svcauth.db"), "", manyWrong)
	drill(s, fault{name: "disk of SQLite: full", held: fullFor, begin: d.fill, end: d.free, late: withRedis})
	requireLogged(t, s.nodes, "the disk of the database is full")
}

// A node whose log can't be written serves on, and says afterwards how much is
// missing.
func TestDiskOfTheLogIsFull(t *testing.T) {
	needFull(t)
	d := newDisk(t, "16m")
	s := newStack(t, 2, pgtest.URL(t), redistest.URL(t), manyWrong)
	n := s.nodes[1]
	n.stop()
	n.log = filepath.Join(d.path, "log")
	n.start()
	n.awaitReady()
	drill(s, fault{name: "disk of a node's log: full", held: fullFor, begin: d.fill, end: d.free, late: withRedis})
	require.Eventually(t, func() bool { return logged(t, n, "lines of this log were lost") }, recovered,
		100*time.Millisecond, "the node says that lines are missing")
}

func logged(t testing.TB, n *node, text string) bool {
	t.Helper()
	all, err := os.ReadFile(n.log)
	require.NoError(t, err)
	return strings.Contains(string(all), text)
}

// requireLogged wants an operator to find in some node's log what is the
// matter.
func requireLogged(t testing.TB, nodes []*node, text string) {
	t.Helper()
	for _, n := range nodes {
		if logged(t, n, text) {
			return
		}
	}
	t.Errorf("no node's log says %q:\n%s", text, tail(nodes[0].log, 30))
}
