package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

// URL returns the URL of the server's own, always existing database "postgres".
func (s *Server) URL() string { return s.urlOf("postgres") }

// Addr is the host and port on which the server listens, for a proxy before it.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// NewDatabase makes an empty database and returns its URL.
func (s *Server) NewDatabase() string {
	s.t.Helper()
	url, err := s.createDatabase("template0")
	if err != nil {
		s.t.Fatalf("make a database: %v", err)
	}
	return url
}

// Query runs one statement in the database of that name and returns what psql
// prints: rows by lines, columns separated by "|".
func (s *Server) Query(database, statement string) (string, error) {
	out, err := s.client("psql", "-XtA", "-v", "ON_ERROR_STOP=1", "-c", statement, database).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, tail(out))
	}
	return tail(out), nil
}

// Kill ends all the server's processes at once, as kill -9 does.
// [Server.Restart] brings it back.
func (s *Server) Kill() {
	s.t.Helper()
	s.mustRun()
	s.kill()
}

// Pause stops all the server's processes where they are (SIGSTOP): connections
// stay open, and nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.mustRun()
	s.watchdog.Watch(s.freeze()...)
}

// Resume lets the server go on after [Server.Pause].
func (s *Server) Resume() {
	s.t.Helper()
	s.mustRun()
	pid := s.running.Process.Pid
	for _, child := range watchdog.Children(pid) {
		_ = syscall.Kill(child, syscall.SIGCONT)
	}
	_ = syscall.Kill(pid, syscall.SIGCONT)
	s.watchdog.Watch(pid)
}

// Stop shuts the server down in good order; its clients are cut off.
// [Server.Restart] brings it back.
func (s *Server) Stop() {
	s.t.Helper()
	s.mustRun()
	s.Resume()
	_ = syscall.Kill(s.running.Process.Pid, syscall.SIGINT) // "fast shutdown"
	select {
	case <-s.running.Ended:
		s.stopped()
	case <-time.After(stopWithin):
		log := s.logTail()
		s.kill()
		s.t.Fatalf("PostgreSQL did not stop within %s; its log: %s", stopWithin, log)
	}
}

// Restart starts the server on the port that it had, and returns when it takes
// queries. One that runs is stopped in good order first.
func (s *Server) Restart() {
	s.t.Helper()
	if s.Ended() {
		s.stopped()
	}
	if s.running != nil {
		s.Stop()
	}
	if err := s.start(); err != nil {
		s.t.Fatalf("restart PostgreSQL: %v", err)
	}
}

// Ended reports whether the server that was started has ended by itself, as it
// does if its disk is full and it can't write its log of transactions.
// Whoever runs it in production starts it again: [Server.Restart].
func (s *Server) Ended() bool {
	if s.running == nil {
		return false
	}
	select {
	case <-s.running.Ended:
		return true
	default:
		return false
	}
}

func (s *Server) mustRun() {
	s.t.Helper()
	if s.running == nil {
		s.t.Fatalf("PostgreSQL is stopped; call Restart first")
	}
}

// freeze stops the postmaster first, so that it makes no more children, and
// then them. It returns all of them.
func (s *Server) freeze() []int {
	pid := s.running.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	all := append([]int{pid}, watchdog.Children(pid)...)
	for _, child := range all[1:] {
		_ = syscall.Kill(child, syscall.SIGSTOP)
	}
	return all
}

// kill returns when no process of the server is left: a new postmaster refuses
// to start beside an old backend.
func (s *Server) kill() {
	all := s.freeze()
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.running.Ended
	for deadline := time.Now().Add(stopWithin); time.Now().Before(deadline) && watchdog.AnyAlive(all); {
		time.Sleep(10 * time.Millisecond)
	}
	s.stopped()
}

func (s *Server) createDatabase(template string) (string, error) {
	name := fmt.Sprintf("db%d", s.databases.Add(1))
	if out, err := s.client("createdb", "-T", template, name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("createdb: %w: %s", err, tail(out))
	}
	return s.urlOf(name), nil
}

func (s *Server) urlOf(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, s.password), Host: s.Addr(), Path: "/" +
		database, RawQuery: "sslmode=disable"}
	return u.String()
}
