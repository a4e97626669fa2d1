package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// Run serves until ctx is done, then lets requests in work end, for at most shutdown_grace. listening, where not nil, is called with the main
// listener's address once it listens.
func (a *App) Run(ctx context.Context, listening func(net.Addr)) error {
	listener, err := a.listen()
	if err != nil {
		return err
	}
	main := &http.Server{Handler: a.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	main.RegisterOnShutdown(a.feed.Close) // its streams would never end by themselves
	// What works for requests must outlive them: it has a context of its own, which ends when the last request has.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, working := errgroup.WithContext(background)
	for _, run := range []func(context.Context) error{a.log.Run, a.cache.Run, a.keyring.Run, a.follower.Run, a.feed.Run, a.Token.Run, a.Access.Run, a.measure, a.housekeep} {
		group.Go(func() error { return run(working) })
	}
	if a.mailer != nil {
		group.Go(func() error { return a.mailer.Run(working) })
	}
	group.Go(func() error { return a.ops(working) })
	group.Go(func() error {
		if err := main.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		defer stop()
		select {
		case <-ctx.Done():
		case <-working.Done():
		}
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.ShutdownGrace)
		defer cancel()
		if err := main.Shutdown(grace); err != nil {
			return errors.Join(fmt.Errorf("requests were still in work after shutdown_grace: %w", err), main.Close())
		}
		return nil
	})
	if listening != nil {
		listening(listener.Addr())
	}
	debug.FreeOSMemory() // what only the start needed (schemas, templates, a password's hash) is most of the heap: a node at rest is small
	return group.Wait()
}

func (a *App) listen() (net.Listener, error) {
	listener := a.listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", a.cfg.Listen); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
		}
	}
	listener = netutil.LimitListener(listener, a.cfg.Limits.MaxConnections)
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

// ops serves metrics and profiles, apart from the public.
func (a *App) ops(ctx context.Context) error {
	if a.cfg.Ops.Listen == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Addr: a.cfg.Ops.Listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.ListenAndServe() }()
	select {
	case err := <-done:
		return fmt.Errorf("listen on ops.listen %s: %w", a.cfg.Ops.Listen, err)
	case <-ctx.Done():
		return server.Close()
	}
}

// housekeep deletes rows that nobody needs any more, in small portions.
func (a *App) housekeep(ctx context.Context) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		if err := a.sweep(ctx); err != nil && ctx.Err() == nil {
			a.logger.Warn("expired rows could not be deleted; tried again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
