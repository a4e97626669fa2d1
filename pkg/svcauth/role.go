package svcauth

import "time"

// Role is a named set of privileges.
type Role struct {
	ID              string              `json:"id" doc:"Its id"`
	Name            string              `json:"name" doc:"The name, unique in its organization"`
	Description     string              `json:"description" doc:"For people"`
	System          bool                `json:"system" doc:"It is Administrator or Public"`
	Privileges      []string            `json:"privileges" doc:"Names of privileges"`
	RequiresBinding bool                `json:"requires_binding" doc:"Whether it is given by bound tokens only (DPoP, or a client certificate): whoever asks for a token with it and shows nothing to bind it to is refused"`
	Members         int                 `json:"members" doc:"How many members hold it, counted up to 2,000"`
	ServiceAccounts int                 `json:"service_accounts" doc:"How many service accounts hold it, counted up to 2,000"`
	CreatedAt       time.Time           `json:"created_at" doc:"When it was made"`
	Enforcement     *Enforcement        `json:"enforcement,omitempty" doc:"How far the change is enforced; only in the answer to a change with wait"`
	Warnings        []CredentialWarning `json:"warnings,omitempty" doc:"Credentials whose makers do not hold what was gained; only in the answer to the change"`
	MoreWarnings    int                 `json:"more_warnings,omitempty" doc:"How many further credentials the same holds for; only in the answer to a change that adds privileges"`
	DefaultRefused  []DefaultWarning    `json:"default_refused,omitempty" doc:"Accounts that get a token only if they ask for a scope or a resource from now on; only in the answer to the change, at most 20"`
	Version         int64               `json:"-"` // from the ETag header
}

// NewRole is the body of POST /v1/roles.
type NewRole struct {
	Name        string   `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description string   `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Privileges  []string `json:"privileges,omitempty" maxItems:"500" doc:"Names of privileges"`

	RequiresBinding bool `json:"requires_binding,omitempty" doc:"Whether it is given by bound tokens only (DPoP, or a client certificate): whoever asks for a token with it and shows nothing to bind it to is refused"`
}

// RolePatch changes the fields that are not nil. Privileges replaces the whole
// set.
type RolePatch struct {
	Name        *string   `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description *string   `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Privileges  *[]string `json:"privileges,omitempty" maxItems:"500" doc:"Names of privileges; they replace the whole set"`

	RequiresBinding *bool `json:"requires_binding,omitempty" doc:"Whether it is given by bound tokens only (DPoP, or a client certificate): whoever asks for a token with it and shows nothing to bind it to is refused. To demand it ends at once the tokens that carry the role and are not bound; to demand it no longer ends none"`
	Caution
}

// The names of the two system roles.
const (
	RoleAdministrator = "Administrator" // every privilege that its organization can have, also future ones
	RolePublic        = "Public"        // held by everyone
)
