// Not under the race detector, which makes what is measured here ten times as
// dear: one goroutine does it all.

//go:build !race

package verify

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A check costs the same whether the organization has no rules or a million.
func TestACheckDoesNotWalkTheRules(t *testing.T) {
	none, many := NewRevocationSet(), NewRevocationSet()
	none.Add(svcauth.Revocation{OrgID: "org_1", Role: "old", MinPol: 1, Exp: far})
	page := make([]svcauth.Revocation, 0, 10_000)
	for i := range 1_000_000 {
		page = append(page, svcauth.Revocation{OrgID: "org_1", Role: fmt.Sprint("old", i), MinPol: 1, Exp: far})
		if len(page) == cap(page) {
			many.Add(page...)
			page = page[:0]
		}
	}
	claims := &Claims{JTI: "t", ClientID: "sa_1", OrgID: "org_1", Roles: []string{"A", "B", "C"}, Scope: "a:b c:d"}
	best := func(s *RevocationSet) time.Duration {
		least := time.Hour
		for range 50 {
			began := time.Now()
			for range 1000 {
				if _, revoked := s.Revoked(claims); revoked {
					t.Fatal("nothing denies it")
				}
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	a, b := best(none), best(many)
	t.Logf("1000 checks: one rule %v, a million %v: %.2f times", a, b, float64(b)/float64(a))
	require.Less(t, b, 20*a)
}
