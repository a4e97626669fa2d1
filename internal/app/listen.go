package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// sendBuffer is what the kernel keeps of an answer that its caller has not read yet, in bytes a connection; it doubles it for its own needs. Left alone, the kernel lets it
// grow to megabytes: 2,000 callers who ask for pages and do not read them had brought all of the machine's TCP to its limit of memory, and everybody waited for seconds.
// A token's answer has 2 KiB.
const sendBuffer = 64 << 10

// modest accepts connections that keep little for callers who do not read.
type modest struct{ net.Listener }

// Accept is of net.Listener.
func (m modest) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if tcp, is := conn.(*net.TCPConn); is {
		_ = tcp.SetWriteBuffer(sendBuffer) // a connection that has ended already says so itself
	}
	return conn, err
}

func (a *App) listen() (net.Listener, error) {
	listener := a.listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", a.cfg.Listen); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
		}
	}
	listener = netutil.LimitListener(modest{listener}, a.cfg.Limits.MaxConnections)
	if a.cfg.TLS.CertFile == "" {
		return listener, nil
	}
	certificate := &certificate{certFile: a.cfg.TLS.CertFile, keyFile: a.cfg.TLS.KeyFile}
	if _, err := certificate.get(nil); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get, NextProtos: []string{"http/1.1"}}), nil
}

// certificate reads the files again when they have changed, so that a renewed one is served without a restart.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	loaded  *tls.Certificate
	changed time.Time
	looked  time.Time
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < 10*time.Second {
		return c.loaded, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.certFile)
	if err == nil && c.loaded != nil && info.ModTime().Equal(c.changed) {
		return c.loaded, nil
	}
	pair, loadErr := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err = errors.Join(err, loadErr); err != nil {
		if c.loaded != nil {
			return c.loaded, nil // half-written files: the old one still serves
		}
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	c.loaded, c.changed = &pair, info.ModTime()
	return c.loaded, nil
}
