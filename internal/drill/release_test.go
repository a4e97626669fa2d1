package drill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// release is the programs of one commit.
type release struct{ revision, svcauth, exampleAPI string }

// releaseBefore builds the release before this one from git: the commit that
// SVCAUTH_RELEASE_BEFORE names, else the newest tag before the last commit,
// else, as long as there is no tag, the last commit itself.
func releaseBefore(t *testing.T) release {
	t.Helper()
	root, err := moduleRoot()
	require.NoError(t, err)
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	revision := os.Getenv("SVCAUTH_RELEASE_BEFORE")
	if revision == "" {
		if revision, err = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"); err != nil {
			revision = "HEAD"
		}
	}
	commit, err := git("rev-parse", "--verify", revision+"^{commit}")
	require.NoError(t, err, "%s is no commit of this repository; a shallow clone lacks tags: "+
		"git fetch --tags --unshallow", revision)
	t.Logf("the release before is %s, %s", revision, commit)
	if strings.HasPrefix(revision, "v") {
		keepsMigrations(t, root, git, commit)
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	_, err = git("archive", "--format=tar", "--output="+archive, commit)
	require.NoError(t, err)
	source := filepath.Join(dir, "source")
	require.NoError(t, os.Mkdir(source, 0o755))
	out, err := exec.CommandContext(t.Context(), "tar", "-C", source, "-xf", archive).CombinedOutput()
	require.NoError(t, err, "%s", out)
	r := release{revision, filepath.Join(dir, "svcauth"), filepath.Join(dir, "example-api")}
	compile := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version=before", "-o", dir+"/",
		"./cmd/svcauth", "./cmd/example-api")
	compile.Dir, compile.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	out, err = compile.CombinedOutput()
	require.NoError(t, err, "build %s: %s", revision, out)
	require.NoError(t, os.RemoveAll(source))
	return r
}

// keepsMigrations checks that this tree has the migrations of a release as they
// were, and that those of its own come after them.
func keepsMigrations(t *testing.T, root string, git func(...string) (string, error), commit string) {
	t.Helper()
	const dir = "internal/store/migrations/"
	listed, err := git("ls-tree", "--name-only", commit, dir)
	require.NoError(t, err)
	names := strings.Fields(listed)
	for _, name := range names {
		then, err := git("show", commit+":"+name)
		require.NoError(t, err)
		now, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.Equal(t, then, strings.TrimSpace(string(now)), "%s was released, and must stay as it is", name)
	}
	all, err := filepath.Glob(filepath.Join(root, dir, "*.sql"))
	require.NoError(t, err)
	last := filepath.Base(names[len(names)-1])
	for _, path := range all {
		if name := filepath.Base(path); !slices.Contains(names, dir+name) {
			require.Greater(t, name, last, "a migration must come after those that were released")
		}
	}
}

// TestTheReleaseBeforeRunsBesideThisOne follows deploy/docs/upgrade.md under
// load: the schema first, then node by node, one release back, and forward
// again. In between, what one release issued or revoked counts at the other,
// and the resource server and the command line of the release before go on.
func TestTheReleaseBeforeRunsBesideThisOne(t *testing.T) {
	if !full() && os.Getenv("SVCAUTH_UPGRADE") != "1" {
		t.Skip("make drill and make upgrade run it")
	}
	before := releaseBefore(t)
	now, err := program()
	require.NoError(t, err)
	s := newStackOf(t, before.svcauth, 2, pgtest.Start(t, pgtest.Config{}).NewDatabase(), redistest.URL(t), manyWrong)
	restart := func(n *node, path string) {
		n.stop()
		n.path = path
		n.start()
		n.awaitReady()
	}
	s.listen()
	api := s.startAPI(before)
	sides := func() {
		s.counts(s.nodes[0], s.nodes[1])
		s.counts(s.nodes[1], s.nodes[0])
		api.counts(s)
		s.commandLine(before, now)
	}
	drillUnder(s, newLoad(s), nil, []fault{
		{name: "schema of this release, old nodes", held: 3 * time.Second, late: withRedis, begin: func() {
			migrate := exec.CommandContext(t.Context(), now, "migrate")
			migrate.Env, migrate.Dir = s.nodes[0].environ, t.TempDir()
			out, err := migrate.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}, end: sides},
		{name: "one node of this release", held: 3 * time.Second, late: cutOff,
			begin: func() { restart(s.nodes[0], now) }, end: sides},
		{name: "back to the release before", held: 3 * time.Second, late: cutOff,
			begin: func() { restart(s.nodes[0], before.svcauth) }, end: sides},
		{name: "both nodes of this release", held: 3 * time.Second, late: cutOff,
			begin: func() { restart(s.nodes[0], now) }, end: func() {
				restart(s.nodes[1], now)
				sides()
			}},
	})
}

// counts checks that a token of one node counts at the other, and that its
// revocation at the other is known at the first.
func (s *stack) counts(one, other *node) {
	s.t.Helper()
	ctx := s.t.Context()
	a, err := s.admin.CreateServiceAccount(ctx,
		svcauth.NewServiceAccount{Name: "both ways " + svcauth.NewID("x"), RoleIDs: []string{s.role.ID}})
	require.NoError(s.t, err)
	text := s.tokenOf(one, a)
	for i, n := range s.nodes {
		require.Equal(s.t, true, s.ask(n, "/oauth2/introspect", a, url.Values{"token": {text}})["active"])
		_, err := s.verifiers[i].Verify(ctx, text)
		require.NoError(s.t, err)
	}
	s.ask(other, "/oauth2/revoke", a, url.Values{"token": {text}})
	require.Eventually(s.t, func() bool {
		for i, n := range s.nodes {
			_, err := s.verifiers[i].Verify(ctx, text)
			if err == nil || s.ask(n, "/oauth2/introspect", a, url.Values{"token": {text}})["active"] != false {
				return false
			}
		}
		return true
	}, cutOff, 10*time.Millisecond, "revoked at one release, a token lives on at the other")
}

