package provider

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// replaced is a workspace with one grant of each kind, and tokens that stand on
// them.
type replaced struct {
	*workspace
	w       *world
	account svcauth.ServiceAccount // holds one role by _role
	all     svcauth.ServiceAccount // holds it by _roles
	member  string
	token   string
	tokens  string
}

// grantsOf is a configuration with one grant of each kind.
const grantsOf = `
	variable "again" { default = "" }
	resource "terraform_data" "again" { input = var.again }
	resource "svcauth_role" "r" {
		name = "R"
		privileges = ["clusters:view"]
	}
	resource "svcauth_service_account_role" "g" {
		service_account_id = "ACCOUNT"
		role_id = svcauth_role.r.id
		LIFECYCLE
	}
	resource "svcauth_service_account_roles" "all" {
		service_account_id = "ALL"
		role_ids = [svcauth_role.r.id]
		LIFECYCLE
	}
	resource "svcauth_member_role" "m" {
		member_id = "MEMBER"
		role_id = svcauth_role.r.id
		LIFECYCLE
	}
	`

func newReplaced(t *testing.T, w *world, lifecycle string) *replaced {
	t.Helper()
	r := &replaced{workspace: newWorkspace(t), w: w}
	w.signIn(r.workspace)
	r.account, r.all = w.Account("one"), w.Account("all")
	m, err := w.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: "m@example.com"})
	require.NoError(t, err)
	r.member = m.ID
	r.config(grantsOf, lifecycle)
	r.must("apply", "-auto-approve")
	r.token = w.Token(r.account.ClientID, r.account.ClientSecret, "")
	r.tokens = w.Token(r.all.ClientID, r.all.ClientSecret, "")
	r.holds()
	return r
}

func (r *replaced) config(text, lifecycle string) {
	r.write("main.tf", required+
		strings.NewReplacer("ACCOUNT", r.account.ID, "ALL", r.all.ID, "MEMBER", r.member, "LIFECYCLE",
			lifecycle).Replace(text))
}

// holds requires that each grant is there, that no token has died, and that
// Terraform sees no difference.
func (r *replaced) holds() {
	r.t.Helper()
	for _, holder := range []string{r.account.ID, r.all.ID, r.member} {
		held, err := holds(r.t.Context(), r.w.Admin(), holder)
		require.NoError(r.t, err)
		require.Len(r.t, held, 1, holder)
		require.Equal(r.t, "R", held[0].Name)
	}
	require.True(r.t, r.w.Active(r.account.ClientID, r.account.ClientSecret, r.token), "the account's token lives")
	require.True(r.t, r.w.Active(r.all.ClientID, r.all.ClientSecret, r.tokens),
		"the token of the account with all its roles lives")
	out, err := r.try("plan", "-detailed-exitcode")
	require.NoError(r.t, err, out)
}

func (r *replaced) gone() {
	r.t.Helper()
	r.must("destroy", "-auto-approve")
	for _, holder := range []string{r.account.ID, r.all.ID, r.member} {
		held, err := holds(r.t.Context(), r.w.Admin(), holder)
		require.NoError(r.t, err)
		require.Empty(r.t, held, holder)
	}
	require.False(r.t, r.w.Active(r.account.ClientID, r.account.ClientSecret, r.token))
}

// TestAReplacedGrantIsStillThere replaces grants in every way that Terraform
// has: whichever half comes first, each is there afterwards and no token dies.
func TestAReplacedGrantIsStillThere(t *testing.T) {
	again := []string{"-replace", "svcauth_service_account_role.g", "-replace", "svcauth_service_account_roles.all",
		"-replace", "svcauth_member_role.m"}
	for order, lifecycle := range map[string]string{
		"destroyed first": "",
		"created first":   "create_before_destroy = true",
	} {
		t.Run(order, func(t *testing.T) {
			w := newWorld(t)
			r := newReplaced(t, w, "lifecycle {\n replace_triggered_by = [terraform_data.again]\n"+lifecycle+"\n}")
			out := r.must(append([]string{"apply", "-auto-approve"}, again...)...)
			require.Contains(t, out, "3 added")
			r.holds()
			r.must("apply", "-auto-approve", "-var", "again=1")
			r.must("apply", "-auto-approve")
			r.holds()
			for i := 1; i < len(again); i += 2 {
				r.must("taint", again[i])
			}
			r.must("apply", "-auto-approve")
			r.holds()
			r.gone()
		})
	}
}

