package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// verified returns what systemd finds wrong with a unit, which may be all that
// it finds: to it, an unknown key is no error.
func verified(t *testing.T, unit string) string {
	t.Helper()
	needs.Service(t, "systemd-analyze")
	file := filepath.Join(t.TempDir(), "svcauth.service")
	unit = strings.ReplaceAll(unit, "/usr/local/bin/svcauth ", "/bin/true ") // it must be there
	require.NoError(t, os.WriteFile(file, []byte(unit), 0o600))
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestSystemdUnderstandsTheUnit(t *testing.T) {
	unit := read(t, "systemd/svcauth.service")
	require.Empty(t, verified(t, unit))
	require.Empty(t, verified(t, unit+read(t, "systemd/master-key.conf")), "with the drop-in")
	require.Contains(t, verified(t, unit+"\n[Service]\nNoNewPrivilegez=yes\n"), "NoNewPrivilegez",
		"the check must be able to fail")
}

// TestTheFirstAdministratorUnderSystemd takes the commands at the head of the
// unit apart: systemd-run has their options, they run what the unit runs as
// whom it runs it, and a unit made of them is understood.
func TestTheFirstAdministratorUnderSystemd(t *testing.T) {
	unit := read(t, "systemd/svcauth.service")
	head, _, _ := strings.Cut(unit, "[Unit]")
	head = regexp.MustCompile(`\\\n#\s*`).ReplaceAllString(head, " ")
	command := regexp.MustCompile(`(?m)^#\s+systemd-run (.*) (/\S+) bootstrap$`).FindStringSubmatch(head)
	require.NotNil(t, command, head)
	further := regexp.MustCompile(`(?m)^# With master-key.conf also, before the program: (.*)$`).
		FindStringSubmatch(head)
	require.NotNil(t, further, head)
	help := run(t, ".", "systemd-run", "--help")
	require.Contains(t, unit, "ExecStart="+command[2]+" serve\n")

	options := strings.Fields(command[1] + " " + further[1])
	made := "[Service]\nExecStart=" + command[2] + " bootstrap\n"
	given := map[string]string{}
	for i := 0; i < len(options); i++ {
		name, value, _ := strings.Cut(options[i], "=")
		require.Contains(t, help, map[bool]string{true: " " + name, false: name + "="}[len(name) == 2 || value == ""])
		switch {
		case name == "-p":
			i++
			made += options[i] + "\n"
		case name == "-E":
			i++
			made += "Environment=" + options[i] + "\n"
		default:
			given[name] = value
		}
	}
	for option, key := range map[string]string{
		"--uid": "User", "--gid": "Group", "--working-directory": "WorkingDirectory",
	} {
		require.Contains(t, unit, "\n"+key+"="+given[option]+"\n")
		made += key + "=" + given[option] + "\n"
	}
	require.Empty(t, verified(t, made))
	for _, line := range []string{"EnvironmentFile=-/etc/svcauth/environment",
		"Environment=SVCAUTH_CONFIG=/etc/svcauth/svcauth.yaml"} {
		require.Contains(t, unit, "\n"+line+"\n")
		require.Contains(t, made, "\n"+line+"\n")
	}
	// %d of the drop-in is this directory of the unit that is made here.
	require.Contains(t, made, "SVCAUTH_MASTER_KEY_FILE=/run/credentials/"+given["--unit"]+".service/master.key")
	require.Contains(t, read(t, "systemd/master-key.conf"), "\nLoadCredential=master.key:/etc/svcauth/master.key\n")
	require.Contains(t, made, "\nLoadCredential=master.key:/etc/svcauth/master.key\n")
}
