package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// BenchmarkRevocationReach measures the time from the answer of the revocation
// endpoint to refusal, at each of 1, 100 and 1,000 resource servers that follow
// by server-sent events over TCP, each with a set of its own (p50, p99). Then
// it revokes one token more with ?wait=, which is answered when all have
// confirmed it (waited, p50).
//
// First it revokes one token at a time, each after a rest, then 1,000 that are
// asked for on 16 connections at once: the times of such a burst are those of
// its last revocation, and all-ms is how long all of it took.
//
// These are absolute times. The server is a process of its own; the subscribers
// share this one with whoever observes a hundred of them in turn, once a
// millisecond: to observe a thousand took a fifth of all processor time.
// `server-ms` and `subscribers-ms` are the processor time of the two for one
// revocation, or one burst, and what follows within 0.3 seconds;
// `waited-server-ms` and `waited-subscribers-ms` are that for the one that is
// waited for. `share` is how many processors they got meanwhile. What the
// revoking itself costs the server is in the lines of one subscriber.
func BenchmarkRevocationReach(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			r := newReach(b, n)
			b.Run("single", func(b *testing.B) { r.measure(b, 20, 1) })
			b.Run("burst", func(b *testing.B) { r.measure(b, 3, 1000) })
		})
	}
}

// reach is a server, and the resource servers that follow it.
type reach struct {
	server    *process
	transport *http.Transport
	verifiers []*resourceserver.Verifier
}

