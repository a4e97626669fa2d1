package people

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	minPassword = 15 // NIST SP 800-63B-4 §3.1.1.2: where the password is the only factor
	maxPassword = 128
)

// validPassword checks a password against the policy: long enough, none of
// those that attackers try first, and not made of what everybody knows about
// its owner (context).
func (s *Service) validPassword(at string, password svcauth.Secret, context ...string) error {
	text := password.Reveal()
	if n := utf8.RuneCountInString(text); n < minPassword || n > maxPassword || !utf8.ValidString(text) {
		return svcauth.InvalidField(
			at,
			"A password has %d to %d characters; a sentence of several words is a good one.",
			minPassword, maxPassword,
		)
	}
	lower := strings.ToLower(text)
	if s.blocked[lower] || predictable(lower) {
		return svcauth.InvalidField(
			at,
			"This password is on the list of those that attackers try first. Choose another one.",
		)
	}
	for _, word := range append(context, "svcauth") {
		local, _, _ := strings.Cut(word, "@")
		for _, word := range []string{strings.ToLower(word), strings.ToLower(local)} {
			if len(word) >= 4 && strings.Contains(lower, word) && littleElse(strings.ReplaceAll(lower, word, "")) {
				return svcauth.InvalidField(
					at,
					"This password is little more than a name or address that everybody knows. Choose another one.",
				)
			}
		}
	}
	return nil
}

// littleElse reports whether what is left of a password without a name is too
// easy to guess.
func littleElse(rest string) bool {
	return len(rest) < 8 || strings.IndexFunc(rest, unicode.IsLetter) < 0 || predictable(rest)
}

// newPassword returns one that nobody has to remember: 120 random bits,
// base64url.
func newPassword() svcauth.Secret {
	raw := make([]byte, 15)
	_, _ = rand.Read(raw)
	return svcauth.Secret(base64.RawURLEncoding.EncodeToString(raw))
}
