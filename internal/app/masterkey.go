package app

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/svcauth/svcauth/internal/config"
)

// masterKeys reads the master key and, while it is being changed, the other one. create makes the file where there is none.
func masterKeys(cfg config.Config, create bool) (master, previous []byte, err error) {
	if text := cfg.MasterKey.Reveal(); text != "" {
		if master, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, nil, errors.New("master_key is no base64 of 32 bytes")
		}
	} else if master, err = masterKeyFile(cfg.MasterKeyFile, create); err != nil {
		return nil, nil, err
	}
	if cfg.MasterKeyPreviousFile != "" {
		previous, err = masterKeyFile(cfg.MasterKeyPreviousFile, false)
	}
	return master, previous, err
}

func masterKeyFile(path string, create bool) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && create {
		if err := makeMasterKey(path); err != nil {
			return nil, fmt.Errorf("make the master key: %w", err)
		}
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	if len(raw) != 32 {
		return nil, fmt.Errorf("the master key file %s holds %d bytes; expected exactly 32", path, len(raw))
	}
	return raw, nil
}

// makeMasterKey makes the file, or leaves the one that another process has made meanwhile. Under its name the file is there whole or not at all, so of processes that
// start at once all read the same key; and it is on disk before anything is sealed with it.
func makeMasterKey(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".master-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh)
	_, err = file.Write(fresh)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, os.ErrExist) { // a rename would replace the key of another process
		return fmt.Errorf("%w (on a file system without hard links, make the file yourself: 32 random bytes)", err)
	}
	if opened, err := os.Open(dir); err == nil {
		_ = opened.Sync() // not every system can; then the file's own Sync is all there is
		_ = opened.Close()
	}
	return nil
}
