package docs_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// gateway is a verifier of others that the page shows.
type gateway struct {
	name  string
	start func(t *testing.T, y *yard, a api) (address string)
	vague bool // refuses with another of 401 and 403 than it should
	text  bool // takes aud as a text only

	typ string // the only one that its configuration takes

	algorithms string // that it can check; it refuses the others

	arrays bool // takes privileges in an array by itself, see inArrays; it is vague then
}

// shownTo reports whether a gateway is tried with an API's tokens: those of the
// other presets look like some of these.
func (a api) shownTo(g gateway) bool {
	if a.array != "" {
		return g.arrays
	}
	return slices.Contains([]string{"usual", profile.AWSAPIGateway, profile.Spring, "EdDSA"}, a.name) &&
		(g.typ == "" || g.typ == a.typ)
}

// wants returns what a gateway answers to a token of an API.
func (g gateway) wants(a api, p presented) int {
	if p.status == http.StatusUnauthorized || !slices.Contains(strings.Fields(g.algorithms), a.algorithm) ||
		g.text && p.name == forMore {
		return http.StatusUnauthorized
	}
	return p.status
}

const (
	mostAlgorithms = "ES256 RS256"
	allAlgorithms  = mostAlgorithms + " EdDSA"
)

// inArrays is what is another in the programs of the page, as it says, for
// privileges in an array of the claim scp.
var inArrays = [][]string{
	{"requiredScopes }", "claimIncludes }",
		"requiredScopes('clusters:view')", "claimIncludes('scp', 'clusters:view')"},
	{`Require claim "scope~(^| )clusters:view( |$)"`, `Require claim "scp:clusters:view"`},
	{`Require expr "-z %{reqenv:OAUTH2_CLAIM_sub} || %{reqenv:OAUTH2_CLAIM_scope} =~ /(^| )clusters:view( |$)/"`,
		`Require oauth2_claim scp:clusters:view`},
}

var gateways = []gateway{
	{name: "aws-jwt-verify", algorithms: allAlgorithms, start: nodeProgram("// aws-jwt-verify.mjs")},
	{name: "express-oauth2-jwt-bearer", algorithms: allAlgorithms, typ: "at+jwt",
		start: nodeProgram("// express-oauth2-jwt-bearer.mjs"), arrays: true},
	{name: "passport-jwt", algorithms: mostAlgorithms, start: nodeProgram("// passport-jwt.mjs")},
	{name: "jose", algorithms: allAlgorithms, start: nodeProgram("../validating/node/server.mjs")},
	{name: "PyJWT", algorithms: allAlgorithms, start: pythonProgram("../validating/python/server.py")},
	{name: "Authlib", algorithms: allAlgorithms, start: pythonProgram("# authlib_api.py")},
	{name: "mod_auth_openidc", algorithms: mostAlgorithms, vague: true, typ: "at+jwt",
		start: apache("auth_openidc", "../validating/apache/svcauth.conf"), arrays: true},
	{name: "mod_oauth2", algorithms: mostAlgorithms, vague: true, start: apache("oauth2", "# mod_oauth2"),
		arrays: true},
	{name: "go-oidc", algorithms: allAlgorithms, start: goOIDC},
	{name: "HAProxy", algorithms: mostAlgorithms, text: true, start: haproxyOfKeys},
	{name: "nginx with njs", algorithms: "ES256", start: nginxOfTokens("/_check")},
	{name: "nginx with introspection", algorithms: allAlgorithms, start: nginxOfTokens("/_introspect")},
}

// TestGatewaysTakeTheRightTokensOnly is the point of gateways.md.
func TestGatewaysTakeTheRightTokensOnly(t *testing.T) {
	needs.Service(t, "libraries of Node.js and Python, Apache, nginx and HAProxy with their modules for tokens")
	y := newYard(t)
	for _, g := range gateways {
		for _, a := range yardAPIs {
			if !a.shownTo(g) {
				continue
			}
			t.Run(g.name+" "+a.name, func(t *testing.T) {
				t.Parallel()
				address := g.start(t, y, a)
				for _, p := range y.shown[a.audience] {
					status, text := present(t, address, p.token)
					want := g.wants(a, p)
					if (g.vague || a.array != "") && want != http.StatusOK {
						require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, status, p.name)
						continue
					}
					require.Equal(t, want, status, "%s: %s", p.name, text)
					require.Equal(t, status == http.StatusOK, strings.Contains(text, "hello"), "%s: %s", p.name, text)
				}
			})
		}
	}
}

// TestGatewaysTakeTheNextKey: each gateway has the next key before it signs,
// however long it keeps the set, so a rotation by hand stops none.
func TestGatewaysTakeTheNextKey(t *testing.T) {
	needs.Service(t, "libraries of Node.js and Python, Apache, nginx and HAProxy with their modules for tokens")
	y, a := newYard(t), yardAPIs[0]
	addresses := map[string]string{}
	for _, g := range gateways {
		addresses[g.name] = g.start(t, y, a)
		status, text := present(t, addresses[g.name], y.good(a))
		require.Equal(t, http.StatusOK, status, "%s: %s", g.name, text)
	}
	account := y.Account("after the rotation", a.privilege)
	_, err := y.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{Algorithm: a.algorithm})
	require.NoError(t, err)
	token := y.Token(account.ClientID, account.ClientSecret, "")
	require.NotContains(t, token, strings.Split(y.good(a), ".")[0], "another key signs")
	for name, address := range addresses {
		status, text := present(t, address, token)
		require.Equal(t, http.StatusOK, status, "%s: %s", name, text)
	}
}

