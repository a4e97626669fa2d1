package access

import (
	"strings"
	"time"
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

// validEmail takes one bare address, see [svcauth.ParseEmail].
func validEmail(at, email string) (string, error) {
	if err := svcauth.CheckText(strings.TrimSpace(email)); err != nil {
		return "", unfit(at, err)
	}
	email, err := svcauth.ParseEmail(email)
	if err != nil {
		return "", svcauth.InvalidField(at, "Expected one e-mail address, such as ann@example.com.")
	}
	return email, nil
}
