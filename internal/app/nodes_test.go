package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
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
	_, err := p.one.App.Access.RotateSigningKeys(access.WithActor(t.Context(), operator))
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

// process is the real program, that can be killed.
type process struct {
	t       *testing.T
	binary  string
	environ []string
	address string
	running *exec.Cmd
	output  *bytes.Buffer
}

func newProcess(t *testing.T, database, redis string) *process {
	t.Helper()
	needs.Service(t, "real services")
	dir := t.TempDir()
	p := &process{t: t, binary: filepath.Join(dir, "svcauth")}
	out, err := exec.Command("go", "build", "-o", p.binary, "github.com/svcauth/svcauth/cmd/svcauth").CombinedOutput()
	require.NoError(t, err, string(out))
	p.address = freeport.Address(t)
	p.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SVCAUTH_DATABASE_URL=" + database,
		"SVCAUTH_REDIS_URL=" + redis, "SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"),
		"SVCAUTH_ISSUER=http://" + p.address, "SVCAUTH_LISTEN=" + p.address, "SVCAUTH_OPS_LISTEN="}
	return p
}

func (p *process) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.binary, args...)
	cmd.Dir, cmd.Env = filepath.Dir(p.binary), p.environ
	return cmd
}

func (p *process) serve() {
	p.t.Helper()
	p.running, p.output = p.command("serve"), &bytes.Buffer{}
	p.running.Stdout, p.running.Stderr = p.output, p.output
	p.running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(p.t, p.running.Start())
	cmd := p.running
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(p.t, func() bool {
		resp, err := http.Get("http://" + p.address + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == 200
	}, patience, 20*time.Millisecond)
}

func (p *process) kill() {
	require.NoError(p.t, p.running.Process.Kill())
	_ = p.running.Wait()
}

// post gives status and body; 0 where the process was gone.
func (p *process) post(path, id, secret string, form url.Values) (int, map[string]any) {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.address+path, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&body)
	return resp.StatusCode, body
}

// A revocation is durable before it is acknowledged: kill -9 of the node, and
// of Redis with it, brings no revoked token back.
func TestKilledRightAfterTheAnswer(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			redis := ""
			var server *redistest.Server
			if name == "postgres" {
				server = redistest.Start(t)
				redis = server.URL()
			}
			p := newProcess(t, database(t), redis)
			raw, err := p.command("bootstrap", "-o", "json").Output()
			require.NoError(t, err)
			var made struct {
				Key struct {
					ID     string `json:"client_id"`
					Secret string `json:"client_secret"`
				} `json:"application_key"`
			}
			require.NoError(t, json.Unmarshal(raw, &made))
			var dead, alive []string
			for range 4 {
				p.serve()
				for range 3 {
					status, body := p.post("/oauth2/token", made.Key.ID, made.Key.Secret,
						url.Values{"grant_type": {"client_credentials"}})
					require.Equal(t, 200, status)
					alive = append(alive, body["access_token"].(string))
				}
				last := alive[len(alive)-1]
				status, _ := p.post("/oauth2/revoke", made.Key.ID, made.Key.Secret, url.Values{"token": {last}})
				p.kill() // with the answer barely read
				require.Equal(t, 200, status)
				dead, alive = append(dead, last), alive[:len(alive)-1]
				if server != nil {
					server.Flush()
				}
			}
			p.serve()
			for want, tokens := range map[bool][]string{false: dead, true: alive} {
				for _, token := range tokens {
					status, body := p.post("/oauth2/introspect", made.Key.ID, made.Key.Secret,
						url.Values{"token": {token}})
					require.Equal(t, 200, status)
					require.Equal(t, want, body["active"])
				}
			}
			p.kill() // what it has written is whole only then
			require.NotContains(t, p.output.String(), made.Key.Secret)
		})
	}
}
