package docs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const (
	workloads = "workloads.md"
	specimen  = "sa_01h455vb4pex5vsknk084sn02q" // the client of the pages
)

// blocks returns the blocks of workloads.md that a test runs, in their order.
func blocks(t *testing.T, test string) (texts []string) {
	t.Helper()
	for _, s := range snippets(t, workloads) {
		if strings.HasSuffix(s.before, " "+test+" -->") {
			texts = append(texts, s.text)
		}
	}
	require.NotEmpty(t, texts)
	return texts
}

// platform is another issuer: it signs what the platforms' documentation says.
type platform struct{ key *rsa.PrivateKey }

func newPlatform(t *testing.T) platform {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return platform{key}
}

func (p platform) sign(t *testing.T, audience string, more map[string]any) string {
	t.Helper()
	claims := jwt.MapClaims{"aud": audience, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
		"jti": rand.Text()}
	maps.Copy(claims, more)
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(p.key)
	require.NoError(t, err)
	return text
}

// keySet is where a federated credential has the platform's keys in tests: the
// real ones would be fetched.
func (p platform) keySet(t *testing.T) json.RawMessage {
	t.Helper()
	public, err := jwk.New(p.key.Public())
	require.NoError(t, err)
	text, err := json.Marshal(map[string]any{"keys": []jwk.Key{public}})
	require.NoError(t, err)
	return text
}

// gitHubJob is the token of a job, after GitHub's documentation.
func gitHubJob() map[string]any {
	return map[string]any{"iss": "https://token.actions.githubusercontent.com",
		"sub": "repo:octo-org@65/octo-repo@74:environment:production", "repository": "octo-org/octo-repo",
		"repository_id": "74", "repository_owner": "octo-org", "repository_owner_id": "65",
		"environment": "production", "ref": "refs/heads/main", "event_name": "push"}
}

// workload is a real svcauth with a service account that has no secret, and an
// API that takes its tokens.
type workload struct {
	*svctest.Server
	account svcauth.ServiceAccount
	api     *httptest.Server
}

func newWorkload(t *testing.T) *workload {
	w := &workload{Server: svctest.New(t, svctest.Options{})}
	w.account = w.Account("workload", "clusters:view")
	_, err := w.Admin().DeleteSecret(t.Context(), w.account.ID, w.account.Secrets[0].ID, false, 0)
	require.NoError(t, err)
	verifier, err := resourceserver.New(resourceserver.Config{Issuer: w.Issuer, Audience: audience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	w.api = httptest.NewServer(verifier.Require("clusters:view")(http.HandlerFunc(func(answer http.ResponseWriter,
		r *http.Request) {
		caller, _ := resourceserver.PrincipalFrom(r.Context())
		_, _ = io.WriteString(answer, "hello "+caller.ClientID+"\n")
	})))
	t.Cleanup(w.api.Close)
	return w
}

// trusts makes a federated credential of the page's JSON, as it stands, with
// the platform's keys.
func (w *workload) trusts(t *testing.T, text string, by platform) (made svcauth.NewFederatedCredential) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&made))
	made.JWKS = by.keySet(t)
	made.Strict = true // nothing to warn of
	_, err := w.Admin().CreateFederatedCredential(t.Context(), w.account.ID, made)
	require.NoError(t, err)
	return made
}

// fill writes the test's addresses into a text of the page.
func (w *workload) fill(text string, more ...string) string {
	return strings.NewReplacer(append(more, "https://auth.example.com", w.Issuer, audience, w.api.URL,
		specimen, w.account.ClientID)...).Replace(text)
}

// isToken checks what svcauth token printed.
func (w *workload) isToken(t *testing.T, printed string) {
	t.Helper()
	require.Equal(t, w.account.ClientID, subject(strings.TrimSpace(printed)))
}

// builtSvcauth is the program, built once for the tests that run it.
var (
	builtSvcauth sync.Once
	binDirectory string
)

func TestMain(m *testing.M) {
	status := m.Run()
	if binDirectory != "" {
		_ = os.RemoveAll(binDirectory)
	}
	os.Exit(status)
}

