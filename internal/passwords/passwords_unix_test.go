//go:build unix

package passwords

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const asWorker = "work"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asWorker {
		if err := Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func newHasher(t *testing.T, atOnce int, command ...string) (*Hasher, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	h := New(command, atOnce, time.Minute, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h, log
}

// running returns the process of a Hasher that has one, which is idle.
func running(t *testing.T, h *Hasher) *worker {
	t.Helper()
	one := <-h.workers.idle
	h.workers.idle <- one
	require.NotNil(t, one)
	return one
}

// TestBothHashAlike: what a process of its own hashes, the server's can check,
// and the other way round.
func TestBothHashAlike(t *testing.T) {
	apart, log := newHasher(t, 1, os.Args[0], asWorker)
	here, _ := newHasher(t, 1)
	for _, made := range []*Hasher{apart, here} {
		stored := made.Hash(svcauth.Secret("correct horse"))
		for _, h := range []*Hasher{apart, here} {
			require.True(t, h.Verify("correct horse", stored))
			require.False(t, h.Verify("correct horsf", stored))
		}
	}
	running(t, apart)
	require.Empty(t, log.String())
}

// TestHashOfBefore pins the form that stands in databases.
func TestHashOfBefore(t *testing.T) {
	h, _ := newHasher(t, 1)
	const stored = "$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$RJ1sY/uLSiHi0TP1oW8rw19AvL2Hwpt7ELvhU4n7eXg"
	require.True(t, h.Verify("correct horse battery", stored))
	require.False(t, h.Verify("correct horse batterz", stored))
	require.True(t, strings.HasPrefix(h.Hash("x"), "$argon2id$v=19$m=19456,t=2,p=1$"))
}

// TestWhatCannotBeRead is never right, and is no reason to fail.
func TestWhatCannotBeRead(t *testing.T) {
	h, _ := newHasher(t, 1)
	good := h.Hash("correct horse")
	for _, stored := range []string{"", "x", strings.Replace(good, "argon2id", "argon2i", 1),
		strings.Replace(good, "t=2", "t=0", 1),
		strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "m=19456", "m=99999999", 1),
		strings.Replace(good, "t=2", "t=99", 1), good[:len(good)-4]} {
		require.False(t, h.Verify("correct horse", stored), stored)
	}
}

// TestProcessIsBehindEverythingElse: on each of its threads.
func TestProcessIsBehindEverythingElse(t *testing.T) {
	h, _ := newHasher(t, 1, os.Args[0], asWorker)
	h.Hash("correct horse")
	pid := running(t, h).cmd.Process.Pid
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Skip("this system does not show threads")
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, thread.Name()))
		require.NoError(t, err)
		_, fields, _ := strings.Cut(string(stat), ") ")
		require.Equal(t, "19", strings.Fields(fields)[16], "the nice value, field 19 of proc_pid_stat(5)")
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	require.NoError(t, err)
	require.Equal(t, "GOMAXPROCS=1\x00", string(environ), "no secret of the server's goes along")
	group, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, group, "a terminal's Ctrl-C is not for it")
}

// TestProcessThatDies: the password is checked all the same, the log says once
// what happened, and the next password has a new process.
func TestProcessThatDies(t *testing.T) {
	h, log := newHasher(t, 1, os.Args[0], asWorker)
	stored := h.Hash("correct horse")
	dead := running(t, h)
	require.NoError(t, dead.cmd.Process.Kill())
	for range 3 {
		require.True(t, h.Verify("correct horse", stored))
	}
	require.NotSame(t, dead, running(t, h))
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	require.NotContains(t, log.String(), "horse")
}

// TestProcessThatHangs is killed once the time of an answer is over. The
// password is checked all the same, and the next has a new process.
func TestProcessThatHangs(t *testing.T) {
	h, log := newHasher(t, 1, os.Args[0], asWorker)
	stored := h.Hash("correct horse")
	for range 2 {
		hung := running(t, h)
		require.NoError(t, hung.cmd.Process.Signal(syscall.SIGSTOP))
		h.workers.limit = 50 * time.Millisecond
		answer := make(chan bool, 1)
		go func() { answer <- h.Verify("correct horse", stored) }()
		select {
		case ok := <-answer:
			require.True(t, ok)
		case <-time.After(time.Minute):
			require.NoError(t, hung.cmd.Process.Kill())
			require.Fail(t, "a process that was stopped holds up whoever waits for it")
		}
		require.NotNil(t, hung.cmd.ProcessState, "it is gone, and leaves no zombie")
		h.workers.limit = time.Minute
		require.True(t, h.Verify("correct horse", stored))
		require.False(t, h.Verify("correct horsf", stored))
		require.NotSame(t, hung, running(t, h))
	}
	require.Equal(t, 2, strings.Count(log.String(), "gave no answer"), log.String())
}

// TestProcessThatNeverAnswers is not tried again for each password.
func TestProcessThatNeverAnswers(t *testing.T) {
	h, log := newHasher(t, 1, "/bin/sleep", "1000")
	h.workers.limit = 50 * time.Millisecond
	stored := h.Hash("correct horse")
	require.True(t, h.Verify("correct horse", stored))
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	require.Contains(t, log.String(), "for a minute")
	h.workers.until = h.workers.until.Add(-restAfterFailure)
	h.workers.command = []string{os.Args[0], asWorker}
	h.workers.limit = time.Minute
	require.True(t, h.Verify("correct horse", stored))
	running(t, h)
}

// TestWhatProcessHasStarted ends with it.
func TestWhatProcessHasStarted(t *testing.T) {
	path := t.TempDir() + "/child"
	one, err := newWorker([]string{"/bin/sh", "-c", "sleep 1000 & echo $! >" + path + "; wait"})
	require.NoError(t, err)
	var pid int
	require.Eventually(t, func() bool {
		written, _ := os.ReadFile(path)
		pid, err = strconv.Atoi(strings.TrimSpace(string(written)))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	one.end()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return syscall.Kill(pid, 0) != nil || err == nil && strings.Contains(string(stat), ") Z ")
	}, time.Minute, 10*time.Millisecond)
}

// TestNoProcessCanBeStarted, or what starts is something else.
func TestNoProcessCanBeStarted(t *testing.T) {
	echo, err := exec.LookPath("true")
	require.NoError(t, err)
	for _, command := range []string{"/does/not/exist", echo} {
		h, log := newHasher(t, 1, command)
		require.True(t, h.Verify("correct horse", h.Hash("correct horse")))
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	}
}

// TestManyAtOnce take turns at the processes that there are.
func TestManyAtOnce(t *testing.T) {
	h, log := newHasher(t, 2, os.Args[0], asWorker)
	stored := h.Hash("correct horse")
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			if h.Verify(svcauth.Secret("correct horse"[:len("correct horse")-i%2]), stored) != (i%2 == 0) {
				t.Error(i)
			}
		})
	}
	group.Wait()
	require.Empty(t, log.String())
}

// TestProcessEndsWithTheServer, however that ends: its pipe does.
func TestProcessEndsWithTheServer(t *testing.T) {
	h, _ := newHasher(t, 1, os.Args[0], asWorker)
	h.Hash("correct horse")
	one := running(t, h)
	require.NoError(t, one.cmd.Process.Signal(syscall.SIGTERM), "which it leaves to the server")
	require.True(t, h.Verify("correct horse", h.Hash("correct horse")))
	require.Same(t, one, running(t, h))
	require.NoError(t, one.in.Close())
	state, err := one.cmd.Process.Wait()
	require.NoError(t, err)
	require.True(t, state.Success(), state.String())
}
