package verify

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const far = 2_000_000_000

// An entry that another one makes superfluous goes, in whichever order the two
// come; what is younger stays.
func TestCoveredEntriesAreForgotten(t *testing.T) {
	client := func(r svcauth.Revocation) svcauth.Revocation {
		r.ClientID, r.OrgID, r.Exp = "sa_1", "org_1", far
		return r
	}
	for name, c := range map[string]struct {
		covered, younger []svcauth.Revocation
		by               svcauth.Revocation
	}{
		"a client's": {
			covered: []svcauth.Revocation{client(svcauth.Revocation{JTI: "a", Epoch: 4}),
				client(svcauth.Revocation{Cred: "b", Epoch: 4}),
				client(svcauth.Revocation{Role: "R", MinEpoch: 5})},
			younger: []svcauth.Revocation{client(svcauth.Revocation{JTI: "c", Epoch: 5}),
				client(svcauth.Revocation{Cred: "d", Epoch: 5}),
				client(svcauth.Revocation{Role: "S", MinEpoch: 6}), {JTI: "unknown client's", Exp: far},
				{ClientID: "sa_1", JTI: "longer", Epoch: 4, Exp: far + 1}},
			by: client(svcauth.Revocation{MinEpoch: 5}),
		},
		"an organization's": {
			covered: []svcauth.Revocation{client(svcauth.Revocation{JTI: "a", Pol: 6}),
				client(svcauth.Revocation{Cred: "b", Pol: 6}),
				client(svcauth.Revocation{Role: "R", MinEpoch: 5, Pol: 6}),
				client(svcauth.Revocation{MinEpoch: 3, Pol: 6}),
				{OrgID: "org_1", Role: "R", MinPol: 7, Exp: far},
				{OrgID: "org_1", Role: "S", Privilege: "p:q", MinPol: 6, Exp: far}},
			younger: []svcauth.Revocation{{ClientID: "sa_2", OrgID: "org_1", JTI: "c", Pol: 7, Exp: far},
				{OrgID: "org_1", Role: "T", MinPol: 8, Exp: far},
				{ClientID: "sa_3", OrgID: "org_2", JTI: "d", Exp: far},
				{OrgID: "org_2", Role: "R", MinPol: 1, Exp: far}},
			by: svcauth.Revocation{OrgID: "org_1", MinPol: 7, Exp: far},
		},
		"a role's": {
			covered: []svcauth.Revocation{{OrgID: "org_1", Role: "R", Privilege: "p:q", MinPol: 7, Exp: far},
				{OrgID: "org_1", Role: "R", MinPol: 2, Exp: far}},
			younger: []svcauth.Revocation{{OrgID: "org_1", Role: "S", Privilege: "p:q", MinPol: 7, Exp: far},
				{OrgID: "org_1", Role: "R", Privilege: "p:r", MinPol: 8, Exp: far}},
			by: svcauth.Revocation{OrgID: "org_1", Role: "R", MinPol: 7, Exp: far},
		},
	} {
		t.Run(name, func(t *testing.T) {
			after, before := NewRevocationSet(), NewRevocationSet()
			after.Add(c.covered...)
			after.Add(c.younger...)
			after.Add(c.by)
			before.Add(c.by)
			generation := before.generation.Load()
			before.Add(c.covered...)
			require.Equal(t, generation, before.generation.Load(), "nothing new")
			before.Add(c.younger...)
			for _, s := range []*RevocationSet{after, before} {
				require.Equal(t, len(c.younger)+1, s.Len())
				for _, jti := range []string{"c", "d"} {
					for _, claims := range []Claims{{JTI: jti, ClientID: "sa_1", OrgID: "org_1", Epoch: 5, Policy: 9},
						{JTI: jti, ClientID: "sa_2", OrgID: "org_1", Policy: 9},
						{JTI: jti, ClientID: "sa_3", OrgID: "org_2", Policy: 9}} {
						_, revoked := s.Revoked(&claims)
						want := false
						for _, r := range c.younger {
							want = want || r.JTI == jti && r.ClientID == claims.ClientID
						}
						require.Equal(t, want, revoked, "%+v", claims)
					}
				}
				s.Expire(time.Now())
				require.Equal(t, len(c.younger)+1, s.Len(), "none has expired")
			}
		})
	}
}

// A set that follows a client which revokes without end holds no more than the
// server keeps of it.
func TestOneClientsRevocationsDoNotAddUp(t *testing.T) {
	s := NewRevocationSet()
	for epoch := range int64(50) {
		for i := range 1000 {
			s.Add(svcauth.Revocation{ClientID: "sa_1", OrgID: "org_1", JTI: fmt.Sprint(epoch, "-", i),
				Epoch: epoch, Exp: far})
		}
		require.LessOrEqual(t, s.Len(), 1001)
		s.Add(svcauth.Revocation{ClientID: "sa_1", OrgID: "org_1", MinEpoch: epoch + 1, Epoch: epoch + 1, Exp: far})
		require.Equal(t, 1, s.Len())
	}
}

// While rules come that take the place of single entries, no check finds a
// revoked token live.
func TestNoRevokedTokenIsLiveWhileItsEntryIsReplaced(t *testing.T) {
	s := NewRevocationSet()
	var current atomic.Int64
	current.Store(-1)
	done := make(chan struct{})
	var checks sync.WaitGroup
	for range 4 {
		checks.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				n := current.Load()
				if n < 0 {
					continue
				}
				_, revoked := s.Revoked(&Claims{JTI: fmt.Sprint(n), ClientID: "sa_1", OrgID: "org_1",
					Epoch: n, Policy: n})
				if !revoked {
					t.Errorf("token %d is live", n)
					return
				}
			}
		})
	}
	for n := range int64(20_000) {
		s.Add(svcauth.Revocation{ClientID: "sa_1", OrgID: "org_1", JTI: fmt.Sprint(n), Epoch: n, Pol: n, Exp: far})
		current.Store(n)
		if n%2 == 0 {
			s.Add(svcauth.Revocation{ClientID: "sa_1", OrgID: "org_1", MinEpoch: n + 1, Epoch: n + 1, Pol: n, Exp: far})
		} else {
			s.Add(svcauth.Revocation{OrgID: "org_1", MinPol: n + 1, Exp: far})
		}
	}
	close(done)
	checks.Wait()
}
