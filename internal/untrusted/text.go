// Package untrusted makes text from others safe for where it is shown: a line
// of a terminal or a log, a parameter of a header.
//
// It owns: which characters may be where. It refuses to know: whose text it is,
// and which parts of it are secret; the caller removes these first.
package untrusted

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unseen reports whether a character is invisible: a format character
// (zero-width ones, bidirectional controls, tags), a separator other than the
// space, a filler or a variation selector.
func Unseen(r rune) bool {
	if r < 0x80 {
		return false
	}
	switch r {
	case 0x2800, 0xFFFC, utf8.RuneError: // Braille blank, object replacement, replacement character
		return true
	}
	return unicode.In(
		r,
		unicode.Cf,
		unicode.Zs,
		unicode.Zl,
		unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point,
		unicode.Variation_Selector,
	)
}

// Unsafe reports whether a character is a control character or [Unseen].
func Unsafe(r rune) bool { return unicode.IsControl(r) || Unseen(r) }

// Line returns the text as one line, with a question mark for each [Unsafe]
// character.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if Unsafe(r) {
			return '?'
		}
		return r
	}, text)
}

// Cut returns the text if it has at most limit bytes. Otherwise it returns as
// many whole characters of it as fit, and an ellipsis.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// Quotable returns at most limit bytes of the text, in the characters that a
// quoted parameter of an OAuth2 error or challenge may have: printable ASCII
// without quote and backslash (RFC 6749 §5.2, RFC 6750 §3). Those two become an
// apostrophe, any other character a question mark.
func Quotable(text string, limit int) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text[:min(len(text), limit)])
}
