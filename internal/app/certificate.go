package app

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	certificateLook = 10 * time.Second // how often its file is looked at
	certificateSay  = time.Hour        // how often the log repeats that it can't be read
)

// certificate reads its files again when they have changed, so that a renewed
// one is served without a restart. While a renewed one can't be read the old
// one serves, and the log says so.
type certificate struct {
	section           string // of the configuration
	certFile, keyFile string

	mu      sync.Mutex
	logger  *slog.Logger // nil: the first reading, whose error is returned
	loaded  *tls.Certificate
	changed time.Time
	looked  time.Time
	problem string    // why the files can't be read; empty if they can
	said    time.Time // when the log said so
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < certificateLook {
		return c.loaded, nil
	}
	return c.look()
}

// look reads the files if they have changed. c.mu is held.
func (c *certificate) look() (*tls.Certificate, error) {
	c.looked = time.Now()
	info, err := os.Stat(c.certFile)
	if err == nil && c.loaded != nil && info.ModTime().Equal(c.changed) && c.problem == "" {
		return c.loaded, nil
	}
	pair, loadErr := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err = cmp.Or(loadErr, err); err != nil {
		if c.loaded == nil {
			return nil, ofKey(c.section+".cert_file", fmt.Errorf("and %s.key_file can't be used: %w", c.section, err))
		}
		c.complain(err)
		return c.loaded, nil
	}
	if c.loaded != nil && c.logger != nil && (c.problem != "" || !info.ModTime().Equal(c.changed)) {
		c.logger.Info("a renewed certificate is in use", "file", c.certFile, "expires", expiryOf(&pair))
	}
	c.loaded, c.changed, c.problem = &pair, info.ModTime(), ""
	return c.loaded, nil
}

// complain logs why the files can't be read, once and then now and again. A
// renewal that is half written is read whole the next time. c.mu is held.
func (c *certificate) complain(err error) {
	now := time.Now()
	if c.logger == nil || err.Error() == c.problem && now.Sub(c.said) < certificateSay {
		return
	}
	c.problem, c.said = err.Error(), now
	c.logger.Warn("a renewed certificate can't be read; the one that was read before goes on serving",
		"section", c.section, "cert_file", c.certFile, "key_file", c.keyFile,
		"expires", expiryOf(c.loaded), "error", err)
}

// watch has the log say from now on what becomes of renewals.
func (c *certificate) watch(logger *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logger = logger
}

// expiry looks at the files, and returns when the certificate in use ends.
func (c *certificate) expiry() (time.Time, error) {
	loaded, err := c.get(nil)
	if err != nil {
		return time.Time{}, err
	}
	if at := expiryOf(loaded); !at.IsZero() {
		return at, nil
	}
	return time.Time{}, errors.New("the certificate can't be parsed")
}

// expiryOf returns when the first of a chain ends: the zero time if it can't be
// parsed.
func expiryOf(pair *tls.Certificate) time.Time {
	leaf := pair.Leaf
	if leaf == nil && len(pair.Certificate) > 0 {
		leaf, _ = x509.ParseCertificate(pair.Certificate[0])
	}
	if leaf == nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// watchCertificate has the log and the metrics tell of a certificate. It takes
// nil.
func (a *App) watchCertificate(c *certificate) {
	if c != nil {
		c.watch(a.logger)
		a.certificates = append(a.certificates, c)
		a.measureCertificates()
	}
}

// measureCertificates looks at the files of all certificates, so that a renewal
// that can't be read is noticed though nobody connects, and says when they end.
func (a *App) measureCertificates() {
	for _, c := range a.certificates {
		if at, err := c.expiry(); err == nil {
			a.metrics.CertificateExpires(c.section, at)
		}
	}
}
