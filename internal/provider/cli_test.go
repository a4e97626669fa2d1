package provider

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const rotating = `
variable "generation" { type = number }
ephemeral "svcauth_generated_secret" "s" {}
resource "svcauth_service_account" "ci" { name = "ci" }
resource "svcauth_role" "viewer" {
  name       = "Viewer"
  privileges = ["clusters:view"]
}
resource "svcauth_service_account_role" "viewer" {
  service_account_id = svcauth_service_account.ci.id
  role_id            = svcauth_role.viewer.id
}
resource "svcauth_service_account_secret" "ci" {
  service_account_id       = svcauth_service_account.ci.id
  client_secret_wo         = ephemeral.svcauth_generated_secret.s.client_secret
  client_secret_wo_version = var.generation
  keep_previous_for        = "1h"
}
ephemeral "svcauth_access_token" "t" { scopes = ["members:read"] }
data "svcauth_service_account" "ci" {
  id         = svcauth_service_account.ci.id
  depends_on = [svcauth_service_account_secret.ci]
}
output "hints" { value = data.svcauth_service_account.ci.secrets[*].hint }
output "valid" { value = provider::svcauth::secret_is_valid("no secret") }
`

// TestNoSecretIsLeftAtRest checks that no secret and no token is in what
// Terraform leaves behind: state, its backup, plans, and the most talkative of
// its logs.
func TestNoSecretIsLeftAtRest(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	ws.env = append(ws.env, "TF_LOG=TRACE", "TF_LOG_PATH="+filepath.Join(ws.dir, "trace.log"))
	ws.write("main.tf", required+rotating)
	var printed strings.Builder
	for generation := range 3 {
		plan := fmt.Sprintf("plan-%d", generation)
		printed.WriteString(ws.must("plan", "-out", plan, "-var", fmt.Sprintf("generation=%d", generation)))
		printed.WriteString(ws.must("apply", plan))
	}
	require.Len(t, w.named("ci").Secrets, 3)
	printed.WriteString(ws.must("show", "-json", "plan-2"))
	printed.WriteString(ws.must("plan", "-destroy", "-out", "plan-destroy", "-var", "generation=2"))
	state, err := os.ReadFile(filepath.Join(ws.dir, "terraform.tfstate"))
	require.NoError(t, err)
	require.Contains(t, string(state), w.named("ci").Secrets[0].Hint, "the state that was searched is the right one")
	printed.WriteString(ws.must("apply", "plan-destroy"))
	_, err = accountNamed(t.Context(), w.Admin(), "ci")
	require.ErrorContains(t, err, "there is no", "destroyed")
	ws.write("printed.txt", printed.String())
	searched := searchLeftovers(t, ws.dir, "svcs_", w.Tenant.ApplicationKey.ClientSecret.Reveal(), "eyJhbGci")
	for _, name := range []string{"terraform.tfstate", "terraform.tfstate.backup", "plan-2/tfplan", "plan-2/tfstate",
		"trace.log", "printed.txt"} {
		require.Contains(t, searched, name)
	}
	require.NotContains(t, w.Log(), "svcs_")
}

// searchLeftovers searches every file below dir, and every file within a plan,
// and returns their names.
func searchLeftovers(t *testing.T, dir string, needles ...string) (names []string) {
	t.Helper()
	look := func(name string, content []byte) {
		names = append(names, name)
		for _, needle := range needles {
			at := bytes.Index(content, []byte(needle))
			require.Negative(t, at, "%s holds %s…: %s", name, needle[:5], around(content, at))
		}
	}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		look(name, content)
		if archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content))); err == nil {
			for _, file := range archive.File {
				inner, err := file.Open()
				require.NoError(t, err)
				content, err := io.ReadAll(inner)
				require.NoError(t, err)
				look(name+"/"+file.Name, content)
			}
		}
		return nil
	}))
	return names
}

// around shows where something was found, without the thing itself.
func around(content []byte, at int) string {
	if at < 0 {
		return ""
	}
	return string(content[max(0, at-80):at])
}

