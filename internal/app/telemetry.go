package app

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/svcauth/svcauth/internal/server"
	"github.com/svcauth/svcauth/internal/telemetry"
)

// startTracing sends spans to the collector, if one is configured.
func (a *App) startTracing(ctx context.Context, version string) error {
	if a.cfg.OTLP.Endpoint == "" {
		return nil
	}
	trust, err := otlpTLS(a.cfg.OTLP)
	if err != nil {
		return err
	}
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
func (m tokenMetrics) TokenIssued() { m.metrics.Issued() }

// TokenRevoked implements [token.Observer].
func (m tokenMetrics) TokenRevoked() { m.metrics.Revoked("token") }

func (a *App) countRequest(r server.RequestStats) {
	outcome := r.Code
	if outcome == "" {
		outcome = "ok"
	}
	a.metrics.Request(r.Route, r.Method, r.Status, outcome, r.Took)
	if r.Reason != "" && a.tokenRoutes[r.Route] {
		a.metrics.Refused(r.Reason)
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

// recorded returns a function that adds the write of a token's record to the
// trace of the request that issued it. Nobody waits for that write: it begins
// after the answer. It returns nil if nothing is traced, so that nothing is
// remembered of a request either.
func (a *App) recorded() func(trace.SpanContext, time.Time, error) {
	if a.tracer == nil {
		return nil
	}
	return func(from trace.SpanContext, began time.Time, err error) {
		a.span(trace.ContextWithSpanContext(context.Background(), from), "redis record", began, err)
	}
}

func (a *App) span(ctx context.Context, name string, began time.Time, err error) {
	_, span := a.tracer.Start(ctx, name, trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient))
	if err != nil {
		span.SetStatus(codes.Error, "failed") // not the error's text, which nobody has looked through for secrets
	}
	span.End()
}
