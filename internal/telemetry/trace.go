package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const tracesPath = "/v1/traces" // OTLP/HTTP: the signal's path below the base URL

// StartTracing returns a tracer that sends its spans to the OTLP/HTTP collector
// with the base URL endpoint, in batches from a bounded queue that drops when the
// collector is away. Sampling, headers and time-outs follow the standard OTEL_
// variables. trust is for an https endpoint; nil: the system's authorities. An
// empty endpoint gives a tracer that records nothing and costs nothing. shutdown
// sends what is left, for as long as its context allows.
func StartTracing(ctx context.Context, endpoint string, trust *tls.Config, version string) (tracer trace.Tracer, shutdown func(context.Context) error, err error) {
	if endpoint == "" {
		return noop.NewTracerProvider().Tracer("svcauth"), func(context.Context) error { return nil }, nil
	}
	url := strings.TrimRight(endpoint, "/")
	if !strings.HasSuffix(url, tracesPath) {
		url += tracesPath
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(url)}
	if trust != nil {
		options = append(options, otlptracehttp.WithTLSClientConfig(trust))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("start the export of traces to otlp.endpoint: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", "svcauth"), attribute.String("service.version", version))))
	return provider.Tracer("svcauth", trace.WithInstrumentationVersion(version)), provider.Shutdown, nil
}

// TraceFromHeader puts the caller's span (W3C Trace Context: traceparent, tracestate) into the context, where the header has one that is well-formed.
// Baggage is not taken: strangers write it.
func TraceFromHeader(ctx context.Context, h http.Header) context.Context {
	if h.Get("Traceparent") == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h))
}

// TraceToHeader writes the context's span into the header of an outgoing request.
func TraceToHeader(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}
