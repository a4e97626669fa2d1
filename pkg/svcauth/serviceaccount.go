package svcauth

import "time"

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
	Roles           []Ref               `json:"roles" doc:"The roles that it holds"`
	Secrets         []SecretInfo        `json:"secrets" doc:"What may be known of its secrets"`
	CreatedAt       time.Time           `json:"created_at" doc:"When it was made"`
	CreatedBy       Creator             `json:"created_by" doc:"Who made it"`
	LastUsedAt      *time.Time          `json:"last_used_at" doc:"When it was last used, right within a minute; null: never"`
	LastRefused     *Refusal            `json:"last_refused,omitempty" doc:"What it was last refused, within the last 30 days and known within seconds; only in the answer to a request for this one; absent: nothing"`
	ClientSecret    Secret              `json:"client_secret,omitempty" doc:"Its first secret; only in the answer to its creation, and only where it was made with a secret: it can't be had again"`
	Enforcement     *Enforcement        `json:"enforcement,omitempty" doc:"How far the change is enforced; only in the answer to a change with wait"`
	Warnings        []CredentialWarning `json:"warnings,omitempty" doc:"Credentials whose makers do not hold what the account does; only in the answer to a change that enables it"`
	Version         int64               `json:"-"` // from the ETag header
}

// NewServiceAccount is the body of POST /v1/service-accounts.
type NewServiceAccount struct {
	Name            string     `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description     string     `json:"description,omitempty" maxLength:"256" doc:"For people"`
	RoleIDs         []string   `json:"role_ids,omitempty" maxItems:"100" doc:"Ids of roles to assign"`
	TokenTTLSeconds int        `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
	TokenBinding    string     `json:"token_binding,omitempty" enum:"none,any,dpop,mtls" doc:"What its tokens must be bound to, so that whoever only has one can't use it: none (a DPoP proof binds if it is sent), any (a key or a certificate), dpop (the key of a proof), mtls (a client certificate). Absent: none"`
	Secret          *bool      `json:"secret,omitempty" doc:"Whether it gets a secret; false: none, so that it proves itself by a credential of another kind, which is added afterwards; absent: true"`
	SecretExpiresAt *time.Time `json:"secret_expires_at,omitempty" doc:"When its first secret expires; absent: never. Refused where secret is false"`
}

// WithSecret reports whether the account is asked for with a first secret.
func (n NewServiceAccount) WithSecret() bool { return n.Secret == nil || *n.Secret }

// ServiceAccountPatch changes the fields that are not nil.
type ServiceAccountPatch struct {
	Name            *string `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description     *string `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Disabled        *bool   `json:"disabled,omitempty" doc:"It gets no tokens and has none"`
	TokenTTLSeconds *int    `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
	TokenBinding    *string `json:"token_binding,omitempty" enum:"none,any,dpop,mtls" doc:"What its tokens must be bound to, so that whoever only has one can't use it: none (a DPoP proof binds if it is sent), any (a key or a certificate), dpop (the key of a proof), mtls (a client certificate). Tokens that it has are as they are"`
}
