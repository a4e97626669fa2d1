package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// boundLater is a way to demand bound tokens after some have been issued. Kinds
// of tokens are named by what they are bound to.
type boundLater struct {
	name   string
	do     func(p *prover)
	spared []string // the kinds of tokens that live on
	why    string   // in the explanation of one that does not
}

func (p *prover) demandByRole(demanded bool) {
	p.t.Helper()
	_, err := p.Admin().UpdateRole(p.t.Context(), p.account.Roles[0].ID, 0,
		svcauth.RolePatch{RequiresBinding: &demanded}, 0)
	require.NoError(p.t, err)
}

var boundLaters = []boundLater{
	{"any", func(p *prover) { p.rebind("any") }, []string{"dpop", "mtls", "both"}, "token_binding: any"},
	{"dpop", func(p *prover) { p.rebind("dpop") }, []string{"dpop", "both"}, "token_binding: dpop"},
	{"mtls", func(p *prover) { p.rebind("mtls") }, []string{"mtls", "both"}, "token_binding: mtls"},
	{"any, then dpop", func(p *prover) { p.rebind("any"); p.rebind("dpop") }, []string{"dpop", "both"},
		"token_binding: "},
	{"dpop, then mtls", func(p *prover) { p.rebind("dpop"); p.rebind("mtls") }, []string{"both"}, "token_binding: "},
	{"dpop, then none", func(p *prover) { p.rebind("dpop"); p.rebind("none") }, []string{"dpop", "both"},
		"token_binding: dpop"},
	{"the role", func(p *prover) { p.demandByRole(true) }, []string{"dpop", "mtls", "both"}, "requires_binding"},
	{"the role, taken back", func(p *prover) { p.demandByRole(true); p.demandByRole(false) },
		[]string{"dpop", "mtls", "both"}, "requires_binding"},
	{"the role and dpop", func(p *prover) { p.demandByRole(true); p.rebind("dpop") }, []string{"dpop", "both"},
		"token_binding: dpop"},
	{"another role, granted", func(p *prover) {
		role, err := p.Admin().CreateRole(p.t.Context(), svcauth.NewRole{
			Name: "bound, for " + p.account.Name, Privileges: []string{"usual:edit"}, RequiresBinding: true,
		})
		require.NoError(p.t, err)
		_, err = p.Admin().AssignServiceAccountRole(p.t.Context(), p.account.ID, role.ID, svcauth.GrantRequest{})
		require.NoError(p.t, err)
	}, []string{"bearer", "dpop", "mtls", "both"}, ""},
	{"nothing", func(p *prover) { p.rebind("none") }, []string{"bearer", "dpop", "mtls", "both"}, ""},
}

// oneOfEachKind asks for tokens of each kind, and leaves the account without a
// demand, and without a token that a later step has ended.
func (p *prover) oneOfEachKind(m mutual, pair *tls.Certificate) map[string]string {
	p.t.Helper()
	ask := func(at *prover, proofs ...string) string {
		answer := at.ask(tokenEndpoint, nil, proofs...)
		require.Equal(p.t, http.StatusOK, answer.Status, answer.Text)
		return answer.JSON["access_token"].(string)
	}
	shown, tokens := p.at(m.showing(p.t, pair)), map[string]string{}
	p.rebind("mtls")
	tokens["mtls"] = ask(shown)
	tokens["both"] = ask(shown, p.proof("POST", tokenEndpoint, "", ""))
	p.rebind("none")
	tokens["dpop"] = ask(p, p.proof("POST", tokenEndpoint, "", ""))
	tokens["bearer"] = ask(p)
	return tokens
}

// caughtUp waits until each of some resource servers enforces what has happened
// so far: it has confirmed what came after.
func (p *prover) caughtUp(resourceServers int) {
	p.t.Helper()
	last := p.Account("last "+p.Thumbprint()[:8], "usual:view")
	token := p.Token(last.ClientID, last.ClientSecret, "")
	answer := p.Post("/oauth2/revoke?wait=10s", last.ClientID, last.ClientSecret, url.Values{"token": {token}})
	require.EqualValues(p.t, resourceServers, answer.JSON["enforced"], answer.Text)
	require.EqualValues(p.t, resourceServers, answer.JSON["connected"], answer.Text)
}

