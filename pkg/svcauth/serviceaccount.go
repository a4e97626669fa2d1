package svcauth

import (
	"encoding/json"
	"fmt"
	"time"
)

// ServiceAccount is a machine identity of an organization. It doesn't depend on
// the member who created it.
type ServiceAccount struct {
	ID              string              `json:"id" doc:"Its id"`
	ClientID        string              `json:"client_id" doc:"The OAuth2 client_id"`
	Name            string              `json:"name" doc:"The name, unique in its organization"`
	Description     string              `json:"description" doc:"For people"`
	Disabled        bool                `json:"disabled" doc:"It gets no tokens and has none"`
	TokenTTLSeconds int                 `json:"token_ttl_seconds" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
	TokenBinding    string              `json:"token_binding" enum:"none,any,dpop,mtls" doc:"What its tokens must be bound to, so that whoever only has one can't use it: none (a DPoP proof binds if it is sent), any (a key or a certificate), dpop (the key of a proof), mtls (a client certificate)"`
	DefaultResource string              `json:"default_resource" doc:"The audience of the API that its tokens are for if a request names neither resource nor scope; empty: every API of which it holds a privilege"`
	Claims          map[string]any      `json:"claims" doc:"Its own claims. A token has those that every API of its audience lists in account_claims"`
	Roles           []Ref               `json:"roles" doc:"The roles that it holds"`
	Secrets         []SecretInfo        `json:"secrets" doc:"What may be known of its secrets"`
	CreatedAt       time.Time           `json:"created_at" doc:"When it was made"`
	CreatedBy       Creator             `json:"created_by" doc:"Who made it"`
	LastUsedAt      *time.Time          `json:"last_used_at" doc:"When it was last used, right within five minutes; null: never"`
	LastRefused     *Refusal            `json:"last_refused,omitempty" doc:"What it was last refused, within the last 30 days and known within seconds; only in the answer to a request for this one; absent: nothing"`
	ClientSecret    Secret              `json:"client_secret,omitempty" doc:"Its first secret; only in the answer to its creation, and only where it was made with a secret: it can't be had again"`
	Enforcement     *Enforcement        `json:"enforcement,omitempty" doc:"How far the change is enforced; only in the answer to a change with wait"`
	Warnings        []CredentialWarning `json:"warnings,omitempty" doc:"Credentials whose makers do not hold what the account does; only in the answer to a change that enables it"`
	DefaultRefused  []DefaultWarning    `json:"default_refused,omitempty" doc:"Whether and why it gets a token only if it asks for a scope or a resource from now on; only in the answer to its creation, and to a change of what its tokens are"`
	Version         int64               `json:"-"` // from the ETag header
}

// NewServiceAccount is the body of POST /v1/service-accounts.
type NewServiceAccount struct {
	Name            string   `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description     string   `json:"description,omitempty" maxLength:"256" doc:"For people"`
	RoleIDs         []string `json:"role_ids,omitempty" maxItems:"100" doc:"Ids of roles to assign"`
	TokenTTLSeconds int      `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
	TokenBinding    string   `json:"token_binding,omitempty" enum:"none,any,dpop,mtls" doc:"What its tokens must be bound to, so that whoever only has one can't use it: none (a DPoP proof binds if it is sent), any (a key or a certificate), dpop (the key of a proof), mtls (a client certificate). Absent: none"`

	DefaultResource string         `json:"default_resource,omitempty" maxLength:"2048" doc:"The audience of the API that its tokens are for if a request names neither resource nor scope; absent: every API of which it holds a privilege"`
	Claims          map[string]any `json:"claims,omitempty" doc:"Its own claims, at most 2048 bytes of JSON, each by a name that some API lists in account_claims. A token has those that every API of its audience lists"`

	Secret          *bool      `json:"secret,omitempty" doc:"Whether it gets a secret; false: none, so that it proves itself by a credential of another kind, which is added afterwards; absent: true"`
	SecretExpiresAt *time.Time `json:"secret_expires_at,omitempty" doc:"When its first secret expires; absent: never. Refused where secret is false"`
	Caution
}

// WithSecret reports whether the account is asked for with a first secret.
func (n NewServiceAccount) WithSecret() bool { return n.Secret == nil || *n.Secret }

// ServiceAccountPatch changes the fields that are not nil. In JSON null takes
// default_resource and claims away, as an empty text and no claims do.
type ServiceAccountPatch struct {
	Name            *string `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description     *string `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Disabled        *bool   `json:"disabled,omitempty" doc:"It gets no tokens and has none"`
	TokenTTLSeconds *int    `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
	TokenBinding    *string `json:"token_binding,omitempty" enum:"none,any,dpop,mtls" doc:"What its tokens must be bound to, so that whoever only has one can't use it: none (a DPoP proof binds if it is sent), any (a key or a certificate), dpop (the key of a proof), mtls (a client certificate). To demand more ends at once those of its tokens that are not bound so; to demand less ends none"`

	DefaultResource *string         `json:"default_resource,omitempty" nullable:"true" maxLength:"2048" doc:"The audience of the API that its tokens are for if a request names neither resource nor scope; empty or null: every API of which it holds a privilege"`
	Claims          *map[string]any `json:"claims,omitempty" nullable:"true" doc:"Its own claims, all of them, in place of those before; null: none. At most 2048 bytes of JSON, each by a name that some API lists in account_claims. Tokens that it has are as they are"`
	Caution
}

// UnmarshalJSON reads null as what takes a field away, as opposed to absent.
func (p *ServiceAccountPatch) UnmarshalJSON(text []byte) error {
	type fields ServiceAccountPatch // without this method
	var read fields
	var given struct {
		DefaultResource json.RawMessage `json:"default_resource"`
		Claims          json.RawMessage `json:"claims"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("read the change of a service account: %w", err)
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return fmt.Errorf("read the change of a service account: %w", err)
	}
	if string(given.DefaultResource) == "null" {
		read.DefaultResource = new("")
	}
	if string(given.Claims) == "null" {
		read.Claims = &map[string]any{}
	}
	*p = ServiceAccountPatch(read)
	return nil
}