// withSvcauth runs a script of the page with svcauth on the PATH.
func withSvcauth(t *testing.T, script string, environment ...string) string {
	t.Helper()
	builtSvcauth.Do(func() {
		var err error
		binDirectory, err = os.MkdirTemp("", "svcauth-docs-test-")
		require.NoError(t, err)
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(binDirectory, "svcauth"),
			"../../cmd/svcauth").CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	command := exec.CommandContext(t.Context(), "bash", "-eo", "pipefail", "-c", script)
	command.Dir = t.TempDir()
	command.Env = append(environment, "PATH="+binDirectory+":"+os.Getenv("PATH"), "HOME="+command.Dir)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestTheWorkflowNeedsNoSecret(t *testing.T) {
	needs.Service(t, "curl, jq and a built svcauth")
	texts, actions, w := blocks(t, "TestTheWorkflowNeedsNoSecret"), newPlatform(t), newWorkload(t)
	require.Len(t, texts, 2)
	trusted := w.trusts(t, texts[0], actions)
	endpoint := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-job" {
			http.Error(answer, "no", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(answer).Encode(map[string]any{
			"value": actions.sign(t, r.FormValue("audience"), gitHubJob()),
		})
	}))
	t.Cleanup(endpoint.Close)

	var workflow struct {
		Permissions map[string]string
		Jobs        map[string]struct {
			Environment string
			Env         map[string]string
			Steps       []struct{ Run string }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(texts[1]), &workflow))
	require.Equal(t, "write", workflow.Permissions["id-token"])
	require.NotContains(t, texts[1], "secrets.")
	job := workflow.Jobs["deploy"]
	require.Equal(t, trusted.Claims["environment"], job.Environment)
	environment := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + endpoint.URL + "/?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-job", "GITHUB_ACTIONS=true"}
	for name, value := range job.Env {
		environment = append(environment, name+"="+w.fill(value))
	}
	require.Len(t, job.Steps, 3)
	for _, step := range job.Steps[:2] { // the third is TestHCPTerraformNeedsNoSecret, with other variables
		out := withSvcauth(t, w.fill(step.Run), environment...)
		require.True(t, strings.HasSuffix(out, "hello "+w.account.ClientID+"\n"), out)
	}
}

func TestTheDeploymentNeedsNoSecret(t *testing.T) {
	texts, cluster, w := blocks(t, "TestTheDeploymentNeedsNoSecret"), newPlatform(t), newWorkload(t)
	require.Len(t, texts, 2)
	trusted := w.trusts(t, texts[0], cluster)

	account, deployment := corev1.ServiceAccount{}, appsv1.Deployment{}
	documents := bytes.Split([]byte(w.fill(texts[1])), []byte("---\n"))
	require.Len(t, documents, 2)
	require.NoError(t, yaml.UnmarshalStrict(documents[0], &account))
	require.NoError(t, yaml.UnmarshalStrict(documents[1], &deployment))
	pod := deployment.Spec.Template.Spec
	require.Equal(t, account.Name, pod.ServiceAccountName)
	require.Equal(t, account.Namespace, deployment.Namespace)
	require.Equal(t, "system:serviceaccount:"+account.Namespace+":"+account.Name, trusted.Subject)
	require.Equal(t, deployment.Spec.Selector.MatchLabels, deployment.Spec.Template.Labels)

	environment := map[string]string{"HOME": t.TempDir()}
	for _, e := range pod.Containers[0].Env {
		environment[e.Name] = e.Value
	}
	asked := pod.Volumes[0].Projected.Sources[0].ServiceAccountToken
	mount := pod.Containers[0].VolumeMounts[0]
	require.Equal(t, pod.Volumes[0].Name, mount.Name)
	require.Equal(t, path.Join(mount.MountPath, asked.Path), environment["SVCAUTH_ASSERTION_FILE"])
	require.GreaterOrEqual(t, *asked.ExpirationSeconds, int64(600), "Kubernetes refuses less")
	require.LessOrEqual(t, *asked.ExpirationSeconds, int64(3600), "svcauth refuses older ones by default")

	// What the kubelet does, and then the program.
	file := filepath.Join(t.TempDir(), asked.Path)
	kubelet := cluster.sign(t, asked.Audience, map[string]any{"iss": trusted.Issuer, "sub": trusted.Subject,
		"kubernetes.io": map[string]any{"namespace": account.Namespace, "serviceaccount": map[string]any{
			"name": account.Name, "uid": trusted.Claims["/kubernetes.io/serviceaccount/uid"]}}})
	require.NoError(t, os.WriteFile(file, []byte(kubelet), 0o600))
	environment["SVCAUTH_ASSERTION_FILE"] = file
	config, _, err := tokensource.Load(tokensource.LoadOptions{
		Getenv: func(name string) string { return environment[name] },
	})
	require.NoError(t, err)
	config.Scopes = []string{"clusters:view"}
	tokens, err := tokensource.New(config)
	require.NoError(t, err)
	defer tokens.Close()
	for range 2 { // the pod's token is good for its whole life
		token, err := tokens.BearerToken(t.Context())
		require.NoError(t, err)
		w.isToken(t, token)
		tokens.Drop(token)
	}
}

