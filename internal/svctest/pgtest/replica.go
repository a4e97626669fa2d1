package pgtest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

// Replica makes a copy of the running server (pg_basebackup) that follows it by
// streaming, and makes the server wait for it at each commit, so that nothing
// acknowledged is lost when the copy takes over. It is stopped and removed when
// the test ends.
func (s *Server) Replica() *Server {
	s.t.Helper()
	s.mustRun()
	r := &Server{t: s.t, bin: s.bin, cred: s.cred, password: s.password}
	if err := r.follow(s); err != nil {
		s.t.Fatalf("make a replica: %v", err)
	}
	s.t.Cleanup(r.close)
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := s.Query("postgres", statement); err != nil {
			s.t.Fatalf("wait for the replica at each commit: %v", err)
		}
	}
	for deadline := time.Now().Add(readyWithin); ; time.Sleep(50 * time.Millisecond) {
		state, err := s.Query("postgres", "SELECT sync_state FROM pg_stat_replication")
		if err == nil && state == "sync" {
			return r
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the replica does not follow: %s %v; its log: %s", state, err, r.logTail())
		}
	}
}

func (s *Server) follow(primary *Server) (err error) {
	if s.dir, err = newDirectory(s.cred); err != nil {
		return err
	}
	if s.watchdog, err = watchdog.Start(s.dir); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if out, err := primary.client("pg_basebackup", "-D", s.data(), "-R", "-c", "fast", "-X",
		"stream").CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w: %s", err, tail(out))
	}
	if s.port, err = freeport.Port(); err != nil {
		return err
	}
	conninfo := fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s", primary.port, superuser, primary.password)
	if err := s.configure(Config{Durable: true,
		Settings: map[string]string{"primary_conninfo": conninfo}}); err != nil {
		return err
	}
	return s.start()
}

// Promote makes a replica the one that takes writes, and returns when it does.
func (s *Server) Promote() {
	s.t.Helper()
	if out, err := s.Query("postgres", "SELECT pg_promote(true, 60)"); err != nil || strings.TrimSpace(out) != "t" {
		s.t.Fatalf("promote the replica: %s %v", out, err)
	}
}
