package deploy_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A real Prometheus scrapes a real server as scrape.yaml says, evaluates every
// alert, and answers what every panel of the dashboard asks.
func TestPrometheusUnderstandsItAll(t *testing.T) {
	needs.Service(t, "prometheus")
	ops, web := freeport.Address(t), freeport.Address(t)
	s := svctest.New(t, svctest.Options{Postgres: true, Redis: true, Environ: []string{"SVCAUTH_OPS_LISTEN=" + ops}})
	startPrometheus(t, ops, web)
	account := s.Account("ci", "clusters:view")
	for _, expr := range dashboardQueries(t) {
		require.Eventually(t, func() bool {
			if len(query(t, web, expr)) > 0 {
				return true
			}
			token := s.Token(account.ClientID, account.ClientSecret, "") // something must happen between two scrapes
			s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
			s.Post("/oauth2/token", account.ClientID, svcauth.NewSecret(), // which takes a second
				url.Values{"grant_type": {"client_credentials"}})
			return false
		}, time.Minute, 200*time.Millisecond, "the dashboard asks for %s, and there is no answer", expr)
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	require.Eventually(t, func() bool {
		ask(t, "http://"+web+"/api/v1/rules", &rules)
		for _, group := range rules.Data.Groups {
			for _, rule := range group.Rules {
				require.Empty(t, rule.LastError, rule.Name)
				if rule.Health != "ok" {
					return false // not evaluated yet
				}
			}
		}
		return len(rules.Data.Groups) > 0
	}, time.Minute, 200*time.Millisecond)
}

// startPrometheus runs Prometheus on scrape.yaml, with the server's address
// instead of those in the file, and with shorter intervals.
func startPrometheus(t *testing.T, target, web string) {
	t.Helper()
	rules, err := filepath.Abs("prometheus/alerts.yaml")
	require.NoError(t, err)
	text := read(t, "prometheus/scrape.yaml")
	for from, to := range map[string]string{
		"svcauth-1.internal:9090, svcauth-2.internal:9090": target,
		"scrape_interval: 15s":                             "{scrape_interval: 1s, evaluation_interval: 1s}",
		"alerts.yaml]":                                     rules + "]",
	} {
		require.Contains(t, text, from)
		text = strings.ReplaceAll(text, from, to)
	}
	text = strings.ReplaceAll(text, "global:\n  {", "global: {")
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+web)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			t.Log(read(t, log.Name()))
		}
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + web + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, time.Minute, 100*time.Millisecond)
}

// dashboardQueries are what the panels ask, with the dashboard's variables
// filled in.
func dashboardQueries(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "grafana/dashboard.json")), &dashboard))
	fill := strings.NewReplacer("$__rate_interval", "30s", "$job", "svcauth", "$instance", ".*")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := fill.Replace(target.Expr)
			require.False(t, regexp.MustCompile(`\$\w`).MatchString(expr), "a variable that the test does not know: %s",
				expr)
			all = append(all, expr)
		}
	}
	require.Greater(t, len(all), 20)
	return all
}

func query(t *testing.T, web, expr string) (result []any) {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	ask(t, "http://"+web+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	require.Equal(t, "success", answer.Status, "%s: %s", expr, answer.Error)
	return answer.Data.Result
}

func ask(t *testing.T, address string, into any) {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
}
