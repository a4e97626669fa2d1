package request

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzIfNoneMatch never takes a tag for ours that is not.
func FuzzIfNoneMatch(f *testing.F) {
	for _, s := range []string{"", "*", `"tag"`, `W/"tag"`, `"a", "tag"`, `"tag`, `tag`, ",,,", `"x","y"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if matches([]string{header}, `"tag"`) {
			require.True(t, strings.Contains(header, `"tag"`) || strings.Contains(header, "*"))
		}
	})
}
