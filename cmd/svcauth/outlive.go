package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

var errHangup = errors.New("the terminal is gone (SIGHUP)")

// outlive keeps a server alive through two signals that would end it at once,
// with requests in work and without a log line. SIGPIPE comes if the program
// that reads its log has gone. SIGHUP makes other servers reload their
// configuration. If a server on a terminal loses the terminal, it stops in good
// order, for nobody could stop it afterwards. release undoes outlive.
func outlive(ctx context.Context, logger *slog.Logger, onTerminal bool) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	// Handled, not ignored: programs that this one starts would inherit an
	// ignored signal.
	signal.Notify(signals, syscall.SIGPIPE, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case got := <-signals:
				if got != syscall.SIGHUP {
					continue // the log counts what it could not write
				}
				if onTerminal {
					cancel(errHangup)
					return
				}
				logger.Warn("SIGHUP changes nothing: a renewed certificate is read by itself; " +
					"for a changed configuration or catalogue, restart this node (SIGTERM)")
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
