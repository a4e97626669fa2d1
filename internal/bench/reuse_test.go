package bench_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// BenchmarkReusedToken is a caller that fetches a token per request. Its
// metrics are processor time of all processes that serve, Redis and PostgreSQL
// included, in what a fresh token takes: reused-ratio of a token that is given
// out again (token.reuse), and floor-ratio of a bare handler that reads the
// form and writes a fixed answer as long, which net/http and the kernel take
// whatever the server does. used-ratio is of the token and its one check at a
// resource server, which has seen a reused one before: in those of a fresh one.
func BenchmarkReusedToken(b *testing.B) {
	b.Run("sqlite, in-process cache", func(b *testing.B) {
		reusedToken(b, &machinery{}, nil, nil)
	})
	b.Run("postgresql and redis", func(b *testing.B) {
		m := newMachinery(b)
		node := func(prefix string) []string {
			return []string{"SVCAUTH_DATABASE_URL=" + m.postgres.NewDatabase(),
				"SVCAUTH_REDIS_URL=" + m.redis.URL(), "SVCAUTH_REDIS_PREFIX=" + prefix}
		}
		reusedToken(b, m, node("reused:"), node("fresh:"))
	})
}

// reusedToken runs the three in turn, for half a window each, so that what else
// the machine does meets all of them.
func reusedToken(b *testing.B, m *machinery, ofReused, ofFresh []string) {
	b.Helper()
	issuer := "SVCAUTH_ISSUER=" + benchIssuer
	again, bare := start(b, 1, append(ofReused, issuer, "SVCAUTH_TOKEN_REUSE=20m")...)
	each, _ := start(b, 1, append(ofFresh, issuer)...)
	var reused, fresh, floor spent
	round := func() {
		reused.add(b, m, again, post("/oauth2/token", again.Accounts[0], tokenForm))
		fresh.add(b, m, each, post("/oauth2/token", each.Accounts[0], tokenForm))
		floor.add(b, m, bare, post(floorPath, again.Accounts[0], tokenForm))
	}
	round() // warm up
	reused, fresh, floor = spent{}, spent{}, spent{}
	for b.Loop() {
		for range 4 * rounds {
			round()
		}
	}
	b.Logf("reused: %s", reused.cost())
	b.Logf("fresh: %s", fresh.cost())
	b.Logf("floor: %s", floor.cost())
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(reused.cost().all()/fresh.cost().all(), "reused-ratio")
	b.ReportMetric(floor.cost().all()/fresh.cost().all(), "floor-ratio")
	b.ReportMetric(reused.perSecond()/fresh.perSecond(), "throughput-ratio")
	unseen, seen := checks(b, each)
	b.Logf("a resource server takes %.1f µs for a token that it has not seen, %.1f µs for one that it has",
		unseen, seen)
	b.ReportMetric((reused.cost().all()+seen)/(fresh.cost().all()+unseen), "used-ratio")
}

// checks returns the processor time in microseconds that a resource server
// takes to verify a token that it has not seen, and one that it has.
func checks(b *testing.B, p *process) (unseen, seen float64) {
	b.Helper()
	const count = 4000
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", p.Addr) // whatever the issuer is called
	}
	v, err := resourceserver.New(resourceserver.Config{Issuer: benchIssuer, Audience: "https://api.cloud.example",
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}}})
	require.NoError(b, err)
	defer func() { _ = v.Close() }()
	verify := func(all []string) float64 {
		began := processorTime(b)
		for _, token := range all {
			_, err := v.Verify(b.Context(), token)
			require.NoError(b, err)
		}
		return (processorTime(b) - began).Seconds() * 1e6 / float64(len(all))
	}
	all := tokens(b, p, 2*count)
	verify(all[:count]) // warm up
	return verify(all[count:]), verify(all[count:])
}

// spent is what a process spent on its load, and the stores beside it.
type spent struct {
	figure
	postgres, redis time.Duration
}

func (s *spent) add(b *testing.B, m *machinery, p *process, request []byte) {
	b.Helper()
	stores := func() (postgres, redis time.Duration) {
		if m.postgres == nil {
			return 0, 0
		}
		return m.postgres.ProcessorTime(), m.redisTime(b)
	}
	postgres, redis := stores()
	s.figure.add(b, p, func() int64 {
		return load(b, p.Addr, window/2, func(int64) []byte { return request }, nil)
	})
	after, afterRedis := stores()
	s.postgres, s.redis = s.postgres+after-postgres, s.redis+afterRedis-redis
}

func (s *spent) cost() cost {
	each := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(s.requests) }
	return cost{each(s.cpu), each(s.postgres), each(s.redis), s.requests, s.perSecond()}
}
