package bench_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// answer is an http.ResponseWriter that keeps nothing but the status.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
func (a *answer) WriteHeader(status int)      { a.status = status }

// BenchmarkAllocations counts what one warm token request allocates, from the
// router to the written answer, against the bare handler. Both sign.
func BenchmarkAllocations(b *testing.B) {
	s := svctest.New(b, svctest.Options{})
	account := s.Account("bench", "clusters:view", "clusters:edit")
	bare, err := bareHandler(800)
	require.NoError(b, err)
	count := func(h http.Handler) float64 {
		call := func() {
			req := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(tokenForm))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
			w := &answer{header: http.Header{}}
			h.ServeHTTP(w, req)
			if w.status != 0 && w.status != http.StatusOK {
				b.Fatalf("answered %d", w.status)
			}
		}
		call()
		return testing.AllocsPerRun(1000, call)
	}
	var ours, theirs float64
	for b.Loop() {
		ours, theirs = count(s.App.Handler()), count(bare)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours, "allocs")
	b.ReportMetric(theirs, "bare-allocs")
}
