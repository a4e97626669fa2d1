package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestThePageListsEveryAction: whoever filters the audit log reads there what
// can be in it.
func TestThePageListsEveryAction(t *testing.T) {
	page, err := os.ReadFile("operate.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "| of | actions |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	listed, noun := []string{}, ""
	for _, word := range regexp.MustCompile("`[a-z_]*\\.[a-z_]+`").FindAllString(table, -1) {
		word = strings.Trim(word, "`")
		if of, verb, _ := strings.Cut(word, "."); of != "" {
			noun = of
		} else {
			word = noun + "." + verb
		}
		listed = append(listed, word)
	}
	require.ElementsMatch(t, svcauth.AuditActions(), listed)
}
