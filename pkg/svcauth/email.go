package svcauth

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxEmailLength is in bytes (RFC 5321 §4.5.3.1.3).
const maxEmailLength = 254

// ParseEmail returns a member's e-mail address as the server stores it: without
// surrounding white space and with ASCII letters in lower case. It accepts one
// bare address that mail can be sent to (RFC 5321 §4.1.2), without quoted local
// parts and address literals. Otherwise the error says what was expected, and
// doesn't repeat the text.
func ParseEmail(text string) (string, error) {
	email := EmailKey(text)
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > maxEmailLength ||
		!utf8.ValidString(email) || !deliverable(email) {
		return "", errors.New("expected one e-mail address, such as ann@example.com")
	}
	return email, nil
}

// deliverable reports whether an address names nothing but a mailbox. Some mail
// servers read more into it: a route (% and !), a command (|), an option (a
// leading hyphen), or a host given by its number.
func deliverable(email string) bool {
	local, domain, _ := strings.Cut(email, "@")
	only := func(text, also string) bool {
		return strings.IndexFunc(text, func(r rune) bool {
			return !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune(also, r)
		}) < 0
	}
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return only(local, ".#$&'*+/=?^_{}~-") && !strings.HasPrefix(local, "-") &&
		only(domain, ".-") && strings.Trim(last, "0123456789") != ""
}

// EmailKey returns the form in which e-mail addresses are compared: without
// surrounding white space and with ASCII letters in lower case. Other letters
// are left as they are: by Unicode's rules the Kelvin sign (U+212A) is a k,
// which would make one person's mailbox another's.
func EmailKey(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, strings.TrimSpace(text))
}
