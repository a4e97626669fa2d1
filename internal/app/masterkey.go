package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
)

const masterKeySize = 32

// masterKeys reads the master keys. It makes one if there is none and the
// database is new.
func (a *App) masterKeys(ctx context.Context) (master, previous []byte, err error) {
	missing := masterKeyMissing(a.cfg)
	if missing {
		sealed, err := a.store.Read().DataKeys(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("read whether the database has keys already: %w", err)
		}
		if len(sealed) > 0 {
			return nil, nil, masterKeyLost(a.cfg)
		}
	}
	if master, previous, err = masterKeys(a.cfg, missing); err == nil && missing {
		a.logger.Warn("made a new master key; back it up, apart from the database, which is worthless without it",
			"file", masterKeyPlace(a.cfg))
	}
	return master, previous, err
}

// masterKeys returns the master key and, while it is being changed, the other
// one. If create is set it makes the file if there is none.
func masterKeys(cfg config.Config, create bool) (master, previous []byte, err error) {
	if text := cfg.MasterKey.Reveal(); text != "" {
		if master, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, nil, ofKey("master_key", errors.New("is not 32 bytes in base64"))
		}
	} else if master, err = masterKeyFile(cfg.MasterKeyFile, create); err != nil {
		err = ofKey("master_key_file", err)
	}
	previous, previousErr := previousKey(cfg, master)
	return master, previous, errors.Join(err, previousErr)
}

func previousKey(cfg config.Config, master []byte) ([]byte, error) {
	if cfg.MasterKeyPreviousFile == "" {
		return nil, nil
	}
	previous, err := masterKeyFile(cfg.MasterKeyPreviousFile, false)
	if err == nil && bytes.Equal(previous, master) {
		err = errors.New("holds the same key as the master key; name the file with the old one")
	}
	return previous, ofKey("master_key_previous_file", err)
}

// checkMasterKeys returns what masterKeys would fail with on an empty database.
// It makes no file.
func checkMasterKeys(cfg config.Config) error {
	if masterKeyMissing(cfg) {
		_, err := previousKey(cfg, nil)
		return errors.Join(ofKey("master_key_file", mayMakeMasterKey(cfg)), err)
	}
	_, _, err := masterKeys(cfg, false)
	return err
}

func masterKeyMissing(cfg config.Config) bool {
	if cfg.MasterKey != "" {
		return false
	}
	_, err := os.Stat(cfg.MasterKeyFile)
	return errors.Is(err, fs.ErrNotExist)
}

// mayMakeMasterKey refuses to make a key where nobody would look for it. With
// PostgreSQL there may be several nodes and many directories to start one in,
// and a relative path, as the default is, leads into the one that somebody
// happens to stand in. With SQLite the database lies beside the key.
func mayMakeMasterKey(cfg config.Config) error {
	_, oneNode := store.SQLiteFile(cfg.Database.URL.Reveal())
	if !oneNode && !filepath.IsAbs(cfg.MasterKeyFile) {
		return fmt.Errorf("there is no file %s, and with PostgreSQL none is made at a path that depends on where "+
			"svcauth is started; make one key for all nodes (umask 077; openssl rand 32 > /etc/svcauth/master.key) "+
			"and name it by its absolute path, or set master_key to what `openssl rand -base64 32` prints",
			absolute(cfg.MasterKeyFile))
	}
	return checkFile(cfg.MasterKeyFile, os.O_RDONLY)
}

// masterKeyLost is the error of a database that has keys already, and no file
// to open them with: a new one would open none of them.
func masterKeyLost(cfg config.Config) error {
	return ofKey("master_key_file", fmt.Errorf("there is no file %s, but this database's keys are sealed: "+
		"put the master key there that belongs to it (of another node, or of your backup), or name its file; "+
		"a new one would open nothing", absolute(cfg.MasterKeyFile)))
}

// masterKeyPlace says where the master key is, for people.
func masterKeyPlace(cfg config.Config) string {
	if cfg.MasterKey != "" {
		return "master_key of the configuration"
	}
	return absolute(cfg.MasterKeyFile)
}

// absolute returns the path from the root, so that it is known wherever it is
// read.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// keyringConfig returns what the configuration says of the keys.
func keyringConfig(cfg config.Config, db *store.Store, master, previous []byte) keyring.Config {
	return keyring.Config{Store: db, MasterKey: master, PreviousMasterKey: previous,
		Algorithm:   cfg.Token.SigningAlgorithm,
		RotateEvery: cfg.Keys.RotateEvery, PublishBefore: cfg.Keys.PublishBefore}
}

func masterKeyFile(path string, create bool) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && create {
		if err := makeMasterKey(path); err != nil {
			return nil, fmt.Errorf("can't be made: %w", err)
		}
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, cannotRead(path, err)
	}
	if len(raw) != masterKeySize {
		return nil, fmt.Errorf("%s holds %d bytes; expected exactly 32", path, len(raw))
	}
	return raw, nil
}

// makeMasterKey makes the file, or leaves the one that another process has made
// meanwhile. Under its name the file is there whole or not at all, so processes
// that start at once all read the same key. It is on disk before anything is
// sealed with it.
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
	fresh := make([]byte, masterKeySize)
	_, _ = rand.Read(fresh)
	_, err = file.Write(fresh)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	// A rename would replace the key of another process.
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w (on a file system without hard links, make the file yourself: 32 random bytes)", err)
	}
	if opened, err := os.Open(dir); err == nil {
		_ = opened.Sync() // not every system can sync a directory
		_ = opened.Close()
	}
	return nil
}
