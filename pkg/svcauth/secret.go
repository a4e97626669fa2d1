package svcauth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/big"
	"strings"
	"unicode/utf8"
)

const (
	secretPrefix = "svcs_"
	secretBody   = 43 // base62 characters that hold 256 bits
	secretSum    = 6  // base62 characters that hold 32 bits
	secretLen    = len(secretPrefix) + secretBody + secretSum
	base62       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Secret is a client secret in clear text: "svcs_", 43 base62 characters (256
// random bits), and 6 base62 characters with the CRC-32 (IEEE) of all before
// them. Its JSON form is the clear text, since the API shows a new secret once.
// Every other way to print it (fmt, slog) shows a redacted text.
type Secret string

// The errors of [ParseSecret].
var (
	ErrSecretForm     = errors.New("not a client secret: expected svcs_ and 49 letters or digits")
	ErrSecretChecksum = errors.New("mistyped client secret: its last six characters do not " +
		"match the rest; copy it again, whole")
)

// NewSecret returns a new secret with 256 bits from crypto/rand.
func NewSecret() Secret {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	b := make([]byte, 0, secretLen)
	b = append(b, secretPrefix...)
	b = appendBase62(b, new(big.Int).SetBytes(raw[:]), secretBody)
	return Secret(appendBase62(b, big.NewInt(int64(crc32.ChecksumIEEE(b))), secretSum))
}

// ParseSecret returns s as a Secret if its form and its checksum are right.
// Otherwise the error is [ErrSecretChecksum], or wraps [ErrSecretForm] and says
// what is wrong with the form. No error shows a part of the text.
func ParseSecret(s string) (Secret, error) {
	if fault := secretFault(s); fault != "" {
		return "", fmt.Errorf("%w; this %s", ErrSecretForm, fault)
	}
	head := s[:secretLen-secretSum]
	var sum [secretSum]byte
	if string(appendBase62(sum[:0], big.NewInt(int64(crc32.ChecksumIEEE([]byte(head)))), secretSum)) != s[len(head):] {
		return "", ErrSecretChecksum
	}
	return Secret(s), nil
}

// secretFault returns what is wrong with the form of a secret, or "".
func secretFault(s string) string {
	body, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return "does not begin with " + secretPrefix
	}
	wrong := 0
	for _, c := range body {
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			wrong++
		}
	}
	const want = secretBody + secretSum
	switch n := utf8.RuneCountInString(body); {
	case wrong > 0:
		return fmt.Sprintf("has %d behind it that are neither: perhaps a space or a quotation mark", wrong)
	case n < want:
		return fmt.Sprintf("is too short, with %d: copy it again, whole", n)
	case n > want:
		return fmt.Sprintf("is too long, with %d: copy it again, alone", n)
	}
	return ""
}

// Reveal returns the secret in clear text.
func (s Secret) Reveal() string { return string(s) }

// Hint returns the last four characters, by which people tell secrets apart.
func (s Secret) Hint() string {
	if len(s) < 4 {
		return ""
	}
	return string(s[len(s)-4:])
}

// String returns a redacted text, so that fmt does not print the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "svcs_[redacted]"
}

// GoString returns String, so that %#v does not print the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue returns String, so that slog does not log the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

func appendBase62(b []byte, n *big.Int, width int) []byte {
	at := len(b)
	for range width {
		b = append(b, '0')
	}
	base, digit := big.NewInt(62), new(big.Int)
	for i := at + width - 1; i >= at; i-- {
		n.DivMod(n, base, digit)
		b[i] = base62[digit.Int64()]
	}
	return b
}
