package config

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"
)

// PrivateFile refuses a file with a secret that others than the service can
// read or write. It is PostgreSQL's rule for its private keys: mode 0600 or
// less, or, for a file that root owns, 0640 or less. So a group may read what
// root gave to it, as systemd's LoadCredential= and Kubernetes' fsGroup do.
func PrivateFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	mode, owner := info.Mode().Perm(), ownerOf(info)
	if runtime.GOOS == "windows" || private(mode, owner) { // Windows has no such bits
		return nil
	}
	cure := fmt.Sprintf("chmod 600 %s", path)
	if owner == 0 && os.Geteuid() != 0 {
		cure = fmt.Sprintf("chgrp %d %s && chmod 640 %[2]s "+
			"(for a volume of Kubernetes: defaultMode: 0440, and fsGroup: %[1]d in the pod's securityContext)",
			os.Getegid(), path)
	}
	return fmt.Errorf("holds a secret, but others may use %s too "+
		"(mode %04o; expected 0600 or less, or of root's files 0640 or less); run: %s", path, mode, cure)
}

func private(mode fs.FileMode, owner int) bool {
	open := fs.FileMode(0o077)
	if owner == 0 {
		open = 0o037
	}
	return mode&open == 0
}

// private refuses a file that others can use. A file that is not there passes.
func (c checker) private(name, key string) {
	if info, err := os.Stat(name); err != nil || info.IsDir() {
		return
	}
	if err := PrivateFile(name); err != nil {
		c.that(false, key, "%v", err)
	}
}

// privateInURL is private for the files with secrets that the URL of a
// PostgreSQL names.
func (c checker) privateInURL(database URL) {
	u, err := url.Parse(database.Reveal())
	if err != nil || u.Scheme == "sqlite" {
		return // whoever opens it refuses it
	}
	for _, option := range []string{"passfile", "sslkey"} {
		if name := u.Query().Get(option); name != "" {
			c.private(name, "database.url")
		}
	}
}
