package store

import (
	"encoding/json"
	"fmt"

	"github.com/svcauth/svcauth/internal/jwk"
)

// KeyMaterial is the Material of a [CredentialKey]: a public key, or where a
// set of them is.
type KeyMaterial struct {
	JWK                    *jwk.Key `json:"jwk,omitempty"`
	JWKSURI                string   `json:"jwks_uri,omitempty"`
	AcceptTokenURLAudience bool     `json:"accept_token_url_audience,omitempty"`
}

// Encode returns the material as it is stored.
func (m KeyMaterial) Encode() string {
	text, _ := json.Marshal(m) // strings and a bool: nothing can fail
	return string(text)
}

// ParseKeyMaterial returns what [KeyMaterial.Encode] has written.
func ParseKeyMaterial(text string) (m KeyMaterial, err error) {
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("the material of a public key: %w", err)
	}
	return m, nil
}
