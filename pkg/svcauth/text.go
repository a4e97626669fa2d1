package svcauth

import (
	"errors"
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// ErrSecretInText refuses a text with something in it that has the form of a
// client secret. It does not repeat it.
var ErrSecretInText = errors.New("holds what looks like a client secret; " +
	"texts are stored and shown, and kept in the audit log. " +
	"Leave it out, and if it was a real one, end it now: whoever saw this text can use it")

// secretForm finds a secret, and one that has lost its check sum, in a text.
var secretForm = regexp.MustCompile(`svcs_[0-9A-Za-z]{43,}`)

// HoldsSecret reports whether a text has something in it that has the form of a
// client secret.
func HoldsSecret(text string) bool { return secretForm.MatchString(text) }

// RedactSecrets returns the text without what has the form of a client secret.
func RedactSecrets(text string) string {
	return secretForm.ReplaceAllLiteralString(text, "svcs_[redacted]")
}

// CheckText refuses a text that people could not read as it is: with control
// characters, or with characters that can't be seen or turn the direction of
// writing, by which two different names look the same; or with a client secret
// in it. It is the one rule for names, descriptions and all else that is kept
// and shown.
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