// TestModOAuth2ForgetsTokens: by its own default it takes a token for minutes
// after it has expired, from its cache. As the page has it, it does not.
func TestModOAuth2ForgetsTokens(t *testing.T) {
	needs.Service(t, "Apache with mod_oauth2")
	y, a := newYard(t), yardAPIs[0]
	address := apache("oauth2", "# mod_oauth2")(t, y, a)
	token := y.expiring(a, 5*time.Second)
	status, text := present(t, address, token)
	require.Equal(t, http.StatusOK, status, text)
	require.Eventually(t, func() bool {
		status, _ := present(t, address, token)
		return status == http.StatusUnauthorized
	}, 30*time.Second, 500*time.Millisecond)
}

// present asks for the page at an address with a token.
func present(t *testing.T, address, token string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
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

// shownAs returns a file of the repository, or the page's block that begins so,
// with what differs for an API.
func shownAs(t *testing.T, name string, y *yard, a api) string {
	t.Helper()
	text := ""
	if raw, err := os.ReadFile(name); err == nil {
		text = string(raw)
	} else {
		text = snippetOf(t, "gateways.md", name)
	}
	if a.array != "" {
		at := slices.IndexFunc(inArrays, func(pairs []string) bool { return strings.Contains(text, pairs[0]) })
		require.GreaterOrEqual(t, at, 0, "%s takes no arrays", name)
		text = strings.NewReplacer("scp:", a.array+":", "'scp'", "'"+a.array+"'").Replace(
			swap(t, text, inArrays[at]...))
	}
	begin := func(algorithm string) string {
		return base64.RawStdEncoding.EncodeToString([]byte(`{"alg":"` + algorithm + `",`))
	}
	return strings.NewReplacer("clusters:view", a.privilege, "ES256", a.algorithm, "at+jwt", a.typ,
		begin("ES256"), begin(a.algorithm), "https://api.cloud.example", a.audience,
		"https://auth.example.com", y.Issuer).Replace(text)
}

func nodeProgram(name string) func(*testing.T, *yard, api) string {
	return func(t *testing.T, y *yard, a api) string {
		dir := t.TempDir() // it finds its packages beside itself
		require.NoError(t, os.Symlink(svctest.NodeModules(t), filepath.Join(dir, "node_modules")))
		file := filepath.Join(dir, "main.mjs")
		require.NoError(t, os.WriteFile(file, []byte(shownAs(t, name, y, a)), 0o600))
		return y.listen(t, a, exec.Command("node", file))
	}
}

// pythonProgram uses the system's Python: the packages are the system's too.
func pythonProgram(name string) func(*testing.T, *yard, api) string {
	return func(t *testing.T, y *yard, a api) string {
		file := filepath.Join(t.TempDir(), "main.py")
		require.NoError(t, os.WriteFile(file, []byte(shownAs(t, name, y, a)), 0o600))
		return y.listen(t, a, exec.Command("/usr/bin/python3", "-B", file))
	}
}

// listen starts a program of the page, which is told by its environment where
// to listen.
func (y *yard) listen(t *testing.T, a api, cmd *exec.Cmd) string {
	address := freeport.Address(t)
	modules, err := filepath.Abs("../validating/python")
	require.NoError(t, err)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONPATH=" + modules,
		"ISSUER=" + y.Issuer, "AUDIENCE=" + a.audience, "LISTEN=" + address,
		"SSL_CERT_FILE=" + y.caFile, "NODE_EXTRA_CA_CERTS=" + y.caFile}
	svctest.StartProgram(t, cmd, svctest.Listens(address))
	return address
}

// TestTheTableSaysWhatIsRun: each gateway that the table calls run here is one
// of the tests, and each of these has its row.
func TestTheTableSaysWhatIsRun(t *testing.T) {
	raw, err := os.ReadFile("gateways.md")
	require.NoError(t, err)
	named, rows := map[string]int{}, 0
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 4 || cells[0] == "---" || cells[3] == "known by" {
			continue
		}
		rows++
		known, _, _ := strings.Cut(cells[3], ";")
		if name, run := strings.CutPrefix(known, "run here: "); run {
			named[strings.Trim(name, "`")]++
		} else {
			require.Contains(t, []string{"read of", "run in `deploy/validating`"}, known, cells[0])
		}
	}
	for _, pairs := range inArrays {
		require.Contains(t, string(raw), pairs[len(pairs)-1])
	}
	require.Greater(t, rows, 30)
	require.Len(t, named, len(gateways))
	for _, g := range gateways {
		require.Equal(t, 1, named[g.name], g.name)
	}
}
