package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/request"
)

const (
	// readingBytes is the memory for what is read of requests that are not in
	// work yet: a slow caller's header and body, of all and of one address.
	readingBytes     = 32 << 20
	readingBytesEach = readingBytes / 4
	// connectionShare divides limits.max_connections into what one address may
	// have: more than the subscribers behind one address need.
	connectionShare = 2
	// clientRest is how long a connection waits for its next request. That of a
	// proxy waits longer than proxies keep one (Envoy an hour, Google's ten
	// minutes): if the server closed first, the request that is just being sent
	// would be lost, and no proxy repeats a POST.
	clientRest = 2 * time.Minute
	proxyRest  = 70 * time.Minute
)

// sendBuffer is how much the kernel keeps of an answer that its caller has not
// read yet, in bytes a connection; it doubles that for its own needs. Left
// alone, the kernel lets it grow to megabytes: 2,000 callers that asked for
// pages and did not read them brought all of the machine's TCP to its limit of
// memory, and everybody waited for seconds. The answer with a token has 2 KiB.
const sendBuffer = 64 << 10

// smallWriteBuffer accepts connections that keep little for callers that do not
// read.
type smallWriteBuffer struct{ net.Listener }

// Accept implements net.Listener.
func (l smallWriteBuffer) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // fails only if the connection has ended, which it tells itself
	}
	return conn, err
}

// listen opens the main listener, and that for mutual TLS, which is nil if
// there is none. They share the bounds on connections.
func (a *App) listen() (main, mutual net.Listener, err error) {
	raw := a.listener
	if raw == nil {
		if raw, err = net.Listen("tcp", a.cfg.Listen); err != nil {
			return nil, nil, fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, raw.Close())
		}
	}()
	conns, err := a.bounds()
	if err != nil {
		return nil, nil, err
	}
	if a.cfg.TLS.CertFile == "" {
		return conns.Listen(smallWriteBuffer{raw}, nil), nil, nil
	}
	certificate := &certificate{section: "tls", certFile: a.cfg.TLS.CertFile, keyFile: a.cfg.TLS.KeyFile}
	if _, err := certificate.get(nil); err != nil {
		return nil, nil, err
	}
	a.watchCertificate(certificate)
	if address := a.cfg.TLS.MTLSListen; address != "" {
		second, err := net.Listen("tcp", address)
		if err != nil {
			return nil, nil, fmt.Errorf("listen on tls.mtls_listen %s: %w", address, err)
		}
		mutual = conns.Listen(smallWriteBuffer{second}, mutualTLS(a.serverTLS(certificate)))
	}
	return conns.Listen(smallWriteBuffer{raw}, a.serverTLS(certificate)), mutual, nil
}

// bounds returns what bounds the connections of all listeners but ops.
func (a *App) bounds() (*limits.Conns, error) {
	total, err := maxConnections(a.cfg)
	if err != nil {
		return nil, err
	}
	if wanted := a.cfg.Limits.MaxConnections; total < wanted {
		a.logger.Warn("fewer connections are taken than limits.max_connections says, because this process may have "+
			"no more files open; raise that (ulimit -n, LimitNOFILE=)", "max_connections", wanted, "taken", total)
	}
	bound := limits.ConnBound{Total: total, Each: total / connectionShare,
		TotalBytes: readingBytes, EachBytes: readingBytesEach, Rest: clientRest}
	conns := limits.NewConns(bound, a.proxy, func() { a.metrics.QueueDropped("connections", 1) })
	conns.Form = a.inForm
	return conns, nil
}

// serverTLS returns the TLS of a listener. Each has keys of its own for the
// tickets of its sessions, so that none is resumed at another.
func (a *App) serverTLS(certificate *certificate) *tls.Config {
	return &tls.Config{
		MinVersion:     tlsVersions[a.cfg.TLS.MinVersion],
		CipherSuites:   authenticatedSuites,
		GetCertificate: certificate.get,
		NextProtos:     []string{"http/1.1"},
	}
}

// tlsVersions are the values of tls.min_version.
var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// authenticatedSuites are those of TLS 1.2 that RFC 9325 §4.2 recommends, and
// ChaCha20. Go's default has CBC beside them. Those of TLS 1.3 are fixed.
var authenticatedSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// filesBeside is how many files the server may have open beside the connections
// of its main listener and those to the database: for Redis, probes and
// metrics, mail, traces, and files that are read again.
const filesBeside = 100

// minConnections is the least number with which a server is of use.
const minConnections = 10

// maxConnections returns limits.max_connections, or as many as the system lets
// this process have. With more, strangers that connect would take the files
// that the server needs for the database.
func maxConnections(cfg config.Config) (n int, err error) {
	files, ok := openFiles()
	if !ok {
		return cfg.Limits.MaxConnections, nil
	}
	beside := uint64(cfg.Database.MaxOpenConns + filesBeside)
	if files < beside+minConnections {
		return 0, ofKey("limits.max_connections", fmt.Errorf(
			"can't be had: this process may have only %d files open, and the server needs %d; "+
				"raise that (ulimit -n, LimitNOFILE=) or lower database.max_open_conns",
			files, beside+minConnections))
	}
	return int(min(uint64(cfg.Limits.MaxConnections), files-beside)), nil
}

// listenOps opens the listener for metrics and probes. It returns nil if
// ops.listen is empty.
func (a *App) listenOps() (net.Listener, error) {
	if a.cfg.Ops.Listen == "" {
		return nil, nil //nolint:nilnil // none
	}
	listener, err := net.Listen("tcp", a.cfg.Ops.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on ops.listen %s: %w", a.cfg.Ops.Listen, err)
	}
	return listener, nil
}

// proxy reports whether many clients may come from addr.
func (a *App) proxy(addr netip.Addr) bool {
	return slices.ContainsFunc(a.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// mainServer returns the server of the main listener, and of that for mutual
// TLS, whose requests it marks. A header must come within ten seconds, a whole
// request within twenty.
func (a *App) mainServer(mutual net.Listener) *http.Server {
	handler := a.handler
	if a.cfg.TLS.CertFile != "" {
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.TLS = limits.ConnFrom(r.Context()).TLS() // net/http sees the bounded connection only
			a.handler.ServeHTTP(w, r)
		})
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       proxyRest,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       limits.WithConn,
		BaseContext: func(l net.Listener) context.Context {
			if l == mutual {
				return request.WithMutualTLS(context.Background())
			}
			return context.Background()
		},
		ConnState: connState,
		ErrorLog:  a.libraries.Logger("net/http"),
	}
}

// connState tells the bounds what net/http does with a connection.
func connState(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*limits.Conn)
	switch {
	case !ok:
	case state == http.StateActive:
		c.Work()
	case state == http.StateIdle:
		c.Rest()
	}
}
