package svcauth

import "time"

// ApplicationKey is an OAuth2 client that acts as the member who created it. It
// is deleted with that member.
type ApplicationKey struct {
	ID           string     `json:"id" doc:"Its id"`
	ClientID     string     `json:"client_id" doc:"The OAuth2 client_id"`
	Description  string     `json:"description" doc:"For people"`
	Member       Creator    `json:"member" doc:"Whose it is"`
	Secret       SecretInfo `json:"secret" doc:"What may be known of its secret"`
	CreatedAt    time.Time  `json:"created_at" doc:"When it was made"`
	LastUsedAt   *time.Time `json:"last_used_at" doc:"When it was last used, right within five minutes; null: never"`
	ClientSecret Secret     `json:"client_secret,omitempty" doc:"Its secret; only in the answer to its creation: it can't be had again"`

	DefaultRefused []DefaultWarning `json:"default_refused,omitempty" doc:"Whether and why its member's application keys get a token only if they ask for a scope or a resource; only in the answer to its creation"`
}

// NewApplicationKey is the body of POST /v1/application-keys.
type NewApplicationKey struct {
	Description string `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Caution
}
