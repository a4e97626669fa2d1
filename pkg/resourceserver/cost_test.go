// Not under the race detector, which takes memory and time of its own: memory,
// allocations and time are what is measured here, by one goroutine.

//go:build !race

package resourceserver

import (
	"crypto/ecdsa"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func costVerifier(t testing.TB, remember int) (*Verifier, *signer, *verify.RevocationSet) {
	s, set := newSigner(t), verify.NewRevocationSet()
	v, err := New(Config{Issuer: testIssuer, Audience: testAudience, Keys: s, revocations: set,
		RememberTokens: remember})
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v, s, set
}

// fill adds n revoked tokens as the feed does: in pages.
func fill(set *verify.RevocationSet, n int) { fillClients(set, n, 0) }

// fillClients is fill with clients that have each of the tokens each; 0: whose
// they are is not known.
func fillClients(set *verify.RevocationSet, n, each int) {
	exp := time.Now().Add(time.Hour).Unix()
	page := make([]svcauth.Revocation, 0, 2000)
	for i := range n {
		one := svcauth.Revocation{JTI: fmt.Sprintf("tok_%026d", i), Exp: exp}
		if each > 0 {
			one.ClientID, one.OrgID = fmt.Sprintf("sa_%026d", i/each), fmt.Sprintf("org_%026d", i/20_000)
		}
		page = append(page, one)
		if len(page) == cap(page) || i == n-1 {
			set.Add(page...)
			page = page[:0]
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAMillionRevocationsTakeAtMost100MB(t *testing.T) {
	for _, each := range []int{0, 1000, 100} {
		before := heap()
		set := verify.NewRevocationSet()
		fillClients(set, 1_000_000, each)
		took := heap() - before
		t.Logf("%d tokens a client: %d MB", each, took/1_000_000)
		require.Equal(t, 1_000_000, set.Len())
		require.Less(t, took, int64(100_000_000))
		runtime.KeepAlive(set)
	}
}

func TestAWarmCheckAllocatesNothing(t *testing.T) {
	v, s, set := costVerifier(t, 0)
	fill(set, 1000)
	token := s.token(t, claims(time.Now(), nil), nil)
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	allocations := testing.AllocsPerRun(1000, func() {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, allocations, 0.5) // the pool of buffers may be emptied by a garbage collection
}

// BenchmarkWarm is a check of a remembered token, with nothing and with a
// million entries in the set.
func BenchmarkWarm(b *testing.B) {
	for _, n := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("revocations=%d", n), func(b *testing.B) {
			v, s, set := costVerifier(b, 0)
			fill(set, n)
			token := s.token(b, claims(time.Now(), nil), nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkColdAgainstBare compares the check of a token never seen before,
// with a million entries in the set, with what golang-jwt alone takes to verify
// it. Both run in turn in each round, so that a noisy machine troubles both
// alike. `ratio` is what counts; `revocations-ratio` is that of a million
// entries to none.
func BenchmarkColdAgainstBare(b *testing.B) {
	empty, s, _ := costVerifier(b, -1)
	full, err := New(Config{Issuer: testIssuer, Audience: testAudience, Keys: s, revocations: verify.NewRevocationSet(),
		RememberTokens: -1})
	require.NoError(b, err)
	defer full.Close()
	fill(full.cfg.revocations, 1_000_000)
	token := s.token(b, claims(time.Now(), nil), nil)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(testIssuer),
		jwt.WithAudience(testAudience), jwt.WithExpirationRequired())
	bare := func() {
		var c struct {
			jwt.RegisteredClaims
			ClientID string   `json:"client_id"`
			Scope    string   `json:"scope"`
			Roles    []string `json:"roles"`
			OrgID    string   `json:"org_id"`
		}
		if _, err := parser.ParseWithClaims(token,
			&c, func(*jwt.Token) (any, error) { return (*ecdsa.PublicKey)(&s.key.PublicKey), nil }); err != nil {
			b.Fatal(err)
		}
	}
	ours := func(v *Verifier) func() {
		return func() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	}
	var took [3]time.Duration
	for b.Loop() {
		for i, run := range []func(){bare, ours(empty), ours(full)} {
			began := time.Now()
			for range 20 {
				run()
			}
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[2])/float64(took[0]), "ratio")
	b.ReportMetric(float64(took[2])/float64(took[1]), "revocations-ratio")
}
