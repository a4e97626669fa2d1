package svcauth

import (
	"errors"
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// ErrSecretInText is the error of [CheckText] for a text that contains
// something with the form of a client secret. It does not repeat the secret.
var ErrSecretInText = errors.New("holds what looks like a client secret; " +
	"texts are stored and shown, and kept in the audit log. " +
	"Leave it out, and if it was a real one, end it now: whoever saw this text can use it")

// secretForm also finds a secret whose checksum was cut off or altered.
var secretForm = regexp.MustCompile(`svcs_[0-9A-Za-z]{43,}`)

// HoldsSecret reports whether a text contains something with the form of a
// client secret.
func HoldsSecret(text string) bool { return secretForm.MatchString(text) }

// RedactSecrets returns the text with everything redacted that has the form of
// a client secret.
func RedactSecrets(text string) string {
	return secretForm.ReplaceAllLiteralString(text, "svcs_[redacted]")
}

// CheckText returns an error if a text has control characters, characters that
// are invisible or change the direction of writing (so that two different names
// look the same), or a client secret. The server checks names, descriptions and
// every other text that it stores and shows with it.
func CheckText(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not valid UTF-8")
	}
	for _, r := range text {
		switch {
		case unicode.IsControl(r):
			return fmt.Errorf("holds the control character U+%04X", r)
		case untrusted.Unseen(r):
			return fmt.Errorf(
				"holds U+%04X, a character that can't be seen for what it is; type the text instead of pasting it",
				r,
			)
		}
	}
	if HoldsSecret(text) {
		return ErrSecretInText
	}
	return nil
}
