package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// patience is for what must happen, on a machine that may be slow.
const patience = 60 * time.Second

// pair is two nodes on one PostgreSQL and one Redis of their own, and a client.
type pair struct {
	one, two *svctest.Server
	redis    *redistest.Server
	account  svcauth.ServiceAccount
}

func newPair(t testing.TB) pair {
	t.Helper()
	redis := redistest.Start(t)
	one := svctest.New(t, svctest.Options{Postgres: true, RedisURL: redis.URL()})
	p := pair{one: one, redis: redis, account: one.Account("ci", "clusters:view")}
	p.two = one.Node()
	p.two.Token(p.account.ClientID, p.account.ClientSecret, "") // both know the client by now
	return p
}

func (p pair) token() string { return p.one.Token(p.account.ClientID, p.account.ClientSecret, "") }

func (p pair) activeAt(s *svctest.Server, token string) bool {
	return s.Active(p.account.ClientID, p.account.ClientSecret, token)
}

// untilDead says how long after now the node calls the token dead.
func (p pair) untilDead(t testing.TB, s *svctest.Server, token string) time.Duration {
	t.Helper()
	began := time.Now()
	for p.activeAt(s, token) {
		require.Less(t, time.Since(began), patience, "the token still lives at the other node")
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// kinds are the four kinds of revocation, contract §5, made at node one.
func (p pair) kinds(t testing.TB) map[string]func(token string) {
	ctx, a := p.one.System(), p.one.App.Access
	return map[string]func(string){
		"token": func(token string) {
			require.Equal(t, 200, p.one.Post("/oauth2/revoke", p.account.ClientID, p.account.ClientSecret,
				url.Values{"token": {token}}).Status)
		},
		"client": func(string) { require.NoError(t, a.RevokeTokens(ctx, p.account.ID)) },
		"role": func(string) {
			grants, err := a.ServiceAccountRoles(ctx, p.account.ID, svcauth.ListOptions{})
			require.NoError(t, err)
			none := []string{}
			_, err = a.UpdateRole(ctx, grants.Items[0].RoleID, 0, svcauth.RolePatch{Privileges: &none})
			require.NoError(t, err)
			back := []string{"clusters:view"}
			_, err = a.UpdateRole(ctx, grants.Items[0].RoleID, 0, svcauth.RolePatch{Privileges: &back})
			require.NoError(t, err)
		},
	}
}

// TestRevocationHoldsAtTheOtherNode through Redis, and without it.
func TestRevocationHoldsAtTheOtherNode(t *testing.T) {
	p := newPair(t)
	for _, redis := range []string{"with Redis", "with Redis stopped", "with Redis paused"} {
		switch redis {
		case "with Redis stopped":
			p.redis.Kill()
		case "with Redis paused":
			p.redis.Start()
			p.redis.Pause()
		}
		for kind, revoke := range p.kinds(t) {
			token := p.token()
			require.True(t, p.activeAt(p.two, token))
			revoke(token)
			require.False(t, p.activeAt(p.one, token), "where it was made it holds at once")
			t.Logf("%s, %s: dead at the other node after %v", redis, kind, p.untilDead(t, p.two, token))
			require.True(t, p.activeAt(p.two, p.token()), "what is issued afterwards lives")
		}
	}
	p.redis.Resume()
}

// What a node remembers of a client follows the change log too.
func TestDisabledClientGetsNoTokenAtTheOtherNode(t *testing.T) {
	p := newPair(t)
	grant := url.Values{"grant_type": {"client_credentials"}}
	disabled := true
	_, err := p.one.App.Access.UpdateServiceAccount(p.one.System(), p.account.ID, 0,
		svcauth.ServiceAccountPatch{Disabled: &disabled})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		answer := p.two.Post("/oauth2/token", p.account.ClientID, p.account.ClientSecret, grant)
		if answer.Status == 200 { // minted from memory: born revoked wherever the change has been heard
			key := p.one.Tenant.ApplicationKey // of the administrator, who may look at everybody's
			require.False(t, p.one.Active(key.ClientID, key.ClientSecret, answer.JSON["access_token"].(string)))
		}
		return answer.Status == 401
	}, patience, 5*time.Millisecond)
}