// Two applies at once, each with a state of its own: one makes it, the other is
// told so.
func TestTwoAppliesAtOnce(t *testing.T) {
	w := newWorld(t)
	text := required + `
		resource "svcauth_service_account" "ci" { name = "ci" }
		resource "svcauth_service_account_secret" "ci" {
			service_account_id = svcauth_service_account.ci.id
			client_secret_wo = ephemeral.svcauth_generated_secret.s.client_secret
			client_secret_wo_version = 1
		}
		ephemeral "svcauth_generated_secret" "s" {}
		`
	var outs [2]string
	var errs [2]error
	var both sync.WaitGroup
	for i := range outs {
		ws := newWorkspace(t)
		w.signIn(ws)
		ws.write("main.tf", text)
		both.Go(func() { outs[i], errs[i] = ws.try("apply", "-auto-approve") })
	}
	both.Wait()
	won, lost := 0, 1
	if errs[0] != nil {
		won, lost = 1, 0
	}
	require.NoError(t, errs[won], outs[won])
	require.Error(t, errs[lost], outs[lost])
	require.Contains(t, outs[lost], "exists already")
	require.Contains(t, outs[lost], "terraform import svcauth_service_account.<label> \"ci\"")
	require.Len(t, w.named("ci").Secrets, 1)
}

// What only people read: the warnings of plans and applies.
func TestPlansWarn(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	a := w.Account("a")
	text := func(at time.Time) string {
		return required + fmt.Sprintf(`
		resource "svcauth_service_account_secret" "s" {
			service_account_id = %q
			client_secret_wo = %q
			client_secret_wo_version = 1
			expires_at = %q
		}
		resource "svcauth_role" "r" { name = "r" }
		resource "svcauth_service_account_role" "g" {
			service_account_id = %[1]q
			role_id = svcauth_role.r.id
			expires_at = %[3]q
		}
		`, a.ID, svcauth.NewSecret().Reveal(), at.UTC().Format(time.RFC3339))
	}
	ws.write("main.tf", text(time.Now().Add(40*24*time.Hour)))
	require.NotContains(t, ws.must("apply", "-auto-approve"), "Warning: A secret")
	ws.write("main.tf", text(time.Now().Add(20*24*time.Hour)))
	require.Regexp(t,
		`Warning: A secret expires soon .*The secret sec_\w+ \(…\w{4}\) of sa_\w+ expires in (19|20) days .*raise client_secret_wo_version and move expires_at`, ws.must("plan"))

	soon := ws.soon()
	ws.write("main.tf", text(soon))
	ws.must("apply", "-auto-approve")
	time.Sleep(time.Until(soon) + time.Second)
	out := ws.must("plan")
	require.Contains(t, out, "Warning: A secret has expired")
	require.Contains(t, out, "Warning: The grant has expired")
	require.Contains(t, out, "No changes")
}

// An apply that leaves an account without a token by default says so.
func TestAppliesWarnOfAccountsWithoutADefaultToken(t *testing.T) {
	needTerraform(t)
	w := &world{svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		svctest.CloudAPI: "profile: {preset: spring}",
	})}}), t}
	ws := newWorkspace(t)
	w.signIn(ws)
	roles := fmt.Sprintf("role_ids = [%q, %q]",
		w.Account("a", "clusters:view").Roles[0].ID, w.Account("b", "billing:view").Roles[0].ID)
	apply := func(more string) string {
		ws.write("main.tf", required+`
		resource "svcauth_service_account" "ci" {
			name = "ci"
			`+more+`
		}
		resource "svcauth_service_account_roles" "ci" {
			service_account_id = svcauth_service_account.ci.id
			`+roles+`
		}`)
		return ws.must("apply", "-auto-approve")
	}
	const warning = "Warning: An account gets no token without a scope or resource"
	require.NotContains(t, apply(fmt.Sprintf("default_resource = %q", svctest.CloudAPI)), warning)
	out := apply("")
	require.Contains(t, out, warning)
	require.Contains(t, out, "The service account ci gets no token without a resource")
}

