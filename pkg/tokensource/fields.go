package tokensource

import (
	"errors"
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// field is one setting that can be loaded: a key of a profile, with "SVCAUTH_"
// and in upper case a variable, and a field of [Config] and [LoadOptions].
type field struct {
	key    string
	name   string                // of the Config's field
	of     func(*Config) *string // nil: no field of its own
	isPath bool                  // relative to the profile file
	public bool                  // not a part of the credential
}

var fields = []field{
	{key: "url", name: "Issuer", of: func(c *Config) *string { return &c.Issuer }, public: true},
	{key: "client_id", name: "ClientID", of: func(c *Config) *string { return &c.ClientID }},
	{key: "client_secret", name: "ClientSecret", of: func(c *Config) *string { return (*string)(&c.ClientSecret) }},
	{key: "client_secret_file", name: "ClientSecretFile",
		of: func(c *Config) *string { return &c.ClientSecretFile }, isPath: true},
	{key: "private_key_file", name: "PrivateKeyFile",
		of: func(c *Config) *string { return &c.PrivateKeyFile }, isPath: true},
	{key: "private_key_id", name: "PrivateKeyID", of: func(c *Config) *string { return &c.PrivateKeyID }},
	{key: "assertion_file", name: "AssertionFile",
		of: func(c *Config) *string { return &c.AssertionFile }, isPath: true},
	{key: "assertion_env", name: "AssertionEnv", of: func(c *Config) *string { return &c.AssertionEnv }},
	{key: "assertion_from", name: "AssertionFrom", of: func(c *Config) *string { return &c.AssertionFrom }},
	{key: "assertion_type", name: "AssertionType", of: func(c *Config) *string { return &c.AssertionType }},
	{key: "assertion_audience", name: "AssertionAudience",
		of: func(c *Config) *string { return &c.AssertionAudience }},
	{key: "cert_file", name: "CertFile", of: func(c *Config) *string { return &c.CertFile }, isPath: true},
	{key: "key_file", name: "KeyFile", of: func(c *Config) *string { return &c.KeyFile }, isPath: true},
	{key: "ca_file", isPath: true, public: true},
	{key: "dpop", public: true},
}

// variable returns the name of a field's environment variable.
func variable(key string) string { return "SVCAUTH_" + strings.ToUpper(key) }

// fieldNames returns the keys of all fields, as a profile may have them.
func fieldNames() (keys []string) {
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return keys
}

// values returns what c has of the fields, by their keys.
func (c Config) values() map[string]string {
	values := map[string]string{}
	for _, f := range fields {
		if f.of != nil {
			values[f.key] = *f.of(&c)
		}
	}
	return values
}

// lineBreak is the end of a message that begins with what holds one.
const lineBreak = "holds a line break, which is no part of it; set it without (echo ends " +
	"what it prints with one, printf does not)"

// checkField checks the form of one value. The error continues a sentence that
// begins with what the field is called, and never shows the value: it may be a
// secret in the wrong place.
func checkField(f field, value string) error {
	switch {
	case f.isPath && isContent(value):
		return errors.New("holds what belongs into the file; expected the path of the file")
	case strings.ContainsAny(value, "\r\n"):
		return errors.New(lineBreak)
	case f.key == "assertion_env" && value != "" && !isVariable(value):
		return errors.New("is not the name of an environment variable: expected letters, digits and " +
			"underscores; it is the variable that holds the token, not the token")
	case f.key == "assertion_from" && value != "" && value != GitHubActions && value != HCPTerraform:
		return fmt.Errorf("is neither %s nor %s", GitHubActions, HCPTerraform)
	case f.key == "assertion_type" && value != "" && value != JWTBearer && value != JWTSPIFFE:
		return fmt.Errorf("is neither %s nor %s", JWTBearer, JWTSPIFFE)
	}
	return nil
}

// isContent reports whether a value is a key, a token or a secret rather than
// the path of a file that holds one.
func isContent(value string) bool {
	return strings.Contains(value, "-----BEGIN") || strings.HasPrefix(value, "{") ||
		strings.HasPrefix(value, "eyJ") && strings.Count(value, ".") == 2 || untrusted.HoldsSecret(value)
}

func isVariable(name string) bool {
	for i, r := range name {
		isLetter := r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if !isLetter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return len(name) <= 256
}
