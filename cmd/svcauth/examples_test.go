package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestExamplesOfTheHelpTextsWork runs every example of the management commands
// as it stands, each on a server of its own on which what it names exists.
func TestExamplesOfTheHelpTextsWork(t *testing.T) {
	needs.Time(t)
	eachCommand(rootCommand(), func(c *cobra.Command) {
		if c.Flags().Lookup("ca-file") == nil && c.Name() != "version" {
			return // the server's own commands: see testdata/server.txtar
		}
		for _, line := range strings.Split(c.Example, "\n") {
			line = strings.TrimSpace(line)
			t.Run(line, func(t *testing.T) {
				t.Parallel()
				if strings.Contains(line, " --follow ") { // it ends only when it is stopped
					line = "timeout 3 " + line + " || [ $? -eq 124 ]"
				}
				if strings.Contains(line, "--password-sign-in off") { // refused, since the server has no provider
					line = "! " + line
				}
				if strings.Contains(line, "< token") { // what the file holds is no token: the server says so
					line = "printf x > token; ! " + line
				}
				if strings.Contains(line, "deployer.crt") {
					line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k " +
						"-out deployer.crt -subj /CN=deployer -days 200 2>openssl.log; " + line
				}
				if strings.Contains(line, "claims.json") {
					line = `printf '{"iss":"https://issuer.example","sub":"deployer","aud":"%s","iat":%d,"exp":%d}' ` +
						`"$SVCAUTH_URL" $(date +%s) $(($(date +%s) + 300)) > claims.json; ` + line
				}
				runExample(t, line)
			})
		}
	})
}

// TestExamplesOfThePageWork runs the lines of the page on managing access that
// call svcauth or curl, in their order, on one server.
func TestExamplesOfThePageWork(t *testing.T) {
	text, err := os.ReadFile("../../deploy/docs/manage.md")
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "    svcauth ") || strings.HasPrefix(line, "    curl ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	require.NotEmpty(t, lines, "the page shows no command line")
	runExample(t, strings.Join(lines, "\n"))
}

var comment = regexp.MustCompile(`(?m)\s+# .*$`)

func runExample(t *testing.T, script string) {
	server := svctest.New(t, svctest.Options{Environ: []string{svctest.ClaimsCatalog(t)}})
	// The specimens of ids in the texts become the ids of what there is.
	script = strings.NewReplacer(specimens(t, server)...).Replace(comment.ReplaceAllString(script, ""))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// curl would call an API that does not exist. The example is about what it
	// is called with.
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", "curl() { printf '%s\\n' \"$@\"; }\n"+script)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "HOME="+command.Dir)
	for name, value := range environment(server) {
		command.Env = append(command.Env, name+"="+value)
	}
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
}

// specimens makes what the examples name, and returns pairs of the id in the
// text and the id of that thing.
func specimens(t *testing.T, server *svctest.Server) []string {
	ctx, admin := t.Context(), server.Admin()
	viewer, err := admin.CreateRole(ctx, svcauth.NewRole{Name: "Cluster viewer", Privileges: []string{"clusters:view"}})
	require.NoError(t, err)
	operator, err := admin.CreateRole(ctx, svcauth.NewRole{
		Name:       "Cluster operator",
		Privileges: []string{"clusters:view", "clusters:edit"},
	})
	require.NoError(t, err)
	deployer, err := admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{
		Name:    "deployer",
		RoleIDs: []string{operator.ID},
	})
	require.NoError(t, err)
	_, err = admin.InviteMember(ctx, svcauth.NewMember{
		Email:     "ada@example.com",
		FirstName: "Ada",
		LastName:  "Lovelace",
		RoleIDs:   []string{viewer.ID, operator.ID},
	})
	require.NoError(t, err)
	key, err := admin.CreateApplicationKey(ctx, svcauth.NewApplicationKey{})
	require.NoError(t, err)
	tenant, err := admin.CreateOrganization(ctx, svcauth.NewOrganization{
		Name:       "other",
		AdminEmail: "admin@other.example",
	})
	require.NoError(t, err)
	found, err := decodeToken(server.Token(deployer.ClientID, deployer.ClientSecret, ""))
	require.NoError(t, err)
	jti := regexp.MustCompile(`"jti":"([^"]+)"`).FindSubmatch(found.Claims)
	keys, err := admin.SigningKeys(ctx)
	require.NoError(t, err)
	events, err := admin.AuditEvents(ctx, svcauth.AuditFilter{Action: "application_key.create"})
	require.NoError(t, err)
	public, err := admin.CreateKey(ctx, deployer.ID, svcauth.NewKey{JWK: json.RawMessage(
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)}) // RFC 8037 appendix A.2
	require.NoError(t, err)
	certificate, err := admin.CreateCertificate(ctx, deployer.ID, svcauth.NewCertificate{SANDNS: "deployer.example"})
	require.NoError(t, err)
	federated, err := admin.CreateFederatedCredential(ctx, deployer.ID, svcauth.NewFederatedCredential{
		Name: "issuer", Issuer: "https://issuer.example", Subject: "deployer",
	})
	require.NoError(t, err)
	const specimen = "_01h455vb4pex5vsknk084sn02q"
	return []string{"sec" + specimen, deployer.Secrets[0].ID, "ak" + specimen, key.ID, "org" + specimen, tenant.ID,
		"key" + specimen, public.ID, "crt" + specimen, certificate.ID, "fed" + specimen, federated.ID,
		"evt" + specimen, events.Items[0].ID, "req" + specimen, events.Items[0].RequestID,
		"4Q2tq0kcTfOGbyXlJbvJ5g", string(jti[1]), "2ZLl1bZqVqjTd1hXz0m0Rg", keys.Items[0].KID}
}

// TestTheServersCommandsOfThePagesWork runs what the pages on running a server
// and on backups say, in that order, on one machine: the first administrator,
// a backup, a restore into an empty database, and the trial of it.
func TestTheServersCommandsOfThePagesWork(t *testing.T) {
	needs.Time(t)
	var lines []string
	for _, page := range []string{"run.md", "backup.md"} {
		text, err := os.ReadFile("../../deploy/docs/" + page)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`(?m)^    ((?:SVCAUTH_\S+ )*svcauth .*)$`).FindAllStringSubmatch(
			string(text), -1) {
			lines = append(lines, match[1])
		}
	}
	require.Len(t, lines, 5, "each line has its place below")
	dir := t.TempDir()
	trial := filepath.Join(dir, "trial", "svcauth.db")
	require.NoError(t, os.MkdirAll(filepath.Dir(trial), 0o700))
	empty := "SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(dir, "empty.db") + " "
	script := strings.Join([]string{
		lines[0],
		lines[1],
		"ln -s svcauth-2*.backup svcauth-2026-01-31.backup",
		empty + lines[2],
		lines[3],
		lines[4] + " & trap 'kill %1; wait %1' EXIT",
		"until svcauth healthcheck; do sleep 0.1; done",
	}, "\n")
	address := freeport.Address(t)
	script = strings.NewReplacer("/tmp/trial/svcauth.db", trial, "localhost:8080", address).Replace(script)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir = dir
	command.Env = append(os.Environ(), "HOME="+dir, "SVCAUTH_LISTEN="+address, "SVCAUTH_OPS_LISTEN=")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
	require.Contains(t, string(out), "ada@example.com")
}
