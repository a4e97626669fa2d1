package svcauth

import (
	"encoding/json"
	"time"
)

// Key is a public key of a service account, which proves who it is by what it
// signs with the private key: private_key_jwt (RFC 7523 §2.2). With JWKSURI it
// is all keys that the client publishes there.
type Key struct {
	ID          string          `json:"id" doc:"Its id, which its tokens have as cred"`
	Kid         string          `json:"kid" doc:"The id that the JWK had; empty: none. An assertion's header may name it, the thumbprint or the id, or nothing. Of published keys it may name the kid or the thumbprint of one"`
	Algorithm   string          `json:"algorithm,omitempty" doc:"The only algorithm that it may be used with; absent: each that suits its type"`
	Thumbprint  string          `json:"thumbprint,omitempty" doc:"RFC 7638, SHA-256; absent of published keys"`
	JWK         json.RawMessage `json:"jwk,omitempty" doc:"The public key (RFC 7517 §4); absent of published keys"`
	JWKSURI     string          `json:"jwks_uri,omitempty" doc:"Where the client publishes its keys (RFC 7517 §5), each of which counts; absent: it is one registered key"`
	Description string          `json:"description" doc:"For people"`
	CreatedAt   time.Time       `json:"created_at" doc:"When it was made"`
	CreatedBy   Creator         `json:"created_by" doc:"Who made it; both fields are empty where that is not known"`
	ExpiresAt   *time.Time      `json:"expires_at" doc:"When it expires; null: never"`
	LastUsedAt  *time.Time      `json:"last_used_at" doc:"When it was last used, right within five minutes; null: never"`

	AcceptTokenURLAudience bool `json:"accept_token_url_audience" doc:"Its assertions may have the token URL as aud instead of the issuer"`
}

// NewKey is the body of POST /v1/service-accounts/{id}/keys. It has one of JWK,
// PEM and JWKSURI.
type NewKey struct {
	JWK         json.RawMessage `json:"jwk,omitempty" doc:"A public key as a JWK (RFC 7517 §4): RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519"`
	PEM         string          `json:"pem,omitempty" maxLength:"8192" doc:"The same as PEM: BEGIN PUBLIC KEY, or BEGIN RSA PUBLIC KEY"`
	JWKSURI     string          `json:"jwks_uri,omitempty" maxLength:"2048" doc:"Where the client publishes its keys as a JWKS (RFC 7517 §5), over https: whatever is there counts, so keys rotate without another call"`
	Description string          `json:"description,omitempty" maxLength:"256" doc:"For people"`
	ExpiresAt   *time.Time      `json:"expires_at,omitempty" doc:"When it expires; null or absent: never"`

	AcceptTokenURLAudience bool `json:"accept_token_url_audience,omitempty" doc:"Take assertions whose aud is the token URL, too: only for clients that can't be configured, since whoever gets such an assertion by a forged token URL may use it here"`
}

// KeyPatch changes the fields that are not nil. ClearExpiresAt removes the
// expiry; in JSON it is "expires_at": null.
type KeyPatch struct {
	Description            *string    `json:"description,omitempty" maxLength:"256" doc:"For people"`
	ExpiresAt              *time.Time `json:"expires_at,omitempty" nullable:"true" doc:"When it expires; null takes the expiry away"`
	AcceptTokenURLAudience *bool      `json:"accept_token_url_audience,omitempty" doc:"Take assertions whose aud is the token URL, too"`
	ClearExpiresAt         bool       `json:"-"`
}

// MarshalJSON writes null for an expiry that is removed.
func (p KeyPatch) MarshalJSON() ([]byte, error) {
	fields := map[string]any{}
	if p.Description != nil {
		fields["description"] = *p.Description
	}
	if p.AcceptTokenURLAudience != nil {
		fields["accept_token_url_audience"] = *p.AcceptTokenURLAudience
	}
	if p.ExpiresAt != nil {
		fields["expires_at"] = *p.ExpiresAt
	} else if p.ClearExpiresAt {
		fields["expires_at"] = nil
	}
	return json.Marshal(fields)
}

// UnmarshalJSON sets ClearExpiresAt if expires_at is null, but not if it is
// absent.
func (p *KeyPatch) UnmarshalJSON(text []byte) error {
	var same SecretPatch
	var fields struct {
		AcceptTokenURLAudience *bool `json:"accept_token_url_audience"`
	}
	if err := json.Unmarshal(text, &same); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	*p = KeyPatch{same.Description, same.ExpiresAt, fields.AcceptTokenURLAudience, same.ClearExpiresAt}
	return nil
}
