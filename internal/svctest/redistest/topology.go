package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// Sentinel is a master with one replica, watched by three Sentinels, two of
// which must agree that it is down.
type Sentinel struct {
	Master, Replica *Server
	Sentinels       []*Server
	t               testing.TB
}

const masterName = "main"

// StartSentinel starts one for t, and returns when a failover would succeed.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	needs.Service(t, "a real redis-server")
	s := &Sentinel{t: t, Master: start(t)}
	s.Replica = startWithPassword(t, s.Master.password, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Master.port))
	waitFor(t, "the replica to follow", func() bool {
		text, err := s.Replica.Do("INFO", "replication")
		return err == nil && strings.Contains(text, "master_link_status:up")
	})
	for range 3 {
		s.Sentinels = append(s.Sentinels, s.startSentinel())
	}
	for _, one := range s.Sentinels {
		waitFor(t, "the Sentinels to find each other", func() bool {
			text, err := one.Do("INFO", "sentinel")
			return err == nil && strings.Contains(text, "status=ok,address="+s.Master.Addr()+",slaves=1,sentinels=3")
		})
	}
	return s
}

func startWithPassword(t testing.TB, password string, args ...string) *Server {
	t.Helper()
	s, err := (&Server{password: password, args: args}).create()
	if err != nil {
		t.Fatalf("start Redis: %v", err)
	}
	s.t = t
	t.Cleanup(s.close)
	return s
}

func (s *Sentinel) startSentinel() *Server {
	s.t.Helper()
	one := &Server{t: s.t, sentinel: true}
	one.args = []string{
		"--sentinel", "monitor", masterName, "127.0.0.1", strconv.Itoa(s.Master.port), "2",
		"--sentinel", "auth-pass", masterName, s.Master.password,
		// nothing fails over by itself on a busy machine; see FailOver
		"--sentinel", "down-after-milliseconds", masterName, "60000",
		"--sentinel", "failover-timeout", masterName, "6000",
	}
	if _, err := one.create(); err != nil {
		s.t.Fatalf("start a Sentinel: %v", err)
	}
	s.t.Cleanup(one.close)
	return one
}

// URL returns the form of redis.url for it.
func (s *Sentinel) URL() string { return s.userURL(":" + s.Master.password + "@") }

// UserURL returns the same for a user of the ACL of all servers, the Sentinels
// among them.
func (s *Sentinel) UserURL(name, password string) string {
	return s.userURL(name+":"+password+"@") + "?sentinel_auth=true"
}

func (s *Sentinel) userURL(userinfo string) string {
	var hosts []string
	for _, one := range s.Sentinels {
		hosts = append(hosts, one.Addr())
	}
	return "redis+sentinel://" + userinfo + strings.Join(hosts, ",") + "/" + masterName
}

// FailOver kills the master and returns when the Sentinels have made the
// replica the master.
func (s *Sentinel) FailOver() {
	s.t.Helper()
	for _, one := range s.Sentinels {
		one.Must("SENTINEL", "SET", masterName, "down-after-milliseconds", "500")
	}
	s.Master.Kill()
	for _, one := range s.Sentinels {
		waitFor(s.t, "the failover", func() bool {
			at, err := one.Do("SENTINEL", "get-master-addr-by-name", masterName)
			return err == nil && at == "127.0.0.1\n"+strconv.Itoa(s.Replica.port)
		})
	}
	waitFor(s.t, "the replica to be the master", func() bool {
		text, err := s.Replica.Do("INFO", "replication")
		return err == nil && strings.Contains(text, "role:master")
	})
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(readyWithin); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s", readyWithin, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// writeSentinelFile makes the file that a Sentinel insists on: it keeps there
// what it learns.
func (s *Server) writeSentinelFile() error {
	if !s.sentinel {
		return nil
	}
	if err := os.WriteFile(filepath.Join(s.dir, "sentinel.conf"), nil, 0o600); err != nil {
		return fmt.Errorf("write a Sentinel's file: %w", err)
	}
	return nil
}
