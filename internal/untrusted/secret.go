package untrusted

import (
	"errors"
	"regexp"
)

// ErrSecretInText says what is wrong with a text that contains something with
// the form of a client secret. It does not repeat the secret.
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
