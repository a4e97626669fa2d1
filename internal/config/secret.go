package config

import (
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// Secret is a value that is never printed: fmt, slog, JSON and YAML show a
// redacted text.
type Secret string

// Reveal returns the value in clear. Each call is a place to ask where it goes.
func (s Secret) Reveal() string { return string(s) }

// String returns "" for an empty secret, else a redacted text.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue keeps slog from showing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps JSON and YAML from showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is a connection URL that may hold a password. It prints without the
// password.
type URL string

// Reveal returns the URL with its password.
func (u URL) Reveal() string { return string(u) }

// String returns the URL with every password in it redacted: in the authority,
// and in query parameters that are named like one.
func (u URL) String() string {
	scheme, rest, ok := strings.Cut(string(u), "://")
	if !ok {
		if u == "" {
			return ""
		}
		return redacted // not a URL: any part of it may be secret
	}
	// To the last @, wherever it stands: a password with an unescaped / or ? in
	// it must not escape.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, _, hasPassword := strings.Cut(rest[:at], ":")
		if hasPassword {
			user += ":"
		} else {
			user = ""
		}
		rest = user + redacted + rest[at:]
	}
	path, query, ok := strings.Cut(rest, "?")
	if !ok {
		return scheme + "://" + rest
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		if name, _, ok := strings.Cut(p, "="); ok && namesSecret(name) {
			params[i] = name + "=" + redacted
		}
	}
	return scheme + "://" + path + "?" + strings.Join(params, "&")
}

func namesSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"pass", "pwd", "secret", "token", "auth"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return strings.Contains(name, "%") // an escaped name may be any of these
}

// GoString keeps %#v from showing the password.
func (u URL) GoString() string { return `"` + u.String() + `"` }

// LogValue keeps slog from showing the password.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText keeps JSON and YAML from showing the password.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
