package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// shownPaste is what the dialog gives for the other side.
var shownPaste = regexp.MustCompile(`(?s)<pre id="paste"[^>]*>(.*?)</pre>`)

// TestThePastedWorkflowGetsAToken runs what the console gives for GitHub, as it
// stands, with nothing but what a runner has, and a GitHub on loopback.
func TestThePastedWorkflowGetsAToken(t *testing.T) {
	needs.Service(t, "bash, curl and jq")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := jwk.Of(key.Public())
	require.NoError(t, err)
	keys, err := json.Marshal(map[string]any{"keys": []jwk.Key{public}})
	require.NoError(t, err)
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	for name, audience := range map[string]string{"ours": "", "another": "https://ours & theirs.example/?a=b"} {
		account := s.Account(name, "clusters:view")
		made, err := s.Admin().CreateFederatedCredential(t.Context(), account.ID, svcauth.NewFederatedCredential{
			Name: "deploy", Preset: svcauth.PresetGitHub, Claims: map[string]string{"repository_id": "74"}, JWKS: keys,
			Algorithms: []string{"ES256"}, Audience: audience,
		})
		require.NoError(t, err)
		github := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": made.Issuer, "sub": "x",
				"aud": r.FormValue("audience"), "repository_id": "74", "iat": time.Now().Unix(),
				"exp": time.Now().Add(time.Minute).Unix()}).SignedString(key)
			ofJob := r.Header.Get("Authorization") == "Bearer of-the-job"
			if err == nil && ofJob && r.FormValue("api-version") == "2.0" {
				_ = json.NewEncoder(w).Encode(map[string]string{"value": token})
			}
		}))
		var workflow struct {
			Jobs map[string]struct {
				Env   map[string]string
				Steps []struct{ Run string }
			}
		}
		page := p.get("/console/service-accounts/" + account.ID + "/federated-credentials/" + made.ID + "/use").body
		text := html.UnescapeString(shownPaste.FindStringSubmatch(page)[1])
		require.NoError(t, yaml.Unmarshal([]byte(text), &workflow), text)
		job, environment := workflow.Jobs["deploy"], filepath.Join(t.TempDir(), "env")
		run := exec.Command("bash", "-eo", "pipefail", "-c", job.Steps[0].Run)
		run.Env = []string{"PATH=" + os.Getenv("PATH"), "GITHUB_ENV=" + environment,
			"ACTIONS_ID_TOKEN_REQUEST_URL=" + github.URL + "/?api-version=2.0",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-job"}
		for name, value := range job.Env {
			run.Env = append(run.Env, name+"="+value)
		}
		out, err := run.CombinedOutput()
		github.Close()
		require.NoError(t, err, "%s", out)
		kept, err := os.ReadFile(environment)
		require.NoError(t, err)
		token, ok := strings.CutPrefix(strings.TrimSpace(string(kept)), "TOKEN=")
		require.True(t, ok)
		require.True(t, s.Active(account.ID, account.ClientSecret, token))
		for line := range strings.Lines(string(out)) {
			require.True(t, strings.HasPrefix(line, "::add-mask::"), "a log shows no token: %s", line)
		}
	}
}
