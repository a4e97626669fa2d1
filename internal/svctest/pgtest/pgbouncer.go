package pgtest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

// PgBouncer starts a real PgBouncer before the server of a database and returns
// the URL of the database through it. It has PgBouncer's defaults, but lends a
// connection for one transaction and keeps two, so that clients share them.
// settings are further lines of its section [pgbouncer]. It ends with t.
func PgBouncer(t TB, database string, settings map[string]string) string {
	t.Helper()
	needs.Service(t, "PgBouncer")
	through, end, err := startPgBouncer(database, settings)
	if err != nil {
		t.Fatalf("start PgBouncer: %v", err)
	}
	t.Cleanup(end)
	return through
}

func startPgBouncer(database string, settings map[string]string) (through string, end func(), err error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // which is on no user's PATH
	}
	to, err := url.Parse(database)
	if err != nil {
		return "", nil, errors.New("the URL of the database can't be read")
	}
	cred, err := unprivileged() // it refuses to run as root, as PostgreSQL does
	if err != nil {
		return "", nil, err
	}
	port, err := freeport.Port()
	if err != nil {
		return "", nil, err
	}
	dir, err := newDirectory(cred)
	if err != nil {
		return "", nil, err
	}
	dog, err := watchdog.Start(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	file, err := configurePgBouncer(dir, port, to, cred, settings)
	if err != nil {
		dog.End()
		return "", nil, err
	}
	var log syncbuf.Buffer
	cmd := exec.Command(program, "-q", file)
	cmd.Dir, cmd.Stderr = dir, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: cred}
	to.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	running, err := dog.Run(cmd, readyWithin, func() error { return speaks(to.Host) },
		func() string { return tail([]byte(log.String())) })
	end = func() {
		dog.End()
		if running != nil {
			<-running.Ended
		}
	}
	if err != nil {
		end()
		return "", nil, err
	}
	return to.String(), end, nil
}

// speaks asks whether there is TLS, which PostgreSQL and PgBouncer answer with
// one letter before anything else.
func speaks(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(readyWithin))
	if _, err := conn.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[0] != 'N' && answer[0] != 'S' {
		return fmt.Errorf("it answers %q to the question for TLS", answer)
	}
	return nil
}

// configurePgBouncer writes its two files, which only its user may read.
func configurePgBouncer(dir string, port int, to *url.URL, cred *syscall.Credential,
	settings map[string]string) (file string, err error) {
	users := filepath.Join(dir, "users")
	password, _ := to.User.Password()
	lines := map[string]string{"listen_addr": "127.0.0.1", "listen_port": strconv.Itoa(port), "unix_socket_dir": "",
		"auth_type": "md5", "auth_file": users, "pool_mode": "transaction", "default_pool_size": "2",
		"max_client_conn": "500"}
	maps.Copy(lines, settings)
	var text strings.Builder
	fmt.Fprintf(&text, "[databases]\n* = host=%s port=%s\n[pgbouncer]\n", to.Hostname(), to.Port())
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&text, "%s = %s\n", name, lines[name])
	}
	file = filepath.Join(dir, "pgbouncer.ini")
	for path, text := range map[string]string{file: text.String(),
		users: fmt.Sprintf("%q %q\n", to.User.Username(), password)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		if cred != nil {
			if err := os.Chown(path, int(cred.Uid), int(cred.Gid)); err != nil {
				return "", err
			}
		}
	}
	return file, nil
}