func newReach(b *testing.B, n int) *reach {
	dir, address := b.TempDir(), freeport.Address(b)
	issuer := "http://" + address
	r := &reach{transport: &http.Transport{MaxIdleConnsPerHost: n + connections}}
	r.server = startProcess(b, "svcauth", "SVCAUTH_DATABASE_URL=sqlite://"+filepath.Join(dir, "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE="+filepath.Join(dir, "master.key"), "SVCAUTH_ISSUER="+issuer,
		"SVCAUTH_LISTEN="+address, "SVCAUTH_OPS_LISTEN=", "BENCH_LOG="+filepath.Join(dir, "log"),
		fmt.Sprint("BENCH_ACCOUNTS=", 1+revokers), privilegesVariable+"=clusters:view "+svcauth.TokensIntrospect)
	var token string // the subscribers'
	r.post(b, 1, func(int64) []byte {
		return post("/oauth2/token", r.server.Accounts[0], tokenForm+"&resource="+issuer)
	}, func(body []byte) { token = accessToken(body) })
	b.Cleanup(r.transport.CloseIdleConnections)
	var starting sync.WaitGroup
	for range n {
		v, err := resourceserver.New(resourceserver.Config{Issuer: issuer, Audience: "https://api.cloud.example",
			HTTPClient: &http.Client{Transport: r.transport},
			Feed:       &resourceserver.Feed{Token: func(context.Context) (string, error) { return token, nil }}})
		require.NoError(b, err)
		b.Cleanup(func() { _ = v.Close() })
		r.verifiers = append(r.verifiers, v)
		starting.Go(func() {
			ready, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			require.NoError(b, v.Ready(ready))
		})
	}
	starting.Wait()
	return r
}

// post sends some requests, on some connections at once.
func (r *reach) post(b *testing.B, count int, request func(n int64) []byte, seen func(body []byte)) {
	load(b, r.server.Addr, time.Minute, func(n int64) []byte {
		if n >= int64(count) {
			return nil
		}
		return request(n)
	}, seen)
}

func accessToken(body []byte) string {
	var given struct {
		AccessToken string `json:"access_token"`
	}
	_ = json.Unmarshal(body, &given)
	return given.AccessToken
}

// revokers is how many accounts revoke tokens of theirs. One alone may not
// revoke as many as are measured.
const revokers = 50

func (r *reach) revoker(n int64) credential { return r.server.Accounts[1+n%revokers] }

// tokens fetches tokens of the accounts that revoke them, in turn.
func (r *reach) tokens(b *testing.B, count int) (all []string) {
	for n := range int64(count) {
		r.post(b, 1, func(int64) []byte {
			return post("/oauth2/token", r.revoker(n), tokenForm+"&scope=clusters:view")
		}, func(body []byte) { all = append(all, accessToken(body)) })
	}
	return all
}

// settle is how long what follows a revocation belongs to it.
const settle = 300 * time.Millisecond

// expense is what something cost the two processes.
type expense struct{ server, subscribers, wall time.Duration }

func (e *expense) of(b *testing.B, server *process, what func()) {
	before, own, began := server.cpu(b), processorTime(b), time.Now()
	what()
	e.server += server.cpu(b) - before
	e.subscribers += processorTime(b) - own
	e.wall += time.Since(began)
}

// measure revokes some tokens at once, some times.
func (r *reach) measure(b *testing.B, rounds, atOnce int) {
	var reached, waited []time.Duration
	var took time.Duration
	var spent, spentWaiting expense
	for b.Loop() {
		for range rounds {
			tokens := r.tokens(b, atOnce+1)
			for _, v := range r.verifiers { // so that the last one is remembered
				_, err := v.Verify(b.Context(), tokens[atOnce-1])
				require.NoError(b, err)
			}
			runtime.GC() // theirs is one heap: alone, none would wait for what another one collects
			time.Sleep(time.Second)
			spent.of(b, r.server, func() {
				began := time.Now()
				reached = append(reached, r.revoke(b, tokens[:atOnce])...)
				took += time.Since(began)
				time.Sleep(settle)
			})
			spentWaiting.of(b, r.server, func() {
				began := time.Now()
				r.revokeAndWait(b, r.revoker(int64(atOnce)), tokens[atOnce])
				waited = append(waited, time.Since(began))
			})
		}
	}
	slices.Sort(reached)
	slices.Sort(waited)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	each := func(d time.Duration) float64 { return ms(d) / float64(len(waited)) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(reached[len(reached)/2]), "p50-ms")
	b.ReportMetric(ms(reached[len(reached)*99/100]), "p99-ms")
	b.ReportMetric(each(took), "all-ms")
	b.ReportMetric(ms(waited[len(waited)/2]), "waited-ms")
	b.ReportMetric(each(spent.server), "server-ms")
	b.ReportMetric(each(spent.subscribers), "subscribers-ms")
	b.ReportMetric(each(spentWaiting.server), "waited-server-ms")
	b.ReportMetric(each(spentWaiting.subscribers), "waited-subscribers-ms")
	b.ReportMetric(float64(spent.server+spent.subscribers)/float64(spent.wall), "share")
}

// observed is how many resource servers are observed.
const observed = 100

// revoke revokes tokens and returns how long after the last answer those
// resource servers that are observed refused the last token. It waits until all
// do.
func (r *reach) revoke(b *testing.B, tokens []string) (reached []time.Duration) {
	refused := func(v *resourceserver.Verifier) bool {
		_, err := v.Verify(b.Context(), tokens[len(tokens)-1])
		return err != nil
	}
	var waiting []*resourceserver.Verifier
	for i := range min(observed, len(r.verifiers)) {
		waiting = append(waiting, r.verifiers[i*len(r.verifiers)/min(observed, len(r.verifiers))])
	}
	r.post(b, len(tokens), func(n int64) []byte {
		return post("/oauth2/revoke", r.revoker(n), "token="+tokens[n])
	}, nil)
	answered := time.Now()
	for ; len(waiting) > 0; time.Sleep(time.Millisecond) {
		waiting = slices.DeleteFunc(waiting, func(v *resourceserver.Verifier) bool {
			if !refused(v) {
				return false
			}
			reached = append(reached, time.Since(answered))
			return true
		})
	}
	for rest := slices.Clone(r.verifiers); len(rest) > 0; time.Sleep(time.Millisecond) {
		rest = slices.DeleteFunc(rest, refused)
	}
	return reached
}

func (r *reach) revokeAndWait(b *testing.B, by credential, token string) {
	var stands svcauth.Enforcement
	r.post(b, 1, func(int64) []byte {
		return post("/oauth2/revoke?wait=10s", by, "token="+token)
	}, func(body []byte) { require.NoError(b, json.Unmarshal(body, &stands)) })
	require.Equal(b, len(r.verifiers), stands.Enforced, "%+v", stands)
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
