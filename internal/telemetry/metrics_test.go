package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func scrape(t *testing.T, m *Metrics) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	res, err := http.Get(server.URL)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	require.NoError(t, err)
	return string(body), families
}

// exercise calls every method once.
func exercise(m *Metrics) {
	m.DeclareRoutes("/oauth2/token", "/v1/roles/:id")
	m.DeclareAuthMethods("client_secret_basic")
	m.Requests(func() int { return 1 }, 2000)
	m.Pool("database", func() Pool { return Pool{InUse: 3, Idle: 2, Max: 20, Waits: 7} })
	m.Operations("redis", func() map[string]error { return map[string]error{"read": nil, "write": errors.New("OOM")} })
	m.Request("/oauth2/token", "POST", 200, "ok", 3*time.Millisecond)
	m.Request("/oauth2/token", "POST", 401, "invalid_client", time.Millisecond)
	m.Issued("client_secret_basic", "")
	m.Refused("wrong_secret")
	m.Revoked("role")
	m.RevocationPropagated(20 * time.Millisecond)
	m.CacheHit("clients")
	m.CacheMiss("clients")
	m.KeyAge("RS256", "active", time.Hour)
	m.QueueDropped("feed", 3)
	m.Dependency("redis", time.Millisecond, errors.New("down"))
	m.Dependency("database", time.Millisecond, nil)
	m.Dependency("database", time.Millisecond, fmt.Errorf("read: %w", context.Canceled))
	m.CredentialsExpiring("key", 4)
	m.FeedSubscribers(12)
	m.FeedLag(1500 * time.Millisecond)
}

func TestMetricsSayWhatHappened(t *testing.T) {
	m := NewMetrics("1.2.3")
	exercise(m)
	text, families := scrape(t, m)
	for _, line := range []string{
		`svcauth_http_requests_total{method="POST",outcome="ok",route="/oauth2/token",status="2xx"} 1`,
		`svcauth_http_requests_total{method="POST",outcome="invalid_client",route="/oauth2/token",status="4xx"} 1`,
		`svcauth_http_request_duration_seconds_count{route="/oauth2/token"} 2`,
		`svcauth_http_requests_in_flight 1`,
		`svcauth_tokens_issued_total{auth_method="client_secret_basic"} 1`,
		`svcauth_token_requests_refused_total{reason="wrong_secret"} 1`,
		`svcauth_token_requests_refused_total{reason="other"} 0`,
		`svcauth_revocations_total{kind="role"} 1`,
		`svcauth_revocation_propagation_seconds_bucket{le="0.01"} 0`,
		`svcauth_revocation_propagation_seconds_bucket{le="0.025"} 1`,
		`svcauth_cache_lookups_total{cache="clients",result="hit"} 1`,
		`svcauth_cache_lookups_total{cache="clients",result="miss"} 1`,
		`svcauth_signing_key_age_seconds{algorithm="RS256",state="active"} 3600`,
		`svcauth_signing_key_age_seconds{algorithm="ES256",state="active"} 0`,
		`svcauth_queue_dropped_total{queue="feed"} 3`,
		`svcauth_dependency_errors_total{dependency="redis"} 1`,
		`svcauth_dependency_errors_total{dependency="database"} 0`,
		`svcauth_dependency_operation_duration_seconds_count{dependency="database"} 2`,
		`svcauth_dependency_operation_failing{dependency="redis",operation="read"} 0`,
		`svcauth_dependency_operation_failing{dependency="redis",operation="write"} 1`,
		`svcauth_credentials_expiring_soon{kind="key"} 4`,
		`svcauth_feed_followers 12`,
		`svcauth_feed_lag_seconds 1.5`,
	} {
		require.Contains(t, text, "\n"+line+"\n")
	}
	require.Contains(t, text, `svcauth_build_info{goversion="go`)
	require.Contains(t, text, `version="1.2.3"`)
	require.Contains(t, families, "go_goroutines")
}

func TestPromtoolFindsNothingToBlame(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is not installed")
		}
		t.Skip("promtool is not installed")
	}
	m := NewMetrics("1")
	exercise(m)
	text, _ := scrape(t, m)
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	out, err := check.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, strings.TrimSpace(string(out)))
}

func seriesOf(families map[string]*dto.MetricFamily) (n int) {
	for name, family := range families {
		if strings.HasPrefix(name, "svcauth_") {
			n += len(family.GetMetric())
		}
	}
	return n
}

func TestHostileValuesMakeNoSeries(t *testing.T) {
	m := NewMetrics("1")
	feed := func(value string, status int) {
		m.Request(value, value, status, value, time.Millisecond)
		m.Refused(value)
		m.Revoked(value)
		m.CacheHit(value)
		m.CacheMiss(value)
		m.KeyAge(value, "active", time.Hour)
		m.KeyAge("RS256", value, time.Hour)
		m.QueueDropped(value, 1)
		m.Dependency(value, time.Millisecond, errors.New(value))
	}
	for class := range 6 { // "other" in each class of status
		feed("first", class*100)
	}
	_, before := scrape(t, m)
	for i := range 3000 {
		feed(fmt.Sprintf("/v1/roles/%d\"\n{x=\"\xff", i), i-1000)
	}
	text, after := scrape(t, m)
	require.Equal(t, seriesOf(before), seriesOf(after))
	require.NotContains(t, text, "/v1/roles/")
	require.Contains(t, text, `svcauth_token_requests_refused_total{reason="other"} 3006`)
	require.LessOrEqual(t, len(after["svcauth_http_requests_total"].GetMetric()), 6)
}

func TestHotMethodsAllocateNothing(t *testing.T) {
	m := NewMetrics("1")
	exercise(m)
	failed := errors.New("down")
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		m.Request("/oauth2/token", "POST", 200, "ok", time.Millisecond)
		m.Request("/unknown", "BREW", 999, "odd", time.Millisecond)
		m.Issued("client_secret_basic", "")
		m.Refused("wrong_secret")
		m.Refused("never heard of")
		m.CacheHit("clients")
		m.CacheMiss("clients")
		m.Dependency("redis", time.Millisecond, failed)
		m.QueueDropped("feed", 1)
	}))
}

func TestCountingFromMany(t *testing.T) {
	m := NewMetrics("1")
	var all sync.WaitGroup
	for g := range 8 {
		m.DeclareRoutes(fmt.Sprintf("/r%d", g))
	}
	for g := range 8 {
		all.Go(func() {
			for i := range 300 {
				m.Request(fmt.Sprintf("/r%d", g), "GET", 200, outcomes[i%len(outcomes)], time.Millisecond)
			}
		})
	}
	all.Wait()
	_, families := scrape(t, m)
	var sum float64
	for _, metric := range families["svcauth_http_requests_total"].GetMetric() {
		sum += metric.GetCounter().GetValue()
	}
	require.InDelta(t, 2400, sum, 0)
}
