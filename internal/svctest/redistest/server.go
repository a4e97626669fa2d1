package redistest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

// readyWithin is generous, because a loaded machine takes long to start
// anything.
const readyWithin = 60 * time.Second

// Server is one running Redis, or one Sentinel. Its methods are not for
// concurrent use. They end the test if they fail.
type Server struct {
	t        testing.TB
	dir      string
	port     int
	password string // empty: none (a Sentinel)
	sentinel bool
	args     []string
	watchdog *watchdog.Watchdog
	running  *watchdog.Process // nil: killed
}

// newServer starts a Redis with a password: on a machine with more users, one
// without is a door.
func newServer(args ...string) (*Server, error) {
	return (&Server{password: rand.Text(), args: args}).create()
}

// create starts the server on a free port. Between choosing one and listening
// on it another process may take it; then the next one is tried.
func (s *Server) create() (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errors.New("no redis-server is on the PATH; run `make deps`")
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "redis"); err != nil {
		return nil, err
	}
	if s.watchdog, err = watchdog.Start(s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	for range 5 {
		if err = s.writeSentinelFile(); err != nil {
			break
		}
		if s.port, err = freeport.Port(); err != nil {
			break
		}
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	s.close()
	return nil, err
}

// start runs the server on its port and returns when it answers.
func (s *Server) start() error {
	args := append([]string{}, s.args...)
	if s.sentinel {
		args = append([]string{filepath.Join(s.dir, "sentinel.conf"), "--sentinel"}, args...)
	}
	args = append(args, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--logfile",
		filepath.Join(s.dir, "log"), "--daemonize", "no")
	if !s.sentinel {
		args = append(args, "--save", "", "--appendonly", "no")
	}
	if s.password != "" {
		args = append(args, "--requirepass", s.password, "--masterauth", s.password)
	}
	cmd := exec.Command("redis-server", args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var err error
	s.running, err = s.watchdog.Run(cmd, readyWithin, func() error {
		answer, err := s.Do("PING")
		if err == nil && answer != "PONG" {
			err = fmt.Errorf("it answers %q", answer)
		}
		return err
	}, s.logTail)
	return err
}

// Process is the server's own.
func (s *Server) Process() int { return s.running.Process.Pid }

func (s *Server) stopped() {
	s.running = nil
	s.watchdog.Watch()
}

// close stops the server and removes its directory.
func (s *Server) close() {
	if s.running != nil {
		s.kill()
	}
	s.watchdog.End()
}

func (s *Server) kill() {
	_ = s.running.Process.Kill()
	<-s.running.Ended
	s.stopped()
}

// URL returns the URL of the server's database 0.
func (s *Server) URL() string { return s.url() + "/0" }

// UserURL returns the same for a user of the server's ACL.
func (s *Server) UserURL(name, password string) string {
	return "redis://" + name + ":" + password + "@" + s.Addr() + "/0"
}

func (s *Server) url() string { return "redis://" + s.userinfo() + s.Addr() }

func (s *Server) userinfo() string {
	if s.password == "" {
		return ""
	}
	return ":" + s.password + "@"
}

// Addr is the host and port on which the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Kill ends the server at once, as kill -9 does. What it held is lost.
// [Server.Start] brings it back, empty.
func (s *Server) Kill() {
	s.t.Helper()
	s.mustRun()
	s.kill()
}

// Start starts the server again, on the port that it had, and returns when it
// answers.
func (s *Server) Start() {
	s.t.Helper()
	if s.running != nil {
		s.t.Fatalf("Redis runs already")
	}
	if err := s.start(); err != nil {
		s.t.Fatalf("start Redis again: %v", err)
	}
}

// Pause stops the process where it is (SIGSTOP): connections stay open and are
// even taken, and nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.mustRun()
	_ = s.running.Process.Signal(syscall.SIGSTOP)
}

// Resume lets it go on after [Server.Pause].
func (s *Server) Resume() {
	s.t.Helper()
	s.mustRun()
	_ = s.running.Process.Signal(syscall.SIGCONT)
}

// Flush deletes everything in all databases (FLUSHALL).
func (s *Server) Flush() {
	s.t.Helper()
	s.Must("FLUSHALL")
}

// Must runs one command on database 0 and returns its answer as [Server.Do]
// does.
func (s *Server) Must(args ...string) string {
	s.t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		s.t.Fatalf("redis %s: %v", strings.Join(args, " "), err)
	}
	return answer
}

func (s *Server) mustRun() {
	s.t.Helper()
	if s.running == nil {
		s.t.Fatalf("Redis has been killed; call Start first")
	}
}

func (s *Server) logTail() string {
	raw, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(raw))
	return text[max(0, len(text)-2000):]
}
