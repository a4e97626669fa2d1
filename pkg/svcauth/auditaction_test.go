package svcauth

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuditActionsOfAFilter(t *testing.T) {
	require.True(t, slices.IsSorted(AuditActions()))
	secrets := []string{"secret.create", "secret.delete", "secret.update"}
	for _, c := range []struct {
		words []string
		want  []string
	}{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"secret.create"}, secrets[:1]},
		{[]string{"secret."}, secrets},
		{[]string{"secret.*"}, secrets},
		{[]string{"secret.*,secret.create"}, secrets},
		{[]string{"secret.update, secret.create", "secret.delete"}, secrets},
		{[]string{"member.sign_*", "x"}, nil},
	} {
		got, err := ParseAuditActions(c.words...)
		if len(c.words) == 2 && c.words[1] == "x" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, c.words)
		require.Equal(t, c.want, got, c.words)
	}
}

// A word that is no action is an error that names what may have been meant:
// an empty list would say that it never happened.
func TestUnknownAuditActionNamesTheNearest(t *testing.T) {
	for word, want := range map[string]string{
		"secret.creat":           "did you mean secret.create",
		"service-account.create": "did you mean service_account.create",
		"secret":                 "secret.create or secret.delete",
		"sign_in":                "did you mean member.sign_in",
		"rolle.delete":           "did you mean role.delete",
		"xyzzy":                  "all of a noun: application_key.*, catalog.*",
		"*":                      "all of a noun",
		"a\x1bb":                 `no action "a?b"`,
	} {
		_, err := ParseAuditActions(word)
		require.ErrorContains(t, err, want, word)
	}
}