func (s *stack) tokenOf(n *node, a svcauth.ServiceAccount) string {
	s.t.Helper()
	text, ok := s.ask(n, "/oauth2/token", a, url.Values{"grant_type": {"client_credentials"}})["access_token"].(string)
	require.True(s.t, ok)
	return text
}

// ask sends a form to one node as a client, and returns what it answers.
func (s *stack) ask(n *node, path string, a svcauth.ServiceAccount, form url.Values) map[string]any {
	s.t.Helper()
	l := load{stack: s}
	status, body, err := l.post(s.t.Context(), n.client, path, a, form)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, status, "%s: %v", path, body)
	return body
}

// listen makes the issuer's address lead to the front, for programs that are
// not ours to connect otherwise.
func (s *stack) listen() {
	s.t.Helper()
	at, err := url.Parse(s.issuer)
	require.NoError(s.t, err)
	listener, err := net.Listen("tcp", at.Host)
	require.NoError(s.t, err)
	server := &http.Server{Handler: &httputil.ReverseProxy{Transport: s.front.Transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(at)
			r.Out.Host = at.Host
			// The front sends it again if a node breaks off.
			body, _ := io.ReadAll(io.LimitReader(r.In.Body, 1<<20))
			r.Out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			r.Out.Body, _ = r.Out.GetBody()
		}}}
	go func() { _ = server.Serve(listener) }()
	s.t.Cleanup(func() { _ = server.Close() })
}

// oldAPI is a resource server of the release before, as a process.
type oldAPI struct {
	t       *testing.T
	address string
	log     *bytes.Buffer
}

func (s *stack) startAPI(of release) oldAPI {
	t := s.t.(*testing.T)
	reader, err := s.admin.CreateRole(t.Context(),
		svcauth.NewRole{Name: "Example API", Privileges: []string{svcauth.TokensIntrospect}})
	require.NoError(t, err)
	account, err := s.admin.CreateServiceAccount(t.Context(),
		svcauth.NewServiceAccount{Name: "example API", RoleIDs: []string{reader.ID}})
	require.NoError(t, err)
	api := oldAPI{t, freeport.Address(t), &bytes.Buffer{}}
	cmd := exec.Command(of.exampleAPI)
	cmd.Env = []string{"EXAMPLE_API_ISSUER=" + s.issuer, "EXAMPLE_API_AUDIENCE=" + audience,
		"EXAMPLE_API_LISTEN=" + api.address, "EXAMPLE_API_CLIENT_ID=" + account.ClientID,
		"EXAMPLE_API_CLIENT_SECRET=" + account.ClientSecret.Reveal()}
	cmd.Stderr = api.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return api
}

// status is what the API answers to a token.
func (a oldAPI) status(ctx context.Context, token string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.address+"/api/1.0/ping", nil)
	require.NoError(a.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// counts checks that the resource server of the release before takes a token,
// and refuses it once it is revoked.
func (a oldAPI) counts(s *stack) {
	a.t.Helper()
	ctx := a.t.Context()
	account, err := s.admin.CreateServiceAccount(ctx,
		svcauth.NewServiceAccount{Name: "example API " + svcauth.NewID("x"), RoleIDs: []string{s.role.ID}})
	require.NoError(a.t, err)
	for _, n := range s.nodes {
		text := s.tokenOf(n, account)
		require.Eventually(a.t, func() bool { return a.status(ctx, text) == http.StatusOK }, reconnected,
			20*time.Millisecond, "the resource server of the release before refuses what is valid")
		s.ask(n, "/oauth2/revoke", account, url.Values{"token": {text}})
		require.Eventually(a.t, func() bool { return a.status(ctx, text) == http.StatusUnauthorized }, cutOff,
			20*time.Millisecond, "the resource server of the release before takes what is revoked")
	}
}

// commandLine asks whatever node answers by the commands of both releases.
func (s *stack) commandLine(before release, now string) {
	s.t.Helper()
	names := map[string]bool{}
	for _, path := range []string{before.svcauth, now} {
		cmd := exec.CommandContext(s.t.Context(), path, "role", "list", "-o", "json")
		cmd.Env = append(os.Environ(), "SVCAUTH_URL="+s.issuer, "SVCAUTH_CLIENT_ID="+s.keyID,
			"SVCAUTH_CLIENT_SECRET="+s.keySecret.Reveal(), "HOME="+s.t.TempDir())
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		require.NoError(s.t, err, complaint.String())
		var roles []struct{ Name string }
		var page struct{ Items []struct{ Name string } }
		if json.Unmarshal(out, &roles) != nil {
			require.NoError(s.t, json.Unmarshal(out, &page), "%s", out)
			roles = page.Items
		}
		for _, role := range roles {
			names[role.Name] = true
		}
		require.True(s.t, names[s.role.Name], "%s", out)
		clear(names)
	}
}
