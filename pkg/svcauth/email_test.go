package svcauth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEmailsAsTheServerKeepsThem(t *testing.T) {
	for text, want := range map[string]string{
		" Ann@Example.COM ": "ann@example.com", "ann+tag@example.com": "ann+tag@example.com",
		"o'brien@example.co.uk": "o'brien@example.co.uk",
		"Ünal@bücher.example":   "Ünal@bücher.example", "\u212aate@example.com": "\u212aate@example.com",
		"x@localhost": "x@localhost",
	} {
		got, err := ParseEmail(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "ann", "ann@", "@example.com", "a@b@example.com",
		"ann@example.com, bob@example.com", "Ann <ann@example.com>", "ann@[192.0.2.1]",
		"ann@192.0.2.1", `"ann lee"@example.com`, `"ann"@example.com`, "ann%evil.example@example.com",
		"evil!ann@example.com", "|cmd@example.com", "-o@example.com",
		"ann@example.com\r\nBcc: all@example.com", "ann@exa mple.com", strings.Repeat("a", 250) + "@example.com",
		"ann\u202e@example.com"} {
		_, err := ParseEmail(text)
		require.Error(t, err, text)
	}
}
