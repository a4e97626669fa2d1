package untrusted

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"plain, é 日本 🚀 a̐":   "plain, é 日本 🚀 a̐",
		"a\x1b[2Jb":          "a?[2Jb",
		"a\r\nb\tc\x00d\x7f": "a??b?c?d?",
		"\u009b31m\u0085":    "?31m?",
		"\u202e\u2066\u200b\u00ad\u2028\u2029\ufeff\U000e0041\u00a0": "?????????",
		"\xff\xfe\ufffd": "???",
	} {
		require.Equal(t, want, Line(in), "%q", in)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"éé", 3, "é…"}, {"éé", 4, "éé"}, {"🚀🚀", 7, "🚀…"},
		{"🚀", 3, "…"}} {
		require.Equal(t, c.want, Cut(c.text, c.limit))
	}
}

func TestQuotable(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"scope clusters:view ~!'":     "scope clusters:view ~!'",
		`a "b" \c`:                    `a 'b' 'c`,
		"a\r\nX: y\x00\x7fé🚀":         "a??X: y????",
		"\xff":                        "?",
		strings.Repeat("x", 50):       strings.Repeat("x", 40),
		strings.Repeat("é", 20) + "b": strings.Repeat("?", 20),
	} {
		require.Equal(t, want, Quotable(in, 40), "%q", in)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b\u202e\xffé", 3)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = min(max(limit, 0), 1<<20)
		line := Line(text)
		require.False(t, strings.ContainsFunc(line, Unsafe), "%q", line)
		require.Equal(t, line, Line(line))
		cut := Cut(line, limit)
		require.True(t, utf8.ValidString(cut))
		require.LessOrEqual(t, len(cut), limit+len("…"))
		quotable := Quotable(text, limit)
		require.LessOrEqual(t, len(quotable), limit)
		require.NotRegexp(t, `[^ !#-\[\]-~]`, quotable) // RFC 6749 §5.2
	})
}
