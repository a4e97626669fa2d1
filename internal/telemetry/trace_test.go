package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

func TestNoEndpointNoCost(t *testing.T) {
	tracer, shutdown, err := StartTracing(t.Context(), "", nil, "1")
	require.NoError(t, err)
	_, span := tracer.Start(t.Context(), "x")
	require.False(t, span.IsRecording())
	require.False(t, span.SpanContext().IsValid())
	require.NoError(t, shutdown(t.Context()))
}

func TestSpansReachTheCollectorUnderTheCallersTrace(t *testing.T) {
	type delivery struct{ path, body string }
	got := make(chan delivery, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivery{r.URL.Path, string(body)}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	tracer, shutdown, err := StartTracing(t.Context(), collector.URL+"/", nil, "1.2.3")
	require.NoError(t, err)

	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx := TraceFromHeader(t.Context(), http.Header{
		"Traceparent": {"00-" + traceID + "-00f067aa0ba902b7-01"}, "Baggage": {"k=v"}})
	_, span := tracer.Start(ctx, "token request")
	require.Equal(t, traceID, span.SpanContext().TraceID().String())
	span.End()

	stop, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, shutdown(stop))
	d := <-got
	require.Equal(t, "/v1/traces", d.path)
	for _, want := range []string{"token request", "svcauth", "1.2.3"} {
		require.True(t, strings.Contains(d.body, want), want)
	}
}

func TestMalformedTraceparentIsIgnored(t *testing.T) {
	for _, bad := range []string{"", "x", "00-0-0-01", strings.Repeat("0", 10_000)} {
		ctx := TraceFromHeader(t.Context(), http.Header{"Traceparent": {bad}})
		require.False(t, trace.SpanContextFromContext(ctx).IsValid())
	}
}
