package pgtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

const (
	superuser = "svcauth"
	// Generous, because a loaded machine takes long to fork, and recovery after
	// a kill takes its time.
	readyWithin = 90 * time.Second
	stopWithin  = 60 * time.Second
)

// Server is one running PostgreSQL. Its methods are not for concurrent use,
// NewDatabase and URL aside. They end the test if they fail.
type Server struct {
	t         TB
	bin, dir  string
	cred      *syscall.Credential
	port      int
	password  string
	watchdog  *watchdog.Watchdog
	running   *watchdog.Process // nil: stopped
	databases atomic.Int64
}

func newServer(cfg Config) (*Server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	cred, err := unprivileged()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, cred: cred, password: rand.Text()}
	var parents []string
	if cfg.Dir != "" {
		parents = append(parents, cfg.Dir)
	}
	if s.dir, err = newDirectory(cred, parents...); err != nil {
		return nil, err
	}
	if s.watchdog, err = watchdog.Start(s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.create(cfg); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// create makes the cluster and starts it. Between choosing a free port and
// listening on it another process may take it; then the next one is tried.
func (s *Server) create(cfg Config) error {
	if err := s.initialize(); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		port, err := freeport.Port()
		if err != nil {
			return err
		}
		s.port = port
		if err := s.configure(cfg); err != nil {
			return err
		}
		if err = s.start(); err == nil {
			return nil
		}
		if attempt == 4 || !strings.Contains(err.Error(), "already in use") {
			return err
		}
	}
}

func (s *Server) initialize() error {
	// A password, although only loopback is listened on: on a machine with more
	// users, a superuser without one is a door.
	file := filepath.Join(s.dir, "password")
	if err := os.WriteFile(file, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if s.cred != nil {
		if err := os.Chown(file, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return err
		}
	}
	out, err := s.command("initdb", "-D", s.data(), "-U", superuser, "--pwfile", file, "-A", "password",
		"-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, tail(out))
	}
	return nil
}

func (s *Server) configure(cfg Config) error {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    fmt.Sprint(s.port),
		"unix_socket_directories": s.dir,
		"max_connections":         "200",
		"shared_buffers":          "32MB",
		"logging_collector":       "off",
		"log_timezone":            "UTC",
		"timezone":                "UTC",
	}
	if !cfg.Durable {
		maps.Copy(settings, map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, cfg.Settings)
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	// postgresql.auto.conf is read last, so that writing it anew replaces every
	// setting made here.
	return os.WriteFile(filepath.Join(s.data(), "postgresql.auto.conf"), text.Bytes(), 0o600)
}

// start runs the server on its port and returns when it takes queries.
func (s *Server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command("postgres", "-D", s.data())
	cmd.Stdout, cmd.Stderr = log, log
	s.running, err = s.watchdog.Run(cmd, readyWithin, func() error {
		if out, err := s.client("psql", "-XtAc", "select 1", "postgres").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, tail(out))
		}
		return nil
	}, s.logTail)
	return err
}

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

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command prepares one of PostgreSQL's programs, to be run as the server's
// user, in a directory that it may enter, with an environment of its own:
// PGHOST and the like of the caller must not lead elsewhere.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(s.find(program), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "HOME=" + s.dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.cred}
	return cmd
}

// client prepares one of PostgreSQL's client programs, connected to this
// server.
func (s *Server) client(program string, args ...string) *exec.Cmd {
	cmd := s.command(program, append([]string{"-h", "127.0.0.1", "-p", fmt.Sprint(s.port), "-U", superuser},
		args...)...)
	cmd.Env = append(cmd.Env, "PGPASSWORD="+s.password, "PGCONNECT_TIMEOUT=5")
	return cmd
}

func (s *Server) logTail() string {
	raw, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return tail(raw)
}

func tail(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[max(0, len(text)-2000):]
}