func revokedAt(v *resourceserver.Verifier, token string) bool {
	_, err := v.Verify(context.Background(), token)
	return errors.Is(err, resourceserver.ErrRevoked)
}

// TestBindingDemandedLater ends the tokens that are out and are not bound as is
// demanded since, of whichever form, and no others: at introspection, in the
// feed and in the list of live tokens. explain says why.
func TestBindingDemandedLater(t *testing.T) {
	shapes := map[string]string{"usual": "{}", "azure": "{preset: azure-apim, scope_claim: permissions}",
		"scp": "{preset: spring, scope_claim: scp, audience_form: array}"}
	catalog := "apis:\n"
	for name, profile := range shapes {
		catalog += fmt.Sprintf("  - {audience: 'https://%s.example', name: %s, profile: %s, privileges: "+
			"[{name: '%s:view', title: View}, {name: '%s:edit', title: Edit}]}\n", name, name, profile, name, name)
	}
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	require.NoError(t, os.WriteFile(file, []byte(catalog), 0o600))
	m := newMutual(t, "SVCAUTH_CATALOG_FILE="+file)
	pair := certtest.SelfSigned(t, nil)
	watcher := m.Account("watcher", svcauth.TokensIntrospect)
	following := map[string]*resourceserver.Verifier{}
	for name := range shapes {
		following[name] = resourceServer(t, m.Server, watcher, func(c *resourceserver.Config) {
			c.Audience, c.AcceptTypJWT = fmt.Sprintf("https://%s.example", name), true
		})
	}
	for name := range shapes {
		for _, demand := range boundLaters {
			t.Run(name+", "+demand.name, func(t *testing.T) {
				p := newProver(t, m.Server, name+":view")
				tokens := p.oneOfEachKind(m, &pair)
				demand.do(p)
				p.caughtUp(len(following))
				for kind, token := range tokens {
					lives := slices.Contains(demand.spared, kind)
					require.Equal(t, lives, m.Active(watcher.ClientID, watcher.ClientSecret, token), kind)
					require.Equal(t, !lives, revokedAt(following[name], token), kind)
					said, err := m.Admin().Explain(t.Context(), svcauth.ExplainRequest{Token: token})
					require.NoError(t, err)
					require.Equal(t, lives, said.Allowed, "%s: %+v", kind, said.Steps)
					if !lives {
						require.Contains(t, fmt.Sprint(said.Steps), demand.why)
					}
				}
				live, err := m.Admin().Tokens(t.Context(), p.account.ID, svcauth.ListOptions{})
				require.NoError(t, err)
				require.Len(t, live.Items, len(demand.spared))
				for _, one := range live.Items {
					said, err := m.Admin().Explain(t.Context(), svcauth.ExplainRequest{JTI: one.JTI})
					require.NoError(t, err)
					require.True(t, said.Allowed, "%+v", said.Steps)
				}
			})
		}
	}
}

// valve passes connections on, or holds back what they carry.
type valve struct {
	address string
	shut    sync.RWMutex
}

func newValve(t *testing.T, to string) *valve {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	v := &valve{address: listener.Addr().String()}
	pass := func(from, to net.Conn) {
		defer to.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			v.shut.RLock()
			if n > 0 {
				_, _ = to.Write(buffer[:n])
			}
			v.shut.RUnlock()
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return v
}

// boundAPI is an API that follows the feed and takes the server's own tokens,
// with proofs of those that are bound.
type boundAPI struct {
	*resourceserver.Verifier
	url string
}

func newBoundAPI(t *testing.T, s *svctest.Server, watcher svcauth.ServiceAccount) boundAPI {
	t.Helper()
	v := resourceServer(t, s, watcher, func(c *resourceserver.Config) { c.Audience = s.Issuer })
	api := httptest.NewServer(v.Require(svcauth.MembersRead)(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })))
	t.Cleanup(api.Close)
	return boundAPI{v, api.URL}
}

