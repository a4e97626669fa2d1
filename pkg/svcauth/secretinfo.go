package svcauth

import (
	"encoding/json"
	"time"
)

// SecretInfo describes a secret without showing it.
type SecretInfo struct {
	ID           string     `json:"id" doc:"Its id"`
	Hint         string     `json:"hint" doc:"Its last four characters"`
	Description  string     `json:"description" doc:"For people"`
	CreatedAt    time.Time  `json:"created_at" doc:"When it was made"`
	CreatedBy    Creator    `json:"created_by" doc:"Who made it; both fields are empty where that is not known"`
	ExpiresAt    *time.Time `json:"expires_at" doc:"When it expires; null: never"`
	LastUsedAt   *time.Time `json:"last_used_at" doc:"When it was last used, right within five minutes; null: never"`
	ClientSecret Secret     `json:"client_secret,omitempty" doc:"The secret itself; only in the answer to its creation, and only where the server made it: it can't be had again"`
}

// NewSecretRequest is the body of POST /v1/service-accounts/{id}/secrets.
type NewSecretRequest struct {
	Description  string     `json:"description,omitempty" maxLength:"256" doc:"For people"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"When it expires; null or absent: never"`
	ClientSecret Secret     `json:"client_secret,omitempty" pattern:"^svcs_[0-9A-Za-z]{49}$" doc:"A secret that you made yourself, well-formed and random; absent: the server makes one"`
}

// SecretPatch changes the fields that are not nil. ClearExpiresAt removes the
// expiry; in JSON it is "expires_at": null.
type SecretPatch struct {
	Description    *string    `json:"description,omitempty" maxLength:"256" doc:"For people"`
	ExpiresAt      *time.Time `json:"expires_at,omitempty" nullable:"true" doc:"When it expires; null takes the expiry away"`
	ClearExpiresAt bool       `json:"-"`
}

// MarshalJSON writes null for an expiry that is removed.
func (p SecretPatch) MarshalJSON() ([]byte, error) {
	fields := map[string]any{}
	if p.Description != nil {
		fields["description"] = *p.Description
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
func (p *SecretPatch) UnmarshalJSON(text []byte) error {
	var fields struct {
		Description *string         `json:"description"`
		ExpiresAt   json.RawMessage `json:"expires_at"`
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	*p = SecretPatch{Description: fields.Description}
	if string(fields.ExpiresAt) == "null" {
		p.ClearExpiresAt = true
		return nil
	}
	if fields.ExpiresAt == nil {
		return nil
	}
	return json.Unmarshal(fields.ExpiresAt, &p.ExpiresAt)
}
