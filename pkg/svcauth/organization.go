package svcauth

import "time"

// Values of [Organization.PasswordSignIn].
const (
	PasswordSignInOn  = "on"
	PasswordSignInOff = "off" // only single sign-on leads in
)

// Values of the settings shared_secrets and application_keys: whether clients
// may prove who they are by a secret.
const (
	SharedSecretsAllowed = "allowed"
	SharedSecretsNoNew   = "no_new"  // those that are there work on
	SharedSecretsRefused = "refused" // none authenticates

	ApplicationKeysAllowed = "allowed"
	ApplicationKeysRefused = "refused"
)

// Organization is a tenant of the server.
type Organization struct {
	ID                             string    `json:"id" doc:"Its id"`
	Name                           string    `json:"name" doc:"The name, unique on this server"`
	Operator                       bool      `json:"operator" doc:"It is the operator's own organization"`
	ServiceAccountsMayManageAccess bool      `json:"service_accounts_may_manage_access" doc:"Whether service accounts may manage service accounts and grants, which otherwise only members may"`
	PasswordSignIn                 string    `json:"password_sign_in" enum:"on,off" doc:"Whether members may sign in to the console with a password; off: only by single sign-on"`
	SharedSecrets                  string    `json:"shared_secrets" enum:"allowed,no_new,refused" doc:"Whether service accounts may prove themselves by secrets. no_new: none is made, those that are there work on; refused: none works"`
	ApplicationKeys                string    `json:"application_keys" enum:"allowed,refused" doc:"Whether members may have application keys. refused: none is made, and none works"`
	CreatedAt                      time.Time `json:"created_at" doc:"When it was made"`
	Version                        int64     `json:"-"` // from the ETag header
}

// PasswordMayEnter reports whether members may sign in with a password.
func (o Organization) PasswordMayEnter() bool { return o.PasswordSignIn != PasswordSignInOff }

// OrganizationPatch changes the fields that are not nil.
type OrganizationPatch struct {
	Name                           *string `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique on this server"`
	ServiceAccountsMayManageAccess *bool   `json:"service_accounts_may_manage_access,omitempty" doc:"Whether service accounts may manage service accounts and grants, which otherwise only members may"`
	SharedSecrets                  *string `json:"shared_secrets,omitempty" enum:"allowed,no_new,refused" doc:"Whether service accounts may prove themselves by secrets. no_new: none is made, those that are there work on. refused: none works, and what secrets obtained is revoked; without confirm it is 409 while that takes its last credential from an account"`
	ApplicationKeys                *string `json:"application_keys,omitempty" enum:"allowed,refused" doc:"Whether members may have application keys. refused: none is made and none works, and what they obtained is revoked; without confirm it is 409 while there are any"`
	PasswordSignIn                 *string `json:"password_sign_in,omitempty" enum:"on,off" doc:"Whether members may sign in to the console with a password. off: only by single sign-on; sessions that began with a password end, and it is refused while no Administrator has signed in by single sign-on"`
	// Confirm goes ahead although clients lose their last credential.
	Confirm bool `json:"-"`
}

// How many service accounts [SecretUsers] names, and up to how many it counts;
// one more means that there are more.
const (
	MaxSecretUsers      = 20
	MaxSecretUsersCount = 1000
)

// SecretUsers says whom it would stop if an organization refused secrets and
// application keys.
type SecretUsers struct {
	Accounts        []SecretUser `json:"service_accounts" doc:"Service accounts that have secrets and no other credential that works: those used last first, 20 at most; empty for a caller without members:read"`
	AccountsCount   int          `json:"service_accounts_count" doc:"How many there are; 1001: more than 1000"`
	ApplicationKeys int          `json:"application_keys_count" doc:"How many application keys there are"`
	KeysLastUsedAt  *time.Time   `json:"application_keys_last_used_at" doc:"When one of them was last used, right within five minutes; null: never"`
	OwnCredential   string       `json:"own_credential,omitempty" enum:"secret,application_key" doc:"By which of the two the caller itself got its token; absent: by neither"`
}

// SecretUser is a service account that has nothing but secrets.
type SecretUser struct {
	ID         string     `json:"id" doc:"Its id"`
	Name       string     `json:"name" doc:"Its name"`
	Disabled   bool       `json:"disabled" doc:"It gets no tokens and has none"`
	LastUsedAt *time.Time `json:"last_used_at" doc:"When one of its secrets was last used, right within five minutes; null: never"`
}

// NewOrganization is the body of POST /v1/organizations.
type NewOrganization struct {
	Name       string `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique on this server"`
	AdminEmail string `json:"admin_email" minLength:"3" maxLength:"254" doc:"The address of its first Administrator, who is invited"`
}

// CreatedOrganization is the answer to POST /v1/organizations.
type CreatedOrganization struct {
	Organization
	InvitationURL string      `json:"invitation_url,omitempty" doc:"A link that works once and expires; only in the answer that made it, and never for a service account"`
	Invitation    *Invitation `json:"invitation,omitempty" doc:"Until when the link works, and what became of the mail that brings it"`
}
