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

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// BenchmarkRevocationReach measures the time from the answer of the revocation endpoint to refusal, at each of 1, 100 and 1,000 resource servers that follow by
// server-sent events over TCP, each with a set of its own (p50, p99), and when all had confirmed it (receipts, p50).
//
// These are absolute times, and server, followers and the one who looks at all followers in turn share this process and what the machine leaves it: `cpu-ms`,
// the processor time of all of them for one revocation and its receipts, and `share`, how many processors they got while it went out, say how to read them.
func BenchmarkRevocationReach(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("followers=%d", n), func(b *testing.B) { benchmarkReach(b, n) })
	}
}

const revocations = 30

func benchmarkReach(b *testing.B, n int) {
	s := svctest.New(b, svctest.Options{Environ: []string{"SVCAUTH_LOG_LEVEL=warn"}})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	sets := followBy(b, s, s.Token(api.ClientID, api.ClientSecret, ""), n)
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
			claims := verify.Claims{JTI: jtiOf(b, token)}
			revoke(token, "")
			answered, used := time.Now(), processorTime(b)
			for waiting := slices.Clone(sets); len(waiting) > 0; time.Sleep(100 * time.Microsecond) {
				waiting = slices.DeleteFunc(waiting, func(set *verify.RevocationSet) bool {
					_, is := set.Revoked(&claims)
					if is {
						reach = append(reach, time.Since(answered))
					}
					return is
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

// followBy starts n resource servers that share a transport and a token, and gives their sets.
func followBy(b *testing.B, s *svctest.Server, token string, n int) []*verify.RevocationSet {
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	b.Cleanup(transport.CloseIdleConnections)
	sets := make([]*verify.RevocationSet, n)
	var starting sync.WaitGroup
	for i := range sets {
		sets[i] = verify.NewRevocationSet()
		v, err := resourceserver.New(resourceserver.Config{Issuer: s.Issuer, Audience: "https://api.cloud.example", HTTPClient: &http.Client{Transport: transport},
			Revocations: sets[i], Feed: &resourceserver.Feed{Token: func(context.Context) (string, error) { return token, nil }}})
		require.NoError(b, err)
		b.Cleanup(func() { _ = v.Close() })
		starting.Go(func() {
			ready, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			require.NoError(b, v.Ready(ready))
		})
	}
	starting.Wait()
	return sets
}

func jtiOf(b *testing.B, token string) string {
	claims := jwt.RegisteredClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(token, &claims)
	require.NoError(b, err)
	return claims.ID
}