// TestKeysRotateAtBothNodes: each verifies at once what the other has signed
// with the new key.
func TestKeysRotateAtBothNodes(t *testing.T) {
	p := newPair(t)
	before := p.token()
	operator := access.System(p.one.Tenant.Organization.ID)
	operator.Operator = true
	_, err := p.one.App.Access.RotateSigningKeys(access.WithActor(t.Context(), operator), svcauth.KeyRotation{})
	require.NoError(t, err)
	after := p.token()
	require.NotEqual(t, strings.Split(before, ".")[0], strings.Split(after, ".")[0], "another kid")
	require.True(t, p.activeAt(p.two, after), "the next key was published before it signed")
	require.True(t, p.activeAt(p.two, before))
	require.Eventually(t, func() bool {
		return strings.Split(p.two.Token(p.account.ClientID, p.account.ClientSecret, ""),
			".")[0] == strings.Split(after, ".")[0]
	}, patience, 10*time.Millisecond)
}

// Flushed, restarted or away: Redis is a cache, never the ledger.
func TestLossOfRedisBringsNothingBack(t *testing.T) {
	p := newPair(t)
	var dead []string
	alive := p.token()
	check := func(when string) {
		t.Helper()
		for _, node := range []*svctest.Server{p.one, p.two} {
			for _, token := range dead {
				require.False(t, p.activeAt(node, token), when)
			}
			require.True(t, p.activeAt(node, alive), when)
		}
	}
	revoke := func() {
		token := p.token()
		require.Equal(t, 200, p.two.Post("/oauth2/revoke", p.account.ClientID, p.account.ClientSecret,
			url.Values{"token": {token}}).Status)
		p.untilDead(t, p.one, token)
		dead = append(dead, token)
	}
	revoke()
	check("at first")
	p.redis.Flush()
	check("after FLUSHALL")
	revoke()
	p.redis.Kill()
	check("without Redis")
	revoke()
	p.redis.Start()
	check("with Redis back, empty")
	revoke()
	p.two.Stop()
	p.redis.Flush()
	p.two.Start()
	check("after a restart of a node on an empty Redis")
}

// TestManyRevokeAtOnce: each gets its answer, and each answer is true.
func TestManyRevokeAtOnce(t *testing.T) {
	p := newPair(t)
	tokens := make([]string, 40)
	for i := range tokens {
		tokens[i] = p.token()
	}
	var all sync.WaitGroup
	for i, token := range tokens {
		all.Go(func() {
			node := []*svctest.Server{p.one, p.two}[i%2]
			req, err := http.NewRequest(http.MethodPost, node.URL+"/oauth2/revoke",
				strings.NewReader(url.Values{"token": {token}}.Encode()))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(p.account.ClientID, p.account.ClientSecret.Reveal())
			resp, err := node.HTTP.Do(req)
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("%v %v", resp, err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	all.Wait()
	for _, token := range tokens {
		p.untilDead(t, p.one, token)
		p.untilDead(t, p.two, token)
	}
}

// BenchmarkPropagation measures the time from the answer to a revocation until
// it holds at another node.
func BenchmarkPropagation(b *testing.B) {
	for _, redis := range []bool{true, false} {
		name := "redis"
		if !redis {
			name = "database alone"
		}
		b.Run(name, func(b *testing.B) {
			p := newPair(b)
			if !redis {
				p.redis.Kill()
			}
			var total, worst time.Duration
			for b.Loop() {
				token := p.token()
				p.kinds(b)["token"](token)
				d := p.untilDead(b, p.two, token)
				total, worst = total+d, max(worst, d)
			}
			b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/revocation")
			b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
		})
	}
}
