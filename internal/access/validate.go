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

// validEmail takes one bare address, RFC 5322 §3.4.1, of at most 254 bytes.
func validEmail(at, email string) (string, error) {
	email = strings.TrimSpace(email)
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > 254 || !printable(email) {
		return "", svcauth.InvalidField(at, "Expected one e-mail address, such as ann@example.com.")
	}
	return email, nil
}
