package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
)

// otherVersion names the directory of another PostgreSQL's initdb and postgres.
// The programs of its clients may be the installed ones'.
const otherVersion = "SVCAUTH_TEST_POSTGRESQL"

// find returns where a program of PostgreSQL is: the other version's, if there
// is one that has it.
func (s *Server) find(program string) string {
	if other := os.Getenv(otherVersion); other != "" {
		path := filepath.Join(other, program)
		if _, err := os.Stat(path); err == nil || program == "postgres" || program == "initdb" {
			return path
		}
	}
	return filepath.Join(s.bin, program)
}

// findBinaries returns the directory of PostgreSQL's server programs, of the
// newest version that is installed. Debian keeps them off the PATH.
func findBinaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	sort.Slice(found, func(i, j int) bool { return majorVersion(found[i]) > majorVersion(found[j]) })
	if onPath, err := exec.LookPath("initdb"); err == nil {
		if onPath, err = filepath.EvalSymlinks(onPath); err == nil {
			found = append(found, onPath)
		}
	}
	for _, initdb := range found {
		dir := filepath.Dir(initdb)
		complete := true
		for _, program := range []string{"postgres", "psql", "createdb"} {
			if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
				complete = false
			}
		}
		if complete {
			return dir, nil
		}
	}
	return "", errors.New("no PostgreSQL server is installed (initdb, postgres, " +
		"psql and createdb in /usr/lib/postgresql/*/bin or on the PATH); " +
		"run `make deps`")
}

func majorVersion(initdb string) int {
	version, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return version
}

// unprivileged returns the user under which the server runs if this process
// is root, or nil.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody; " +
		"run the tests as another user")
}

// newDirectory makes a directory that cred can enter. Its name is short,
// because the path of a Unix socket has a limit of about 100 bytes. A test's
// own temporary directory is no choice: it is closed to other users.
func newDirectory(cred *syscall.Credential, parents ...string) (string, error) {
	if len(parents) == 0 {
		parents = []string{os.TempDir(), "/tmp", "/var/tmp"}
	}
	var err error
	for _, parent := range parents {
		var dir string
		if dir, err = os.MkdirTemp(parent, "pg"); err != nil {
			continue
		}
		if cred == nil {
			return dir, nil
		}
		if err = os.Chown(dir, int(cred.Uid), int(cred.Gid)); err == nil {
			probe := exec.Command("/bin/sh", "-c", ":")
			probe.Dir = dir
			probe.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
			if err = probe.Run(); err == nil {
				return dir, nil
			}
		}
		_ = os.Remove(dir)
	}
	return "", fmt.Errorf("make a directory for the cluster: %w", err)
}
