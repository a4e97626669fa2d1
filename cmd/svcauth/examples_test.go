package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
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
	server := svctest.New(t, svctest.Options{})
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
	const specimen = "_01h455vb4pex5vsknk084sn02q"
	return []string{"sec" + specimen, deployer.Secrets[0].ID, "ak" + specimen, key.ID, "org" + specimen, tenant.ID,
		"4Q2tq0kcTfOGbyXlJbvJ5g", string(jti[1]), "2ZLl1bZqVqjTd1hXz0m0Rg", keys.Items[0].KID}
}
