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
// with the base URL endpoint. They go in batches from a bounded queue, which
// drops if the collector is away. Sampling, headers and timeouts follow the
// standard OTEL_ variables. trust is for an https endpoint; nil means the
// system's authorities. With an empty endpoint the tracer records nothing and
// costs nothing.
//
// shutdown sends what is left, for as long as its context allows.
func StartTracing(ctx context.Context, endpoint string, trust *tls.Config, version string) (
	tracer trace.Tracer, shutdown func(context.Context) error, err error,
) {
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
	service := resource.NewSchemaless(
		attribute.String("service.name", "svcauth"), attribute.String("service.version", version))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(service))
	return provider.Tracer("svcauth", trace.WithInstrumentationVersion(version)), provider.Shutdown, nil
}

// TraceFromHeader returns a context with the caller's span (W3C Trace Context:
// traceparent, tracestate), or ctx itself if the header has none that is well
// formed. It does not take baggage, which strangers write.
func TraceFromHeader(ctx context.Context, h http.Header) context.Context {
	if h.Get("Traceparent") == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h))
}
