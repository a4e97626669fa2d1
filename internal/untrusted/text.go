// Package untrusted makes text that somebody else chose fit for where it is
// shown: a line of a terminal or a log, a parameter of a header.
//
// It owns: which characters may stand where. It refuses to know: whose text it
// is, and what of it is secret, which is taken out before it is cut here.
package untrusted

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unseen reports whether a character is none that one sees: a format character
// (zero-width ones, bidirectional controls, tags), a separator other than the
// space, a filler, a variation selector.
func Unseen(r rune) bool {
	if r < 0x80 {
		return false
	}
	switch r {
	case 0x2800, 0xFFFC, utf8.RuneError: // blank of Braille, place of an object, and what stands for a broken character
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

// Unsafe reports whether a terminal would obey a character, or people could not
// see it for what it is.
func Unsafe(r rune) bool { return unicode.IsControl(r) || Unseen(r) }

// Line returns the text as one line for people: a question mark stands for each
// [Unsafe] character.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if Unsafe(r) {
			return '?'
		}
		return r
	}, text)
}

// Cut returns the text if it has at most limit bytes, else as many whole
// characters of it as fit, and an ellipsis.
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

// Quotable returns at most limit bytes of the text, as may stand between quotes
// in an OAuth2 error and its challenge: printable ASCII without quote and
// backslash (RFC 6749 §5.2, RFC 6750 §3). Those two become an apostrophe, and
// any other character a question mark.
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
