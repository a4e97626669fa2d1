package console

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestPastedTextsMeanWhatTheySay reads each text as the program that it is for,
// with texts in it that would mean something else if they were pasted as they
// are.
func TestPastedTextsMeanWhatTheySay(t *testing.T) {
	const hostile = "it's \"$(touch /tmp/x)\" `id`: # {a} %41"
	made := svcauth.FederatedCredential{
		Audience: hostile, Subject: "system:serviceaccount:shop:" + hostile,
		Claims: map[string]string{"environment": hostile},
	}
	for _, preset := range svcauth.FederatedPresets() {
		text := presetFormOf(preset).paste(pasted{"https://auth.example.com", "sa_1", made, "acme/app"}).Text
		switch preset {
		case svcauth.PresetGitHub, svcauth.PresetGitLab, svcauth.PresetKubernetes:
			var read any
			require.NoError(t, yaml.Unmarshal([]byte(text), &read), text)
			var found int
			count(read, hostile, &found)
			wants := 2 // the audience and the environment
			if preset == svcauth.PresetKubernetes {
				wants = 1
			}
			require.Equal(t, wants, found, "%s: %s", preset, text)
		case svcauth.PresetHCPTerraform:
			require.Contains(t, text, "# TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH = ")
		default:
			require.NotContains(t, strings.ReplaceAll(text, shellText(hostile), ""), "touch /tmp/x\"", preset)
			check := exec.Command("sh", "-n")
			check.Stdin = strings.NewReader(text)
			out, err := check.CombinedOutput()
			require.NoError(t, err, "%s: %s\n%s", preset, out, text)
		}
	}
	out, err := exec.Command("sh", "-c", "printf %s "+shellText(hostile)).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, hostile, string(out))
	require.Equal(t, "https://auth.example.com", yamlText("https://auth.example.com"))
	require.Equal(t, `"yes: no"`, yamlText("yes: no"))
	for _, text := range []string{"true", "Off", "no", "2026", "1e3", "12:30", "NULL"} {
		require.Equal(t, `"`+text+`"`, yamlText(text), "a text, not what it may be read as")
	}
}

// count counts how often a text is a value in YAML that was read.
func count(in any, text string, found *int) {
	switch v := in.(type) {
	case string:
		if v == text {
			*found++
		}
	case map[string]any:
		for _, one := range v {
			count(one, text, found)
		}
	case []any:
		for _, one := range v {
			count(one, text, found)
		}
	}
}
