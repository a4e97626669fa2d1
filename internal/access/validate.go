package access

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// validName trims a name and refuses one that is empty, too long or holds control characters. at is its place in the request, such as "body.name".
func validName(at, name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > svcauth.MaxNameLength || !printable(name) {
		return "", svcauth.InvalidField(at, "A name has 1 to %d characters, none of them a control character.", svcauth.MaxNameLength)
	}
	return name, nil
}

// validPersonName takes what a person is called; it may be empty.
func validPersonName(at, name string) (string, error) {
	name = strings.TrimSpace(name)
	if utf8.RuneCountInString(name) > svcauth.MaxNameLength || !printable(name) {
		return "", svcauth.InvalidField(at, "A name has at most %d characters, none of them a control character.", svcauth.MaxNameLength)
	}
	return name, nil
}

func validDescription(at, text string) (string, error) {
	text = strings.TrimSpace(text)
	if utf8.RuneCountInString(text) > svcauth.MaxDescriptionLength || !printable(text) {
		return "", svcauth.InvalidField(at, "A description has at most %d characters, none of them a control character.", svcauth.MaxDescriptionLength)
	}
	return text, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
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
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > 254 || !printable(email) || !deliverable(email) {
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
