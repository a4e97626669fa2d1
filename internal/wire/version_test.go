package wire

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The version that subscribers tell is that of the newest release, and one
// that checks bindings.
func TestVersionIsOfTheNewestRelease(t *testing.T) {
	text, err := os.ReadFile("../../.github/CHANGELOG.md")
	require.NoError(t, err)
	newest := regexp.MustCompile(`(?m)^## (\S+)$`).FindSubmatch(text)
	require.NotNil(t, newest)
	require.Equal(t, string(newest[1]), Version)
	require.True(t, ChecksBindings(Version))
}

func TestChecksBindings(t *testing.T) {
	for version, checks := range map[string]bool{
		"0.1.0": true, "0.1.1": true, "0.2.0": true, "0.10.0": true, "1.0.0": true,
		"0.0.9": false, "0.0.99": false, "": false, "0.1": false, "0.1.0.0": false, "v0.1.0": false, "1.0.x": false,
		"-1.2.3": false, "99999999999.0.0": false,
	} {
		require.Equal(t, checks, ChecksBindings(version), version)
	}
}
