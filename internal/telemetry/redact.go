package telemetry

import (
	"regexp"
	"strings"
)

const redacted = "[redacted]"

// credentials are what a credential looks like inside a longer text, and what
// is left of it. The patterns are wide on purpose: they redact a piece of a
// secret as well, and now and then a harmless word.
var credentials = []struct {
	form *regexp.Regexp
	left string
}{
	{regexp.MustCompile(`svcs_[0-9A-Za-z]+`), "svcs_" + redacted},
	{regexp.MustCompile(`eyJ[0-9A-Za-z_-]{5,}(\.[0-9A-Za-z_-]*)*`), redacted},
	{regexp.MustCompile(`(?i)\bbearer(\s|%20|\+)+[^\s"',;&]+`), "Bearer " + redacted},
	{regexp.MustCompile(`(?i)\bbasic\s+[0-9a-z+/_=-]{8,}`), "Basic " + redacted},
	{
		regexp.MustCompile(`(?i)\b(client_secret|client_assertion|password|access_token|token)=[^\s&"']+`),
		"$1=" + redacted,
	},
	{regexp.MustCompile(`(://[^/\s:@]*):[^\s]+@`), "$1:" + redacted + "@"},
}

func redact(s string) string {
	if !suspicious(s) {
		return s
	}
	for _, c := range credentials {
		s = c.form.ReplaceAllString(s, c.left)
	}
	return s
}

// suspicious reports whether any of the patterns could match, in one pass over
// the text and without allocating.
func suspicious(s string) bool {
	for i := range len(s) {
		if bytesOf[s[i]]&suspect != 0 && couldBegin(s[i:]) {
			return true
		}
	}
	return false
}

// isHarmless reports whether a text may stand in a line of JSON as it is: it is
// printable ASCII with nothing to escape, and not suspicious.
func isHarmless(s string) bool {
	for i := range len(s) {
		if of := bytesOf[s[i]]; of != 0 && (of&escaped != 0 || couldBegin(s[i:])) {
			return false
		}
	}
	return true
}

// couldBegin reports whether s begins with what a pattern has in it.
func couldBegin(s string) bool {
	switch s[0] {
	case '=', '@':
		return true
	case 's':
		return strings.HasPrefix(s, "svcs_")
	case 'e':
		return strings.HasPrefix(s, "eyJ")
	case 'b', 'B':
		return len(s) > 5 && (strings.EqualFold(s[:6], "bearer") || strings.EqualFold(s[:5], "basic"))
	}
	return false
}

const (
	suspect byte = 1 << iota // couldBegin has a case for it
	escaped                  // a string of JSON can't have it as it is, or a line of the log shouldn't
)

// bytesOf says of each byte what it is. Every text of every line is looked
// through byte by byte: most are neither.
var bytesOf = func() (of [256]byte) {
	for c := range of {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			of[c] = escaped
		}
	}
	for _, c := range "=@sebB" {
		of[c] |= suspect
	}
	return of
}()