func TestASVIDNeedsNoSecret(t *testing.T) {
	needs.Service(t, "a built svcauth")
	agent, w := newPlatform(t), newWorkload(t)
	w.trusts(t, `{"name": "svid", "preset": "spiffe", "issuer": "spiffe://shop.example",
		"subject": "spiffe://shop.example/checkout"}`, agent)
	file := filepath.Join(t.TempDir(), "svid.jwt")
	svid := agent.sign(t, w.Issuer, map[string]any{"sub": "spiffe://shop.example/checkout"})
	require.NoError(t, os.WriteFile(file, []byte(svid), 0o600))
	script := strings.Join(blocks(t, "TestASVIDNeedsNoSecret"), "\n")
	w.isToken(t, withSvcauth(t, w.fill(script, "/run/spiffe/svid.jwt", file)))
}

func TestAKeyPairNeedsNoSecret(t *testing.T) {
	needs.Service(t, "a built svcauth")
	texts, w, dir := blocks(t, "TestAKeyPairNeedsNoSecret"), newWorkload(t), t.TempDir()
	require.Len(t, texts, 2)
	withSvcauth(t, "cd "+dir+"\n"+texts[0])
	printed, err := os.ReadFile(filepath.Join(dir, "client.jwk"))
	require.NoError(t, err)
	_, err = w.Admin().CreateKey(t.Context(), w.account.ID, svcauth.NewKey{JWK: printed})
	require.NoError(t, err)
	for range 2 { // an assertion works once, and each request has its own
		w.isToken(t, withSvcauth(t, "cd "+dir+"\n"+w.fill(texts[1])))
	}
}

func TestACertificateNeedsNoSecret(t *testing.T) {
	needs.Service(t, "a built svcauth and openssl")
	dir := t.TempDir()
	cert, key, ca := filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key"), filepath.Join(dir, "ca.pem")
	out, err := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=checkout", "-keyout", key, "-out", cert).CombinedOutput()
	require.NoError(t, err, "%s", out)
	var server *httptest.Server
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": server.URL, "token_endpoint": server.URL + "/none",
				"mtls_endpoint_aliases": map[string]any{"token_endpoint": server.URL + "/mtls"}})
			return
		}
		if r.URL.Path != "/mtls" || r.PostFormValue("client_id") != specimen ||
			r.TLS.PeerCertificates[0].Subject.CommonName != "checkout" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "good", "token_type": "Bearer"})
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	require.NoError(t, os.WriteFile(ca,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	got := withSvcauth(t, strings.NewReplacer("https://auth.example.com", server.URL,
		"/etc/ssl/client.pem", cert, "/etc/ssl/client.key", key).
		Replace(strings.Join(blocks(t, "TestACertificateNeedsNoSecret"), "\n")), "SVCAUTH_CA_FILE="+ca)
	require.Equal(t, "good\n", got)
}

// The variables of the page are those that a profile and the environment may
// have: an error lists them all.
func TestThePageOfWorkloadsNamesEachSetting(t *testing.T) {
	text, err := os.ReadFile(workloads)
	require.NoError(t, err)
	home := t.TempDir()
	file := filepath.Join(home, "profile")
	require.NoError(t, os.WriteFile(file, []byte("[default]\nno_such_key = x\n"), 0o600))
	_, _, err = tokensource.Load(tokensource.LoadOptions{ConfigFile: file})
	_, known, found := strings.Cut(err.Error(), "known are ")
	require.True(t, found, err)
	for key := range strings.SplitSeq(known, ", ") {
		if !slices.Contains([]string{"url", "ca_file"}, key) {
			require.Contains(t, string(text), "`"+key+"`")
			require.Contains(t, string(text), "`SVCAUTH_"+strings.ToUpper(key)+"`")
		}
	}
}
