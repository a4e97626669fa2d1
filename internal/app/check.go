package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/telemetry"
)

// CheckConfig calls refuse with what [New] and [App.Run] would refuse of a
// value. It reads the values by the same functions as they do. It contacts
// nobody. What it makes to try whether it can, an empty file or a listener, is
// gone when it returns.
func CheckConfig(cfg config.Config, refuse func(key string, err error)) {
	refuseAll := func(err error) {
		for _, one := range keyErrors(err) {
			refuse(one.key, one.err)
		}
	}
	refuse("database.url", store.CheckURL(cfg.Database.URL.Reveal()))
	if path, ok := store.SQLiteFile(cfg.Database.URL.Reveal()); ok {
		refuse("database.url", checkFile(path, os.O_RDWR))
	}
	refuse("redis.url", cache.CheckURL(cfg.Redis.URL.Reveal()))
	_, _, err := redisTLS(cfg.Redis)
	refuseAll(err)
	_, err = federationRoots(cfg.Federation)
	refuseAll(err)
	refuseAll(checkMasterKeys(cfg))
	refuseAll(checkListeners(cfg))
	_, err = maxConnections(cfg)
	refuseAll(err)
	if cfg.TLS.CertFile != "" {
		_, err := (&certificate{section: "tls", certFile: cfg.TLS.CertFile, keyFile: cfg.TLS.KeyFile}).get(nil)
		refuseAll(err)
	}
	_, err = clientAuthorities(cfg.TLS.ClientCAFile)
	refuse("tls.client_ca_file", err)
	if cfg.Console.Enabled {
		_, err := readOIDC(cfg.OIDC)
		refuseAll(err)
	}
	if cfg.SMTP.URL != "" {
		_, err := newMailer(cfg.SMTP, 1, nil, nil)
		refuseAll(err)
	}
	if trust, _, err := otlpTLS(cfg.OTLP); err != nil {
		refuseAll(err)
	} else if _, shutdown, err := telemetry.StartTracing(context.Background(), cfg.OTLP.Endpoint, trust,
		""); err != nil {
		refuse("otlp.endpoint", err)
	} else {
		_ = shutdown(context.Background()) // no trace has begun
	}
	_, err = config.LoadCatalog(cfg.CatalogFile, cfg.Issuer)
	refuse("catalog_file", err)
	_, err = blocklist(cfg.Passwords.BlocklistFile)
	refuse("passwords.blocklist_file", err)
}

// keyError is what is wrong with the value of one key of the configuration.
type keyError struct {
	key string
	err error
}

// Error returns the key and what is wrong with its value.
func (k keyError) Error() string { return k.key + ": " + k.err.Error() }

// Unwrap returns the error without its key.
func (k keyError) Unwrap() error { return k.err }

// ofKey returns err as an error of the value of key, or nil if err is nil.
func ofKey(key string, err error) error {
	if err == nil {
		return nil
	}
	return keyError{key, err}
}

// keyErrors takes joined errors apart.
func keyErrors(err error) []keyError {
	if one := (keyError{}); errors.As(err, &one) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			var all []keyError
			for _, part := range joined.Unwrap() {
				all = append(all, keyErrors(part)...)
			}
			return all
		}
		return []keyError{one}
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	return raw, nil
}

// cannotRead says that a file can't be read and names it once: an error of the
// file system names it too.
func cannotRead(path string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("can't read the file %s: %w", path, err)
}

// checkFile returns an error unless a file can be opened with the flag or, if
// it is not there, can be made with its directories.
func checkFile(path string, flag int) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, flag, 0)
	if err == nil {
		info, err := file.Stat()
		_ = file.Close()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a directory; expected a file", path)
		}
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("can't be used: %w", err)
	}
	dir := filepath.Dir(path)
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s can't be made: %s is no directory", path, dir)
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		break
	}
	try, err := os.CreateTemp(dir, ".svcauth-check-*")
	if err != nil {
		return fmt.Errorf("%s can't be made: %w", path, err)
	}
	return errors.Join(try.Close(), os.Remove(try.Name()))
}

// checkListeners listens for a moment on each address, as the server will. An
// address that is in use passes: the server that runs now uses it.
func checkListeners(cfg config.Config) error {
	return errors.Join(ofKey("listen", canListen(cfg.Listen)), ofKey("ops.listen", canListen(cfg.Ops.Listen)),
		ofKey("tls.mtls_listen", canListen(cfg.TLS.MTLSListen)))
}

func canListen(address string) error {
	if err := CheckFree(address); !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return nil
}

// CheckPorts returns an error unless this process could listen on all addresses
// of the configuration now. It is for what is about to: a check beside a server
// finds them taken by that.
func CheckPorts(cfg config.Config) error {
	return errors.Join(ofKey("listen", CheckFree(cfg.Listen)), ofKey("ops.listen", CheckFree(cfg.Ops.Listen)),
		ofKey("tls.mtls_listen", CheckFree(cfg.TLS.MTLSListen)))
}

// CheckFree returns an error unless this process could listen on an address
// now. It passes an empty one.
func CheckFree(address string) error {
	if address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("can't be used: %w", err)
	}
	return listener.Close()
}
