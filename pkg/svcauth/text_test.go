package svcauth

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/untrusted"
)

func TestCheckText(t *testing.T) {
	for _, text := range []string{"", "ci", "Zoë Müller", "日本語 プロジェクト", "a b", "עברית", "ci 🚀",
		"svcs_ is how secrets begin", "svcs_short"} {
		require.NoError(t, CheckText(text), "%q", text)
	}
	for _, r := range []rune{0, '\n', '\t', 0x1b, 0x7f, 0x85, 0x9b, 0xa0, 0xad, 0x34f, 0x61c, 0x115f, 0x180e, 0x2003,
		0x200b, 0x200d, 0x200e, 0x2028, 0x2029, 0x202e,
		0x202f, 0x2060, 0x2066, 0x2069, 0x2800, 0x3000, 0x3164, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xfffc, 0xe0001,
		0xe0041, 0xe0100} {
		err := CheckText("ad" + string(r) + "min")
		require.ErrorContains(t, err, fmt.Sprintf("U+%04X", r))
	}
	require.Error(t, CheckText("ad\xffmin"))
}

func TestSecretsInTextAreRefusedAndNotRepeated(t *testing.T) {
	secret := NewSecret().Reveal()
	for _, text := range []string{secret, "the secret is " + secret + ".", secret[:48], secret + "x",
		"a/" + secret + "/b"} {
		err := CheckText(text)
		require.ErrorIs(t, err, untrusted.ErrSecretInText)
		require.NotContains(t, err.Error(), secret[5:20])
		require.True(t, untrusted.HoldsSecret(text))
		require.NotContains(t, untrusted.RedactSecrets(text), secret[5:20])
	}
	require.Equal(t, "a svcs_[redacted] b", untrusted.RedactSecrets("a "+secret+" b"))
	require.Equal(t, "a b", untrusted.RedactSecrets("a b"))
}
