package access

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// validName trims a name and refuses one that is empty, too long or not fit to be
// read. at is its place in the request, such as "body.name".
func validName(at, name string) (string, error) {
	return validText(at, "A name", name, 1, svcauth.MaxNameLength)
}

// validPersonName takes what a person is called; it may be empty.
func validPersonName(at, name string) (string, error) {
	return validText(at, "A name", name, 0, svcauth.MaxNameLength)
}

func validDescription(at, text string) (string, error) {
	return validText(at, "A description", text, 0, svcauth.MaxDescriptionLength)
}

// validText trims a text and refuses one that [svcauth.CheckText] refuses, or
// that has too few or too many characters.
func validText(at, what, text string, low, high int) (string, error) {
	text = strings.TrimSpace(text)
	if err := svcauth.CheckText(text); err != nil {
		return "", unfit(at, err)
	}
	if n := utf8.RuneCountInString(text); n < low || n > high {
		return "", svcauth.InvalidField(at, "%s has %d to %d characters; this has %d.", what, low, high, n)
	}
	return text, nil
}

// unfit says of a text why [svcauth.CheckText] refuses it.
func unfit(at string, err error) error {
	return svcauth.InvalidField(at, "The text %s.", err)
}

// validExpiry refuses a moment that does not lie ahead.
func validExpiry(at string, t *time.Time, now time.Time) error {
	if t != nil && !t.After(now) {
		return svcauth.InvalidField(at, "The moment %s has passed; expected one that lies ahead.", t.UTC().Format(time.RFC3339))
	}
	return nil
}

// validTTL takes 0 for the server's default.
func validTTL(at string, seconds int) error {
	if seconds != 0 && (seconds < svcauth.MinTokenTTLSeconds || seconds > svcauth.MaxTokenTTLSeconds) {
		return svcauth.InvalidField(at, "A token lives %d to %d seconds; 0 means the server's default.", svcauth.MinTokenTTLSeconds, svcauth.MaxTokenTTLSeconds)
	}
	return nil
}

// validEmail takes one bare address that mail can be sent to, in lower case:
// RFC 5321 §4.1.2 without quoted local parts and address literals.
func validEmail(at, email string) (string, error) {
	email = lowerASCII(strings.TrimSpace(email))
	if err := svcauth.CheckText(email); err != nil {
		return "", unfit(at, err)
	}
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > 254 || !deliverable(email) {
		return "", svcauth.InvalidField(at, "Expected one e-mail address, such as ann@example.com.")
	}
	return email, nil
}

// deliverable refuses what some mail servers read as more than a mailbox: a
// route (% and !), a command (|), an option (a hyphen first), or a host given
// by its number.
func deliverable(email string) bool {
	local, domain, _ := strings.Cut(email, "@")
	odd := func(also string) func(rune) bool {
		return func(r rune) bool {
			return !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune(also, r)
		}
	}
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return !strings.HasPrefix(local, "-") && strings.IndexFunc(local, odd(".#$&'*+/=?^_{}~-")) < 0 &&
		strings.IndexFunc(domain, odd(".-")) < 0 && strings.Trim(last, "0123456789") != ""
}

// lowerASCII changes the case of ASCII letters only: beyond them Unicode's
// rules make one person's address another's.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
