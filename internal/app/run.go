package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxHeader has room for the longest token, and four KiB for all else.
const maxHeader = svcauth.MaxTokenSize + 4<<10

// Run serves until ctx is done. It then goes on for shutdown_delay while
// /readyz answers 503, and lets requests in work end, for at most
// shutdown_grace. listening, if it is not nil, is called with the main
// listener's address once it listens.
func (a *App) Run(ctx context.Context, listening func(net.Addr)) error {
	began := time.Now()
	err := a.recorder.begin(ctx)
	if err == nil {
		err = a.serve(ctx, listening)
		a.recorder.end()
	}
	level, why := slog.LevelInfo, fmt.Sprint(context.Cause(ctx))
	if err != nil {
		level = slog.LevelError
	}
	if ctx.Err() == nil {
		why = "an error"
	}
	a.logger.Log(context.WithoutCancel(ctx), level, "stopped", "why", why, "error", err,
		"uptime", timespan.Text(time.Since(began).Round(time.Millisecond)))
	return err
}

// serve listens, starts what works beside the requests, and waits until all of
// it has ended.
func (a *App) serve(ctx context.Context, listening func(net.Addr)) error {
	if err := a.uses.Load(ctx); err != nil {
		return err
	}
	listener, mutual, err := a.listen()
	if err != nil {
		return err
	}
	main := a.mainServer(mutual)
	opsListener, err := a.listenOps()
	if err != nil {
		return errors.Join(err, listener.Close(), closeListener(mutual))
	}
	main.RegisterOnShutdown(a.feed.Close) // its streams would never end by themselves
	// What works for requests must outlive them. It has a context of its own,
	// which ends when the last request has.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, working := errgroup.WithContext(background)
	for _, run := range a.background() {
		group.Go(func() error { return run(working) })
	}
	group.Go(func() error { return a.ops(working, opsListener) })
	for _, l := range []net.Listener{listener, mutual} {
		group.Go(func() error { return serveOn(main, l) })
	}
	group.Go(func() error {
		defer func() {
			a.recorder.served = a.clock()
			stop()
		}()
		a.untilStopped(ctx, working)
		return a.shutDown(ctx, main)
	})
	a.logStart(listener.Addr())
	if listening != nil {
		listening(listener.Addr())
	}
	debug.FreeOSMemory() // most of the heap is what only the start needed: schemas, templates, a password's hash
	return group.Wait()
}

// background lists what works beside the requests until its context is done.
func (a *App) background() []func(context.Context) error {
	all := []func(context.Context) error{
		a.log.Run, a.cache.Run, a.keyring.Run, a.changes.Run, a.feed.Run,
		a.clientAuth.Run, a.uses.Run, a.refusals.Run, a.Token.Run, a.Access.Run,
		a.recorder.run, a.measure, a.collect, a.housekeep, a.nameDefaultRefused,
	}
	if a.mailer != nil {
		all = append(all, a.mailer.Run)
	}
	return all
}

// untilStopped waits until ctx is done and shutdown_delay has passed, while
// /readyz answers 503. It returns at once if what works beside the requests has
// failed.
func (a *App) untilStopped(ctx, working context.Context) {
	select {
	case <-ctx.Done():
	case <-working.Done():
		return
	}
	a.logger.Info("stopping", "why", fmt.Sprint(context.Cause(ctx)),
		"shutdown_delay", timespan.Text(a.cfg.ShutdownDelay), "shutdown_grace", timespan.Text(a.cfg.ShutdownGrace))
	a.face.Leave()
	select {
	case <-time.After(a.cfg.ShutdownDelay):
	case <-working.Done():
	}
}

// shutDown lets requests in work end, for at most shutdown_grace.
func (a *App) shutDown(ctx context.Context, main *http.Server) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.ShutdownGrace)
	defer cancel()
	if err := main.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("requests were still in work after shutdown_grace: %w", err), main.Close())
	}
	return nil
}

func (a *App) logStart(address net.Addr) {
	a.logger.Info("serving", "version", a.version, "go", runtime.Version(), "issuer", a.cfg.Issuer,
		"listen", address.String(), "tls", a.cfg.TLS.CertFile != "", "mtls_listen", a.cfg.TLS.MTLSListen,
		"ops_listen", a.cfg.Ops.Listen,
		"database", a.cfg.Database.URL.String(), "redis", cmp.Or(a.cfg.Redis.URL.String(), "none, in this process"),
		"master_key", masterKeyPlace(a.cfg), "node", a.node)
}

// serveOn serves until the server is shut down. It returns at once if the
// listener is nil.
func serveOn(server *http.Server, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// closeListener closes a listener. It takes nil.
func closeListener(listener net.Listener) error {
	if listener == nil {
		return nil
	}
	return listener.Close()
}

// ops serves metrics, probes and profiles on a listener of their own, so that a
// node whose main listener is crowded still answers its probes. It returns at
// once if listener is nil.
func (a *App) ops(ctx context.Context, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	mux.HandleFunc("GET /healthz", a.face.Healthz)
	mux.HandleFunc("GET /readyz", a.face.Readyz)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: a.libraries.Logger("net/http")}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve on ops.listen %s: %w", a.cfg.Ops.Listen, err)
	case <-ctx.Done():
		return server.Close()
	}
}

// housekeep deletes each minute the rows that nobody needs any more.
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
