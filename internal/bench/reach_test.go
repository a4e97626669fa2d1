package bench_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// BenchmarkRevocationReach measures the time from the answer of the revocation
// endpoint to refusal, at each of 1, 100 and 1,000 resource servers that follow
// by server-sent events over TCP, each with a set of its own (p50, p99), and
// when all had confirmed it (receipts, p50).
//
// These are absolute times, and server, subscribers and the observer of all
// subscribers in turn share this process and what the machine leaves it:
// `cpu-ms`, the processor time of all of them for one revocation and its
// receipts, and `share`, how many processors they got while it went out, say
// how to read them.
func BenchmarkRevocationReach(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("followers=%d", n), func(b *testing.B) { benchmarkReach(b, n) })
	}
}

const revocations = 30

func benchmarkReach(b *testing.B, n int) {
	s := svctest.New(b, svctest.Options{Environ: []string{"SVCAUTH_LOG_LEVEL=warn"}})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	verifiers := followBy(b, s, s.Token(api.ClientID, api.ClientSecret, ""), n)
	revoke := func(token, query string) svctest.Answer {
		answer := s.Post("/oauth2/revoke"+query, account.ClientID, account.ClientSecret, url.Values{"token": {token}})
		require.Equal(b, 200, answer.Status)
		return answer
	}
	var reach, receipts []time.Duration
	var cpu, wall time.Duration
	for b.Loop() {
		for range revocations {
			token := s.Token(account.ClientID, account.ClientSecret, "")
			for _, v := range verifiers { // so that the token is remembered
				_, err := v.Verify(b.Context(), token)
				require.NoError(b, err)
			}
			revoke(token, "")
			answered, used := time.Now(), processorTime(b)
			for waiting := slices.Clone(verifiers); len(waiting) > 0; time.Sleep(100 * time.Microsecond) {
				waiting = slices.DeleteFunc(waiting, func(v *resourceserver.Verifier) bool {
					_, err := v.Verify(b.Context(), token)
					if err != nil {
						reach = append(reach, time.Since(answered))
					}
					return err != nil
				})
			}
			require.EqualValues(b, n, revoke("unknown", "?wait=10s").JSON["enforced"])
			receipts = append(receipts, time.Since(answered))
			cpu, wall = cpu+processorTime(b)-used, wall+time.Since(answered)
		}
	}
	slices.Sort(reach)
	slices.Sort(receipts)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(reach[len(reach)/2]), "p50-ms")
	b.ReportMetric(ms(reach[len(reach)*99/100]), "p99-ms")
	b.ReportMetric(ms(receipts[len(receipts)/2]), "receipts-ms")
	b.ReportMetric(ms(cpu)/float64(len(receipts)), "cpu-ms")
	b.ReportMetric(float64(cpu)/float64(wall), "share")
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// followBy starts n resource servers that share a transport and a token, and
// returns their verifiers.
func followBy(b *testing.B, s *svctest.Server, token string, n int) []*resourceserver.Verifier {
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	b.Cleanup(transport.CloseIdleConnections)
	verifiers := make([]*resourceserver.Verifier, n)
	var starting sync.WaitGroup
	for i := range verifiers {
		v, err := resourceserver.New(resourceserver.Config{Issuer: s.Issuer, Audience: "https://api.cloud.example",
			HTTPClient: &http.Client{Transport: transport},
			Feed:       &resourceserver.Feed{Token: func(context.Context) (string, error) { return token, nil }}})
		require.NoError(b, err)
		b.Cleanup(func() { _ = v.Close() })
		verifiers[i] = v
		starting.Go(func() {
			ready, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			require.NoError(b, v.Ready(ready))
		})
	}
	starting.Wait()
	return verifiers
}
