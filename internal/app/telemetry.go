package app

import (
	"context"
	"errors"
	"io"
	"log"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/server"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/telemetry"
)

// startTracing sends spans to the collector, if one is configured.
func (a *App) startTracing(ctx context.Context, version string) error {
	if a.cfg.OTLP.Endpoint == "" {
		return nil
	}
	trust, own, err := otlpTLS(a.cfg.OTLP)
	if err != nil {
		return err
	}
	a.watchCertificate(own)
	a.libraries.TakeTraces()
	tracer, shutdown, err := telemetry.StartTracing(ctx, a.cfg.OTLP.Endpoint, trust, version)
	if err != nil {
		return err
	}
	a.tracer = tracer
	a.closers = append(a.closers, func() error {
		last, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := shutdown(last); err != nil {
			a.logger.Warn("the last traces could not be sent", "error", err)
		}
		return nil
	})
	return nil
}

// TakeLibraryLogs has what libraries write by the standard library's logger, in
// the whole process, come out as lines of this server's log.
func (a *App) TakeLibraryLogs() {
	log.SetFlags(0)
	log.SetOutput(a.libraries.Logger("log").Writer())
}

// LogEnd writes to w, in the form of the server's log, why a server that could
// not serve has ended.
func LogEnd(w io.Writer, cfg config.Config, version string, why error) {
	if logger, err := telemetry.NewLogger(w, cfg.Log.Format, cfg.Log.Level); err == nil {
		logger.Error("stopped", "why", "it could not start", "error", why, "version", version)
	}
}

// tokenMetrics counts what package token and clientauth tell.
type tokenMetrics struct{ metrics *telemetry.Metrics }

// ClientLookup implements [clientauth.Observer].
func (m tokenMetrics) ClientLookup(hit bool) {
	if hit {
		m.metrics.CacheHit("clients")
	} else {
		m.metrics.CacheMiss("clients")
	}
}

// TokenIssued implements [token.Observer].
func (m tokenMetrics) TokenIssued(method, bound string) { m.metrics.Issued(method, bound) }

// TokenReused implements [token.Observer].
func (m tokenMetrics) TokenReused() { m.metrics.Reused() }

// TokenRevoked implements [token.Observer].
func (m tokenMetrics) TokenRevoked() { m.metrics.Revoked("token") }

// observer tells the metrics, the traces and the health of a node what its
// parts observe. It implements [store.Observer], [cache.Observer] and
// [server.Observer].
type observer struct{ app *App }

// RequestAnswered counts a request.
func (o observer) RequestAnswered(r server.RequestStats) {
	outcome := r.Code
	if outcome == "" {
		outcome = "ok"
	}
	o.app.metrics.Request(r.Route, r.Method, r.Status, outcome, r.Took)
	if r.Reason != "" && o.app.tokenRoutes[r.Route] {
		o.app.metrics.Refused(r.Reason)
	}
}

// DatabaseCalled records the end of a call to the database. A change whose
// caller went away says nothing of the database, whatever the error is: a
// commit that comes too late finds the transaction rolled back.
func (o observer) DatabaseCalled(ctx context.Context, what string, began time.Time, err error) {
	o.app.called(ctx, "database", what, began, err)
	o.app.outage.record(ctx, err)
	if what == store.CallChange && (err == nil || !errors.Is(ctx.Err(), context.Canceled)) {
		o.app.writes.record(err)
	}
}

// MigrationWaits logs what a migration waits for.
func (o observer) MigrationWaits(because string) {
	o.app.logger.Warn("this node waits to migrate the schema", "because", because)
}

// RedisCalled records the end of a call to Redis.
func (o observer) RedisCalled(ctx context.Context, began time.Time, err error) {
	o.app.called(ctx, "redis", "call", began, err)
}

// QueueDropped counts what a full queue dropped.
func (o observer) QueueDropped(queue string, n int) { o.app.metrics.QueueDropped(queue, n) }

// TokenRecorded adds the write of a token's record to the trace of the request
// that issued it. Nobody waits for that write: it begins after the answer.
func (o observer) TokenRecorded(from trace.SpanContext, began time.Time, err error) {
	if o.app.tracer != nil {
		o.app.span(trace.ContextWithSpanContext(context.Background(), from), "redis record", began, err)
	}
}

// called records one call of a dependency, in the metrics and in the trace of
// the request that it was made for.
func (a *App) called(ctx context.Context, dependency, what string, began time.Time, err error) {
	a.metrics.Dependency(dependency, time.Since(began), err)
	if a.tracer != nil && trace.SpanContextFromContext(ctx).IsValid() {
		a.span(ctx, dependency+" "+what, began, err)
	}
}

func (a *App) span(ctx context.Context, name string, began time.Time, err error) {
	_, span := a.tracer.Start(ctx, name, trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient))
	if err != nil {
		span.SetStatus(codes.Error, "failed") // not the error's text, which nobody has looked through for secrets
	}
	span.End()
}