// TestAGrantUnderAnotherAddressIsStillThere gives a grant to another resource
// in one apply, which orders the two as it likes.
func TestAGrantUnderAnotherAddressIsStillThere(t *testing.T) {
	w := newWorld(t)
	r := newReplaced(t, w, "")
	list := func(kind, key string) {
		text := strings.ReplaceAll(grantsOf, `resource "svcauth_service_account_role" "g" {`,
			`resource "svcauth_service_account_role" "g" {
			for_each = toset(["`+key+`"])`)
		if kind == "all" {
			i, j := strings.Index(grantsOf, `resource "svcauth_service_account_role" "g"`), strings.Index(grantsOf,
				`resource "svcauth_service_account_roles"`)
			text = grantsOf[:i] + strings.ReplaceAll(`resource "svcauth_service_account_roles" "g" {
				service_account_id = "ACCOUNT"
				role_ids = [svcauth_role.r.id]
			}`+"\n", "\t", "") + grantsOf[j:]
		}
		r.config(text, "")
		r.must("apply", "-auto-approve")
		// if the deletion came first the old one is dead
		r.token = w.Token(r.account.ClientID, r.account.ClientSecret, "")
		r.holds()
	}
	list("one", "a")
	list("one", "b")
	list("all", "")
	list("one", "c")
	r.gone()
}

// TestADocumentedMoveKeepsTokens gives a grant to another resource in the two
// ways that the documentation names for it, so that no token dies.
func TestADocumentedMoveKeepsTokens(t *testing.T) {
	w := newWorld(t)
	r := newReplaced(t, w, "")
	const from = `resource "svcauth_service_account_role" "g" {`
	r.config(strings.Replace(grantsOf, from, `moved {
		from = svcauth_service_account_role.g
		to = svcauth_service_account_role.h
	}
	resource "svcauth_service_account_role" "h" {`, 1), "")
	r.must("apply", "-auto-approve")
	r.holds()
	one := grantsOf[strings.Index(grantsOf, from):strings.Index(grantsOf, `resource "svcauth_service_account_roles"`)]
	r.config(strings.Replace(grantsOf, one, `removed {
		from = svcauth_service_account_role.h
		lifecycle {
			destroy = false
		}
	}
	resource "svcauth_service_account_roles" "g" {
		service_account_id = "ACCOUNT"
		role_ids = [svcauth_role.r.id]
	}
	`, 1), "")
	r.must("apply", "-auto-approve")
	r.holds()
	r.gone()
}

// TestAGrantWhosePairTurnsOutTheSameIsLeftAlone: what is not known before apply
// plans no replacement.
func TestAGrantWhosePairTurnsOutTheSameIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	r := newReplaced(t, w, "")
	text := strings.NewReplacer(`= "ACCOUNT"`, `= terraform_data.again.output == "x" ? "" : "ACCOUNT"`, `= "ALL"`,
		`= terraform_data.again.output == "x" ? "" : "ALL"`,
		`= "MEMBER"`, `= terraform_data.again.output == "x" ? "" : "MEMBER"`).Replace(grantsOf)
	r.config(text, "")
	out := r.must("apply", "-auto-approve", "-var", "again=1")
	require.NotContains(t, out, "must be replaced")
	r.must("apply", "-auto-approve")
	r.holds()
}

// TestAGrantThatAnotherHasReplacedIsNotDeleted: two configurations know the
// pair.
func TestAGrantThatAnotherHasReplacedIsNotDeleted(t *testing.T) {
	w := newWorld(t)
	r := newReplaced(t, w, "")
	roleID := w.roleNamed("R").ID
	require.NoError(t,
		second(
			w.Admin().AssignServiceAccountRole(t.Context(), r.account.ID, roleID, svcauth.GrantRequest{
				ID: svcauth.NewID(svcauth.PrefixGrant),
			})))
	r.must("destroy", "-auto-approve", "-target", "svcauth_service_account_role.g", "-refresh=false")
	held, err := holds(t.Context(), w.Admin(), r.account.ID)
	require.NoError(t, err)
	require.Len(t, held, 1)
	require.True(t, w.Active(r.account.ClientID, r.account.ClientSecret, r.token))
}

// TestAnInterruptedGrantIsManaged presses Ctrl-C while the server's answer to a
// grant is under way.
func TestAnInterruptedGrantIsManaged(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	ws := newWorkspace(t)
	w.through(p).signIn(ws)
	account := w.Account("one")
	ws.write("main.tf", required+`
		resource "svcauth_role" "r" { name = "R" }
		resource "svcauth_service_account_role" "g" {
			service_account_id = "`+account.ID+`"
			role_id = svcauth_role.r.id
		}`)
	cmd := exec.Command(findTerraform(), "apply", "-auto-approve", "-no-color")
	cmd.Dir, cmd.Env = ws.dir, ws.env
	p.befalls(1, "PUT", "/v1/.*", doneBut(func(_ *proxy, _ http.ResponseWriter, r *http.Request) {
		_ = cmd.Process.Signal(os.Interrupt)
		<-r.Context().Done() // the provider hangs up, for Terraform has told it to stop
	}))
	_ = cmd.Run() // whether it says that it was interrupted is Terraform's
	held, err := holds(t.Context(), w.Admin(), account.ID)
	require.NoError(t, err)
	require.Len(t, held, 1, "the server had granted it")
	require.Contains(t, ws.must("state", "list"), "svcauth_service_account_role.g")
	p.heal()
	ws.must("destroy", "-auto-approve")
	held, err = holds(t.Context(), w.Admin(), account.ID)
	require.NoError(t, err)
	require.Empty(t, held)
}
