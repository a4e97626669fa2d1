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
		switch s[i] {
		case '=', '@':
			return true
		case 's':
			if strings.HasPrefix(s[i:], "svcs_") {
				return true
			}
		case 'e':
			if strings.HasPrefix(s[i:], "eyJ") {
				return true
			}
		case 'b', 'B':
			if len(s)-i > 5 && (strings.EqualFold(s[i:i+6], "bearer") || strings.EqualFold(s[i:i+5], "basic")) {
				return true
			}
		}
	}
	return false
}