// A creation whose answer was lost is taken over, and the apply says so.
func TestALostAnswerIsSaid(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	p.befalls(1, "POST", "/v1/service-accounts", doneBut(cut))
	ws := newWorkspace(t)
	w.through(p).signIn(ws)
	ws.write("main.tf", required+
		"provider \"svcauth\" { max_retries = 0 }\nresource \"svcauth_service_account\" \"ci\" { name = \"ci\" }\n")
	out := ws.must("apply", "-auto-approve")
	require.Contains(t, out,
		`The service account "ci" was made, but the connection broke before the answer came. It was found again and is managed as `+w.named("ci").ID)
	require.Empty(t, w.named("ci").Secrets)
}

// What somebody changes between a plan and its apply is not overwritten.
func TestAPlanThatWasOvertakenIsNotApplied(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	w.signIn(ws)
	text := required + `
		variable "text" { default = "" }
		resource "svcauth_service_account" "a" {
			name = "a"
			description = var.text
		}
		resource "svcauth_role" "r" {
			name = "r"
			description = var.text
		}
		resource "svcauth_member" "m" {
			email = "m@example.com"
			first_name = "M"
			last_name = var.text == "" ? "M" : var.text
		}
		`
	ws.write("main.tf", text)
	ws.must("apply", "-auto-approve")
	ws.must("plan", "-out", "plan", "-var", "text=planned")
	other, on := "by somebody else", true
	_, err := w.Admin().UpdateServiceAccount(t.Context(), w.named("a").ID, 0, svcauth.ServiceAccountPatch{
		Disabled: &on,
	}, 0)
	require.NoError(t, err)
	_, err = w.Admin().UpdateRole(t.Context(), w.roleNamed("r").ID, 0, svcauth.RolePatch{Description: &other}, 0)
	require.NoError(t, err)
	_, err = w.Admin().UpdateMember(t.Context(), w.member("m@example.com").ID, 0, svcauth.MemberPatch{
		FirstName: &other,
	}, 0)
	require.NoError(t, err)
	out, err := ws.try("apply", "plan")
	require.Error(t, err)
	for _, what := range []string{"service account", "role", "member"} {
		require.Contains(t, out, "The "+what+" was changed meanwhile")
	}
	require.Empty(t, w.named("a").Description)
	require.Equal(t, other, w.roleNamed("r").Description)
	ws.must("apply", "-auto-approve", "-var", "text=planned")
	require.Equal(t, "planned", w.roleNamed("r").Description)
}

func TestFunctions(t *testing.T) {
	needTerraform(t)
	ws := newWorkspace(t)
	secret := svcauth.NewSecret()
	ws.write("main.tf", required+fmt.Sprintf(`
		output "hint" { value = provider::svcauth::parse_secret(%q).hint }
		output "valid" { value = [provider::svcauth::secret_is_valid(%[1]q), provider::svcauth::secret_is_valid("svcs_no")] }
		`, secret.Reveal()))
	ws.must("apply", "-auto-approve")
	var outputs map[string]struct{ Value any }
	cmd := exec.Command(findTerraform(), "output", "-json")
	cmd.Dir, cmd.Env = ws.dir, ws.env
	raw, err := cmd.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &outputs))
	require.Equal(t, secret.Hint(), outputs["hint"].Value)
	require.Equal(t, []any{true, false}, outputs["valid"].Value)

	mistyped := secret[:20] + "0" + secret[21:]
	if mistyped == secret {
		mistyped = secret[:20] + "1" + secret[21:]
	}
	ws.write("main.tf", required+
		fmt.Sprintf("locals { typed = sensitive(%q) }\noutput \"hint\" { value = "+
			"nonsensitive(provider::svcauth::parse_secret(local.typed).hint) }\n", mistyped.Reveal()))
	out, err := ws.try("plan")
	require.Error(t, err)
	require.Regexp(t, regexp.MustCompile(`mistyped client secret: its last six characters do not match`), out)
	require.NotContains(t, strings.ReplaceAll(out, fmt.Sprintf("sensitive(%q)", mistyped.Reveal()), ""),
		mistyped.Reveal(), "beside the line of the configuration that Terraform quotes")
}
