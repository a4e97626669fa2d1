package svcauth

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/svcauth/svcauth/internal/untrusted"
)

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
	if untrusted.HoldsSecret(text) {
		return untrusted.ErrSecretInText
	}
	return nil
}
