package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

const tokenForm = "grant_type=client_credentials"

// start runs svcauth on its own database with some accounts, and a bare server
// that writes as many bytes as its token answer has.
func start(b *testing.B, accounts int, environ ...string) (ours, bare *process) {
	b.Helper()
	dir := b.TempDir()
	environ = append([]string{"SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(dir, "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"),
		"SVCAUTH_LISTEN=127.0.0.1:0", "SVCAUTH_OPS_LISTEN=", "BENCH_LOG=" + filepath.Join(dir,
			"log"), fmt.Sprint("BENCH_ACCOUNTS=", accounts)}, environ...)
	ours = startProcess(b, "svcauth", environ...)
	size := 0
	request := post("/oauth2/token", ours.Accounts[0], tokenForm)
	load(b, ours.Addr, time.Minute, func(n int64) []byte {
		if n > 0 {
			return nil
		}
		return request
	}, func(body []byte) { size = len(body) })
	return ours, startProcess(b, "bare", fmt.Sprint("BENCH_SIZE=", size))
}

// BenchmarkToken is the warm token endpoint: the client is in memory.
func BenchmarkToken(b *testing.B) {
	b.Run("sqlite, in-process cache", func(b *testing.B) {
		ours, bare := start(b, 1)
		request := post("/oauth2/token", ours.Accounts[0], tokenForm)
		against(b, ours, bare, func(int64) []byte { return request })
	})
	b.Run("postgresql and redis", func(b *testing.B) {
		ours, bare := start(b, 1, "SVCAUTH_DATABASE_URL="+pgtest.URL(b), "SVCAUTH_REDIS_URL="+redistest.URL(b))
		request := post("/oauth2/token", ours.Accounts[0], tokenForm)
		against(b, ours, bare, func(int64) []byte { return request })
	})
}

// BenchmarkColdToken asks 2,000 clients in turn while 100 are kept in memory:
// nearly every request reads its client from the database.
func BenchmarkColdToken(b *testing.B) {
	cold := func(b *testing.B, environ ...string) {
		ours, bare := start(b, 2000, append(environ, "SVCAUTH_CACHE_CLIENTS=100")...)
		requests := make([][]byte, len(ours.Accounts))
		for i, account := range ours.Accounts {
			requests[i] = post("/oauth2/token", account, tokenForm)
		}
		against(b, ours, bare, func(n int64) []byte { return requests[n%int64(len(requests))] })
	}
	b.Run("sqlite, in-process cache", func(b *testing.B) { cold(b) })
	b.Run("postgresql and redis", func(b *testing.B) {
		cold(b, "SVCAUTH_DATABASE_URL="+pgtest.URL(b), "SVCAUTH_REDIS_URL="+redistest.URL(b))
	})
}

// BenchmarkIntrospect is introspection of one's own live token.
func BenchmarkIntrospect(b *testing.B) {
	ours, bare := start(b, 1)
	token := tokens(b, ours, 1)[0]
	request := post("/oauth2/introspect", ours.Accounts[0], "token="+token)
	against(b, ours, bare, func(int64) []byte { return request })
}

// BenchmarkRevoke revokes a token of its own with each request. The answer
// waits for the database.
func BenchmarkRevoke(b *testing.B) {
	ours, bare := start(b, 1)
	revoke := func(b *testing.B, f *figure, count int) {
		var requests [][]byte
		for _, token := range tokens(b, ours, count) {
			requests = append(requests, post("/oauth2/revoke", ours.Accounts[0], "token="+token))
		}
		f.add(b, ours, func() int64 {
			return load(b, ours.Addr, time.Minute, func(n int64) []byte {
				if n >= int64(len(requests)) {
					return nil
				}
				return requests[n]
			}, nil)
		})
	}
	bareRequest := post("/oauth2/token", ours.Accounts[0], tokenForm)
	var our, their figure
	for b.Loop() {
		for range rounds {
			revoke(b, &our, 3000)
			their.add(b, bare,
				func() int64 { return load(b, bare.Addr, window, func(int64) []byte { return bareRequest }, nil) })
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(our.cpuEach()/their.cpuEach(), "cpu-ratio")
	b.ReportMetric(our.perSecond()/their.perSecond(), "throughput-ratio")
}

// tokens fetches some from the first account.
func tokens(b *testing.B, p *process, count int) []string {
	b.Helper()
	request := post("/oauth2/token", p.Accounts[0], tokenForm)
	var mu sync.Mutex
	var all []string
	load(b, p.Addr, 5*time.Minute, func(n int64) []byte {
		if n >= int64(count) {
			return nil
		}
		return request
	}, func(body []byte) {
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		if json.NewDecoder(bytes.NewReader(body)).Decode(&answer) == nil {
			mu.Lock()
			all = append(all, answer.AccessToken)
			mu.Unlock()
		}
	})
	require.Len(b, all, count)
	return all
}
