package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
)

var (
	makesKey  = regexp.MustCompile(`((?:umask 077; )?openssl rand 32 > )(\S*master\.key)`)
	printsKey = regexp.MustCompile("`(openssl rand -base64 32)`")
)

// TestKeysAreMadeAsThePagesSay runs the commands by which master keys are made,
// wherever a page shows one: the server takes what they make.
func TestKeysAreMadeAsThePagesSay(t *testing.T) {
	made, printed := 0, 0
	for _, page := range []string{"run.md", "../systemd/svcauth.service", "../helm/svcauth/README.md"} {
		raw, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, found := range makesKey.FindAllStringSubmatch(string(raw), -1) {
			made++
			key := filepath.Join(t.TempDir(), "master.key")
			shell(t, found[1]+key)
			if strings.HasPrefix(found[1], "umask") { // of the others a Secret is made
				_, err = config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_MASTER_KEY_FILE=" + key}})
				require.NoError(t, err, page)
			}
			info, err := os.Stat(key)
			require.NoError(t, err)
			require.EqualValues(t, 32, info.Size())
		}
		for _, found := range printsKey.FindAllStringSubmatch(string(raw), -1) {
			printed++
			key := strings.TrimSpace(shell(t, found[1]))
			_, err = config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_MASTER_KEY=" + key}})
			require.NoError(t, err, page)
		}
	}
	require.Equal(t, 3, made)
	require.Equal(t, 1, printed)
}

func shell(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-ec", command).Output()
	require.NoError(t, err, command)
	return string(out)
}
