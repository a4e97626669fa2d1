// Not under the race detector: internal/telemetry itself is tested under the
// race detector; here requests come one by one.

//go:build !race

package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// traces is an OTLP collector that keeps what it is sent.
type traces struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
}

func collect(t *testing.T) *traces {
	c := &traces{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			var unpacked *gzip.Reader
			if unpacked, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, err = io.ReadAll(unpacked)
			}
		}
		var export collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &export) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range export.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func TestATokenRequestIsTracedDownToTheDatabase(t *testing.T) {
	c := collect(t)
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_OTLP_ENDPOINT=" + c.URL,
		"SVCAUTH_TRUSTED_PROXIES=127.0.0.1", "SVCAUTH_OTLP_TRUST_PARENT=true"}})
	account := s.Account("ci", "clusters:view")
	req, err := http.NewRequest(http.MethodPost, s.URL+"/oauth2/token",
		strings.NewReader("grant_type=client_credentials"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
	require.Equal(t, 200, s.Do(req).Status)
	s.Stop() // sends what is left

	c.mu.Lock()
	defer c.mu.Unlock()
	var request, query *tracepb.Span
	for _, span := range c.spans {
		switch {
		case hex.EncodeToString(span.TraceId) != "0af7651916cd43dd8448eb211c80319c":
		case span.Name == "POST /oauth2/token":
			request = span
		case span.Name == "database query":
			query = span
		}
	}
	require.NotNil(t, request, "the request is a span of the caller's trace")
	require.NotNil(t, query, "the client was read from the database")
	require.Equal(t, request.SpanId, query.ParentSpanId)
	require.Contains(t, s.Log(), `"trace_id":"0af7651916cd43dd8448eb211c80319c"`)
}

// Strangers can't have a request traced that the operator does not sample,
// whatever their traceparent says. What is traced all the same is linked to
// theirs.
func TestStrangersDoNotDecideWhatIsTraced(t *testing.T) {
	const theirs = "0af7651916cd43dd8448eb211c80319c"
	for name, environ := range map[string][]string{
		"no proxy":                     nil,
		"through a proxy":              {"SVCAUTH_TRUSTED_PROXIES=127.0.0.1"},
		"past a proxy that is trusted": {"SVCAUTH_TRUSTED_PROXIES=192.0.2.1", "SVCAUTH_OTLP_TRUST_PARENT=true"},
	} {
		t.Run(name, func(t *testing.T) {
			spans := func(ratio string) []*tracepb.Span {
				t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
				t.Setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
				c := collect(t)
				s := svctest.New(t, svctest.Options{Environ: append([]string{"SVCAUTH_OTLP_ENDPOINT=" + c.URL},
					environ...)})
				req, err := http.NewRequest(http.MethodGet, s.URL+"/oauth2/token", nil)
				require.NoError(t, err)
				req.Header.Set("Traceparent", "00-"+theirs+"-b7ad6b7169203331-01")
				require.Equal(t, 405, s.Do(req).Status)
				s.Stop()
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.spans
			}
			require.Empty(t, spans("0"))
			linked := false
			for _, span := range spans("1") {
				require.NotEqual(t, theirs, hex.EncodeToString(span.TraceId))
				linked = linked || len(span.Links) == 1 && hex.EncodeToString(span.Links[0].TraceId) == theirs
			}
			require.True(t, linked)
		})
	}
}

// The record of a token is written to Redis after the answer, and stands in the
// trace of the request all the same. Without Redis, or without a sampled trace,
// it does not.
func TestATokenRequestIsTracedToRedis(t *testing.T) {
	c := collect(t)
	s := svctest.New(t, svctest.Options{Redis: true,
		Environ: []string{"SVCAUTH_OTLP_ENDPOINT=" + c.URL, "SVCAUTH_TRUSTED_PROXIES=127.0.0.1",
			"SVCAUTH_OTLP_TRUST_PARENT=true"}})
	account := s.Account("ci", "clusters:view")
	for _, parent := range []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-11111111111111111111111111111111-b7ad6b7169203331-00"} {
		req, err := http.NewRequest(http.MethodPost, s.URL+"/oauth2/token",
			strings.NewReader("grant_type=client_credentials"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Traceparent", parent)
		req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
		require.Equal(t, 200, s.Do(req).Status)
	}
	s.Stop()

	c.mu.Lock()
	defer c.mu.Unlock()
	var request, record *tracepb.Span
	for _, span := range c.spans {
		require.NotEqual(t, "11111111111111111111111111111111", hex.EncodeToString(span.TraceId),
			"what the caller does not sample is not sent")
		if hex.EncodeToString(span.TraceId) == "0af7651916cd43dd8448eb211c80319c" {
			switch span.Name {
			case "POST /oauth2/token":
				request = span
			case "redis record":
				record = span
			}
		}
	}
	require.NotNil(t, request)
	if !needs.All() {
		require.Nil(t, record)
		return
	}
	require.NotNil(t, record, "the record was written to Redis")
	require.Equal(t, request.SpanId, record.ParentSpanId)
	require.Greater(t, record.EndTimeUnixNano, record.StartTimeUnixNano)
	require.Equal(t, tracepb.Status_STATUS_CODE_UNSET, record.Status.GetCode())
}

// A server that has worked shows the metrics of the dashboard and the alerts,
// and promtool reads them as Prometheus would.
func TestMetricsAreCompleteAndWellFormed(t *testing.T) {
	ops := freeport.Address(t)
	s := svctest.New(t, svctest.Options{Redis: true, Environ: []string{"SVCAUTH_OPS_LISTEN=" + ops}})
	account := s.Account("ci", "clusters:view")
	token := s.Token(account.ClientID, account.ClientSecret, "")
	require.Equal(t, 200, s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret,
		url.Values{"token": {token}}).Status)
	require.Equal(t, 401, s.Post("/oauth2/token", account.ClientID, svcauth.NewSecret(),
		url.Values{"grant_type": {"client_credentials"}}).Status)
	disabled := true
	_, err := s.App.Access.UpdateServiceAccount(s.System(), account.ID, 0,
		svcauth.ServiceAccountPatch{Disabled: &disabled})
	require.NoError(t, err)

	text := svctest.Metrics(t, ops, func(text string) bool {
		return strings.Contains(text, `svcauth_signing_key_age_seconds{algorithm="ES256",state="active"}`) &&
			!strings.Contains(text, "svcauth_revocation_propagation_seconds_count 0")
	})
	for _, line := range []string{
		`svcauth_tokens_issued_total{auth_method="client_secret_basic"} 1`,
		`svcauth_http_requests_total{method="POST",outcome="ok",route="/oauth2/token",status="2xx"} 1`,
		`svcauth_http_requests_total{method="POST",outcome="invalid_client",route="/oauth2/token",status="4xx"} 1`,
		`svcauth_token_requests_refused_total{reason="wrong_secret"} 1`,
		`svcauth_revocations_total{kind="token"} 1`,
		`svcauth_revocations_total{kind="client"} 1`,
		`svcauth_http_requests_in_flight 0`,
		`svcauth_http_requests_in_flight_max 2000`,
		`svcauth_dependency_connections_max{dependency="database"}`,
		`svcauth_dependency_connections{dependency="database",state="in_use"}`,
		`svcauth_dependency_connection_waits_total{dependency="database"}`,
		`svcauth_credentials_expiring_soon{kind="federated_credential"} 0`,
		`svcauth_queue_dropped_total{queue="token_records"} 0`,
		`svcauth_cache_lookups_total{cache="clients",result="hit"}`,
		`svcauth_dependency_operation_duration_seconds_count{dependency="redis"}`,
		`svcauth_feed_followers 0`,
	} {
		require.Contains(t, text, line)
	}
	require.NotContains(t, text, account.ClientID)
	if needs.All() {
		check := exec.Command("promtool", "check", "metrics")
		check.Stdin = strings.NewReader(text)
		out, err := check.CombinedOutput()
		require.NoError(t, err, "promtool: %s", out)
	}
}
