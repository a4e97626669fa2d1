package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// workloadBlocks returns the blocks of the page on workloads that
// TestHCPTerraformNeedsNoSecret claims: a federated credential and a provider
// block.
func workloadBlocks(t *testing.T) (claims map[string]string, block string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/docs/workloads.md")
	require.NoError(t, err)
	block = "(?s)TestHCPTerraformNeedsNoSecret -->\n```(json|hcl)\n(.*?)```"
	found := regexp.MustCompile(block).FindAllSubmatch(text, -1)
	require.Len(t, found, 2)
	var credential struct{ Claims map[string]string }
	require.NoError(t, json.Unmarshal(found[0][2], &credential))
	require.NotEmpty(t, credential.Claims)
	return credential.Claims, string(found[1][2])
}

// trusting puts a proxy before the server that takes assertions with these
// claims for a service account, and counts them.
func (w *world) trusting(claims map[string]string, key *ecdsa.PrivateKey) (p *proxy, id string, taken *atomic.Int32) {
	w.t.Helper()
	account := w.Account("terraform", "members:read")
	p, taken = newProxy(w.t, w.URL), &atomic.Int32{}
	p.before(func(r *http.Request) {
		if r.URL.Path != "/oauth2/token" {
			return
		}
		raw, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(raw))
		said := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(form.Get("client_assertion"), said,
			func(*jwt.Token) (any, error) { return &key.PublicKey, nil }, jwt.WithAudience(p.URL))
		fits := err == nil && form.Get("client_id") == account.ClientID && r.Header.Get("Authorization") == ""
		for name, value := range claims {
			fits = fits && said[name] == value
		}
		form.Del("client_assertion")
		form.Del("client_assertion_type")
		if fits {
			taken.Add(1)
			form.Set("client_secret", account.ClientSecret.Reveal())
		}
		r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	})
	return p, account.ClientID, taken
}

func signed(t *testing.T, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims)).SignedString(key)
	require.NoError(t, err)
	return text
}

// TestHCPTerraformNeedsNoSecret runs the real Terraform as HCP Terraform does:
// the run's token is in a variable, and no secret is anywhere. The same block
// works in a job of GitHub Actions.
func TestHCPTerraformNeedsNoSecret(t *testing.T) {
	w := newWorld(t)
	claims, text := workloadBlocks(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p, id, taken := w.trusting(claims, key)
	ws := newWorkspace(t)
	ws.write("main.tf", required+strings.NewReplacer("https://auth.example.com", p.URL,
		"sa_01h455vb4pex5vsknk084sn02q", id).Replace(text)+"data \"svcauth_roles\" \"all\" {}\n")
	plain := ws.env

	out, err := ws.try("plan")
	require.Error(t, err)
	require.Contains(t, out, "attribute client_id is set, but neither a secret nor anything else that proves who asks")

	run := map[string]any{"iss": "https://app.terraform.io", "aud": p.URL, "exp": time.Now().Add(time.Hour).Unix(),
		"sub": "organization:my-org:project:Default Project:workspace:network:run_phase:plan"}
	for name, value := range claims {
		run[name] = value
	}
	ws.env = append(plain, "TFC_RUN_ID=run-1", "TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH="+signed(t, key, run))
	ws.must("plan")
	require.Positive(t, taken.Load())

	job := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		run["aud"] = r.FormValue("audience")
		_ = json.NewEncoder(answer).Encode(map[string]string{"value": signed(t, key, run)})
	}))
	t.Cleanup(job.Close)
	before := taken.Load()
	ws.env = append(plain, "ACTIONS_ID_TOKEN_REQUEST_URL="+job.URL+"/?x=y", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=job")
	ws.must("plan")
	require.Greater(t, taken.Load(), before)

	// Another workspace's token is refused, and the error says whose it is.
	run["terraform_workspace_id"] = "ws-other"
	run["aud"] = p.URL
	ws.env = append(plain, "TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH="+signed(t, key, run))
	out, err = ws.try("plan")
	require.Error(t, err)
	require.Contains(t, out, "The server refuses the provider's credential")
	require.Contains(t, out, `is of issuer "https://app.terraform.io", subject "organization:my-org:project:`)
	require.Contains(t, out, "what proves it from environment TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH")
	require.NotContains(t, out, "eyJ")
}