// call shows a token to the API, with a proof if it is of type DPoP, and
// returns the status of the answer.
func (a boundAPI) call(p *prover, scheme, token string) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, a.url+"/", nil)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", scheme+" "+token)
	if scheme == "DPoP" {
		proof, err := p.Make(possession.Of{Method: req.Method, URL: a.url + "/", Token: token, Now: time.Now()})
		require.NoError(p.t, err)
		req.Header.Set("DPoP", proof)
	}
	return p.Do(req).Status
}

// TestBindingDemandedLaterAtAnotherNode: a node that hears of nothing, neither
// from the database nor through Redis, goes on issuing tokens that are not
// bound. They are dead wherever the demand was heard of, as all others of
// before that are not bound. Those that are live on.
func TestBindingDemandedLaterAtAnotherNode(t *testing.T) {
	for name, demand := range map[string]func(*prover){
		"account": func(p *prover) { p.rebind("dpop") }, "role": func(p *prover) { p.demandByRole(true) },
	} {
		t.Run(name, func(t *testing.T) {
			redis, database := redistest.Start(t), schema.Postgres(t)
			direct, err := url.Parse(database)
			require.NoError(t, err)
			one := svctest.New(t, svctest.Options{DatabaseURL: database, RedisURL: redis.URL(),
				Impatient: true})
			two, between := one.Node(), newValve(t, direct.Host)
			direct.Host = between.address
			two.Stop()
			two.Set("SVCAUTH_DATABASE_URL=" + direct.String())
			two.Start()
			p := newProver(t, one, svcauth.MembersRead)
			watcher := one.Account("watcher", svcauth.TokensIntrospect)
			api := newBoundAPI(t, one, watcher)
			form := url.Values{"grant_type": {"client_credentials"}, "resource": {one.Issuer}}
			ask := func(at *svctest.Server, proofs ...string) svctest.Answer {
				return p.at(at).ask(tokenEndpoint, form, proofs...)
			}
			last := ask(one).JSON["access_token"].(string)
			require.Equal(t, 200, one.Post("/oauth2/revoke", p.account.ID, p.account.ClientSecret,
				url.Values{"token": {last}}).Status)
			require.Eventually(t, func() bool {
				return !two.Active(p.account.ID, p.account.ClientSecret, last)
			}, 30*time.Second, 10*time.Millisecond, "two has heard of all so far")
			bound := ask(one, p.proof("POST", tokenEndpoint, "", "")).JSON["access_token"].(string)
			before := ask(two).JSON["access_token"].(string) // two remembers the client
			require.Equal(t, 200, one.Get("/v1/me", before).Status)
			active := func(s *svctest.Server, token string) bool {
				answer := s.Post("/oauth2/introspect", watcher.ClientID, watcher.ClientSecret,
					url.Values{"token": {token}})
				return answer.Status != 200 || answer.JSON["active"] == true
			}
			require.True(t, active(two, bound), "two remembers the watcher, too")
			require.Equal(t, 200, api.call(p, "Bearer", before))
			require.Equal(t, 200, api.call(p, "DPoP", bound))

			between.shut.Lock()
			redis.Pause()
			demand(p)
			minted := ask(two)
			require.Equal(t, 200, minted.Status, "two has not heard: %s", minted.Text)
			late := minted.JSON["access_token"].(string)
			for what, token := range map[string]string{"of before": before, "minted late": late} {
				require.False(t, active(one, token), what)
				require.Equal(t, 401, one.Get("/v1/me", token).Status, what)
				require.Eventually(t, func() bool { return api.call(p, "Bearer", token) == 401 }, patience,
					time.Millisecond, what)
				require.True(t, revokedAt(api.Verifier, token), what)
			}
			require.True(t, active(one, bound))
			require.Equal(t, 200, api.call(p, "DPoP", bound))
			require.Equal(t, 400, ask(one).Status, "one asks for a proof")

			redis.Resume() // the announcement comes, the table does not answer
			between.shut.Unlock()
			require.Eventually(t, func() bool {
				return !active(two, late) && !active(two, before) && ask(two).Status == 400
			}, 30*time.Second, 10*time.Millisecond)
			require.True(t, active(two, bound))
			require.Equal(t, 200, ask(two, p.proof("POST", tokenEndpoint, "", "")).Status)
			require.False(t, strings.Contains(two.Log(), "panic"))
		})
	}
}
