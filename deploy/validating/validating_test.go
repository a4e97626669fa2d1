// Package validating_test runs the programs and configurations that
// deploy/docs/protect.md shows, each with its real library, against a real
// svcauth.
package validating_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestThePageShowsTheFiles: what is shown is what is tested.
func TestThePageShowsTheFiles(t *testing.T) {
	page, err := os.ReadFile("../docs/protect.md")
	require.NoError(t, err)
	shown := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Dir(path) == "." {
			return err
		}
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		name := filepath.ToSlash(path)
		_, after, found := strings.Cut(string(page), "["+name+"](../validating/"+name+"):\n\n```")
		require.True(t, found, "the page does not show %s", name)
		_, after, _ = strings.Cut(after, "\n")
		block, _, found := strings.Cut(after, "\n```\n")
		require.True(t, found)
		require.Equal(t, strings.TrimSuffix(string(content), "\n"), block,
			"the page shows another %s than the one that is tested", name)
		shown++
		return nil
	}))
	others := strings.Count(string(page), "\n```text\n") + strings.Count(string(page), "\n```sh\n")
	require.Equal(t, strings.Count(string(page), "\n```")/2, shown+others, "a block that is no file")
}

// TestEachTakesTheRightTokensOnly is the point of the page.
func TestEachTakesTheRightTokensOnly(t *testing.T) {
	needs.Service(t, "Node.js, PyJWT, nginx and Apache")
	f := newFront(t)
	attempts := f.attempts(t)
	golang := build(t, "go")
	for name, start := range map[string]func(*testing.T, *front) string{
		"go":         func(t *testing.T, f *front) string { return f.program(t, nil, golang) },
		"golang-jwt": func(t *testing.T, f *front) string { return f.program(t, nil, build(t, "golang-jwt")) },
		"node":       func(t *testing.T, f *front) string { return startNode(t, f) },
		"python":     func(t *testing.T, f *front) string { return startPython(t, f) },
		"apache":     startApache,
		"nginx":      func(t *testing.T, f *front) string { return startNginx(t, f, golang) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := start(t, f)
			for _, a := range attempts {
				status, text := get(t, at, a.token)
				if a.good {
					require.Equal(t, http.StatusOK, status, "%s: %s", a.name, text)
					require.Contains(t, text, "hello")
				} else if a.token == "" { // RFC 6750 §3
					require.Equal(t, http.StatusUnauthorized, status, "%s: %s", a.name, text)
				} else {
					require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, status,
						"%s: %s", a.name, text)
				}
			}
		})
	}
}

// Revoked tokens are refused by programs that poll the feed (Python) and by
// those that introspect (Node).
func TestRevokedTokensAreRefusedWhereTheServerIsAsked(t *testing.T) {
	needs.Service(t, "Node.js and PyJWT")
	f := newFront(t)
	api := f.server.Account("resource server", "tokens:introspect")
	credential := []string{"SVCAUTH_CLIENT_ID=" + api.ClientID, "SVCAUTH_CLIENT_SECRET=" + api.ClientSecret.Reveal()}
	at := map[string]string{"python": startPython(t, f, credential...), "node": startNode(t, f, credential...)}
	ctx, admin := t.Context(), f.server.Admin()
	for kind, take := range map[string]func(svcauth.ServiceAccount, string) error{
		"the token": func(a svcauth.ServiceAccount, token string) error {
			answer := f.server.Post("/oauth2/revoke", a.ClientID, a.ClientSecret, url.Values{"token": {token}})
			require.Equal(t, http.StatusOK, answer.Status)
			return nil
		},
		"the client's tokens": func(a svcauth.ServiceAccount, _ string) error {
			_, err := admin.RevokeTokens(ctx, a.ID, 0)
			return err
		},
		"the secret": func(a svcauth.ServiceAccount, _ string) error {
			_, err := admin.DeleteSecret(ctx, a.ID, a.Secrets[0].ID, true, 0)
			return err
		},
		"the client's role": func(a svcauth.ServiceAccount, _ string) error {
			_, err := admin.UnassignServiceAccountRole(ctx, a.ID, a.Roles[0].ID, "", 0)
			return err
		},
		"the role's privilege": func(a svcauth.ServiceAccount, _ string) error {
			patch := svcauth.RolePatch{Privileges: &[]string{"clusters:edit"}}
			_, err := admin.UpdateRole(ctx, a.Roles[0].ID, 0, patch, 0)
			return err
		},
	} {
		account := f.server.Account("loser of "+kind, privilege)
		bystander := f.server.Account("bystander of "+kind, privilege)
		token := f.server.Token(account.ClientID, account.ClientSecret, "")
		kept := f.server.Token(bystander.ClientID, bystander.ClientSecret, "")
		answers := func(language, token string, want int) func() bool {
			return func() bool { status, _ := get(t, at[language], token); return status == want }
		}
		for language := range at {
			require.Eventually(t, answers(language, token, http.StatusOK), 30*time.Second, 50*time.Millisecond,
				"%s: before it is taken away", language)
		}
		require.NoError(t, take(account, token), kind)
		for language := range at {
			require.Eventually(t, answers(language, token, http.StatusUnauthorized), 30*time.Second,
				50*time.Millisecond,
				"%s: %s was taken away", language, kind)
			require.True(t, answers(language, kept, http.StatusOK)(), "%s: another client's token", language)
		}
	}
}

func get(t *testing.T, at, token string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// build compiles one of the page's Go programs.
func build(t *testing.T, directory string) string {
	path := filepath.Join(t.TempDir(), "checker")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./"+directory).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// program starts a checker and gives its address once it answers.
func (f *front) program(t *testing.T, environ []string, name string, args ...string) string {
	address := freeport.Address(t)
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "ISSUER="+f.issuer, "AUDIENCE="+audience, "LISTEN="+address,
		"SSL_CERT_FILE="+f.caFile, "NODE_EXTRA_CA_CERTS="+f.caFile)
	cmd.Env = append(cmd.Env, environ...)
	svctest.StartProgram(t, cmd, svctest.Listens(address))
	return "http://" + address + "/"
}
