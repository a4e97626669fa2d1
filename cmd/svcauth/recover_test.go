package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The runbook's page for an installation that nobody can sign in to any more,
// beside a server that runs: the link opens at the console, the key that was
// there dies, and the new password works.
func TestThePageOnRecoveryWorks(t *testing.T) {
	dir := t.TempDir()
	settings := map[string]string{
		"SVCAUTH_DATABASE_URL":    "sqlite://" + filepath.Join(dir, "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE": filepath.Join(dir, "master.key"),
	}
	s := svctest.New(t, svctest.Options{DatabaseURL: settings["SVCAUTH_DATABASE_URL"],
		Environ: []string{"SVCAUTH_MASTER_KEY_FILE=" + settings["SVCAUTH_MASTER_KEY_FILE"]}})
	for name, value := range settings {
		t.Setenv(name, value)
	}
	t.Setenv("SVCAUTH_ISSUER", s.Issuer)
	t.Setenv("SVCAUTH_LISTEN", strings.TrimPrefix(s.URL, "http://")) // the server's, which is taken
	t.Setenv("SVCAUTH_OPS_LISTEN", "")
	key := s.Tenant.ApplicationKey
	s.Token(key.ClientID, key.ClientSecret, "")

	page, err := os.ReadFile("../../deploy/docs/runbook.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(page), "\n## No administrator can sign in\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	line := regexp.MustCompile(`(?m)^    svcauth (.*)$`).FindStringSubmatch(section)
	require.NotNil(t, line, "the page shows no command")
	var stdout, stderr bytes.Buffer
	args := strings.Fields(strings.ReplaceAll(line[1], "ada@example.com", svctest.AdminEmail))
	require.Zero(t, run(t.Context(), args, strings.NewReader(""), &stdout, &stderr), "%s", &stderr)

	link := regexp.MustCompile(`(?m)^  (http\S+)$`).FindStringSubmatch(stdout.String())
	require.NotNil(t, link, "%s", &stdout)
	resp, err := s.HTTP.Get(link[1])
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, string(body), svctest.AdminEmail)
	require.Eventually(t, func() bool {
		return !tokenFor(s, key.ClientID, key.ClientSecret)
	}, time.Minute, 50*time.Millisecond, "the running server learns that the application key has ended")

	_, token, _ := strings.Cut(link[1], "token=")
	_, err = s.App.People.AcceptInvitation(t.Context(), svcauth.Secret(token), "three brown owls at dawn")
	require.NoError(t, err)
	_, err = s.App.People.SignIn(t.Context(),
		people.SignInRequest{Email: svctest.AdminEmail, Password: "three brown owls at dawn"})
	require.NoError(t, err)
}

// tokenFor reports whether a client gets a token.
func tokenFor(s *svctest.Server, id string, secret svcauth.Secret) bool {
	answer := s.Post("/oauth2/token", id, secret, map[string][]string{"grant_type": {"client_credentials"}})
	return answer.Status == http.StatusOK
}
