package svcauth

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// List is one page of a list, newest first. NextCursor is null on the last
// page. Partial, only in lists of live tokens, says that some may be missing
// from all pages: the server's records of them are bounded.
type List[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
	Partial    bool    `json:"partial,omitempty"`
}

// Ref is the id and the name of something. It stays readable after that is
// deleted.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Creator is the member who made something. The address stays readable after
// that member is deleted.
type Creator struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// Organization is a tenant of the server.
type Organization struct {
	ID                             string    `json:"id"`
	Name                           string    `json:"name"`
	Operator                       bool      `json:"operator"`
	ServiceAccountsMayManageAccess bool      `json:"service_accounts_may_manage_access"`
	CreatedAt                      time.Time `json:"created_at"`
	Version                        int64     `json:"-"` // from the ETag header
}

// OrganizationPatch changes the fields that are not nil.
type OrganizationPatch struct {
	Name                           *string `json:"name,omitempty"`
	ServiceAccountsMayManageAccess *bool   `json:"service_accounts_may_manage_access,omitempty"`
}

// ServiceAccount is a machine identity of an organization. It doesn't depend on
// the member who created it.
type ServiceAccount struct {
	ID              string       `json:"id"`
	ClientID        string       `json:"client_id"`
	Name            string       `json:"name"`
	Description     string       `json:"description"`
	Disabled        bool         `json:"disabled"`
	TokenTTLSeconds int          `json:"token_ttl_seconds"`
	Roles           []Ref        `json:"roles"`
	Secrets         []SecretInfo `json:"secrets"`
	CreatedAt       time.Time    `json:"created_at"`
	CreatedBy       Creator      `json:"created_by"`
	LastUsedAt      *time.Time   `json:"last_used_at"`
	ClientSecret    Secret       `json:"client_secret,omitempty"` // only in the answer to its creation
	Enforcement     *Enforcement `json:"enforcement,omitempty"`   // only in the answer to a change with ?wait=
	// Warnings, only in the answer to a change that enables the account, names
	// the secrets whose creators hold less than it does.
	Warnings []SecretWarning `json:"warnings,omitempty"`
	Version  int64           `json:"-"` // from the ETag header
}

// SecretWarning names a secret whose creator doesn't hold what the service
// account has just gained, or not for as long. If the creator may have kept the
// secret, replace it.
type SecretWarning struct {
	ServiceAccount Ref      `json:"service_account"`
	SecretID       string   `json:"secret_id"`
	Hint           string   `json:"hint"` // its last four characters
	CreatedBy      Creator  `json:"created_by"`
	Missing        []string `json:"missing_privileges"`
}

// String returns the warning in two sentences: what is wrong, and what to do.
func (w SecretWarning) String() string {
	maker := w.CreatedBy.Email
	if maker == "" {
		maker = "somebody unknown"
	}
	return fmt.Sprintf("The secret %s (…%s) of the service account %s was made by %s, who "+
		"does not hold %s, or not for as long: whoever kept it can use that now. If that is "+
		"not meant, end it and make another.",
		w.SecretID, w.Hint, w.ServiceAccount.Name, maker, strings.Join(w.Missing, ", "))
}

// GrantAnswer is the answer to a grant, with its warnings.
type GrantAnswer struct {
	Warnings  []SecretWarning `json:"warnings"`
	Oversized []SizeWarning   `json:"oversized,omitempty"`
}

// SizeWarning names an account whose tokens would be longer than the server
// issues. It gets one only if it asks for a scope or a resource.
type SizeWarning struct {
	ID         string `json:"id"`   // of a service account, or of a member with application keys
	Name       string `json:"name"` // or the member's address
	Characters int    `json:"characters"`
	Max        int    `json:"max_characters"`
}

// String returns the warning in two sentences: what is wrong, and what to do.
func (w SizeWarning) String() string {
	whose := "The service account " + w.Name
	if ValidID(PrefixMember, w.ID) {
		whose = "The application keys of " + w.Name
	}
	return fmt.Sprintf("%s would get a token of %d characters, more than the %d that are "+
		"issued (token.max_size). Let each request name what it needs, by scope or resource, "+
		"or take roles away.",
		whose, w.Characters, w.Max)
}

// NewServiceAccount is the body of POST /v1/service-accounts.
type NewServiceAccount struct {
	Name            string     `json:"name"`
	Description     string     `json:"description,omitempty"`
	RoleIDs         []string   `json:"role_ids,omitempty"`
	TokenTTLSeconds int        `json:"token_ttl_seconds,omitempty"` // 0: the server's default
	SecretExpiresAt *time.Time `json:"secret_expires_at,omitempty"`
}

// ServiceAccountPatch changes the fields that are not nil.
type ServiceAccountPatch struct {
	Name            *string `json:"name,omitempty"`
	Description     *string `json:"description,omitempty"`
	Disabled        *bool   `json:"disabled,omitempty"`
	TokenTTLSeconds *int    `json:"token_ttl_seconds,omitempty"`
}

// SecretInfo describes a secret without showing it.
type SecretInfo struct {
	ID          string     `json:"id"`
	Hint        string     `json:"hint"` // its last four characters
	Description string     `json:"description"`
	CreatedAt   time.Time  `json:"created_at"`
	CreatedBy   Creator    `json:"created_by"` // empty: not known
	ExpiresAt   *time.Time `json:"expires_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	// ClientSecret is only in the answer to its creation, if the server made
	// it.
	ClientSecret Secret `json:"client_secret,omitempty"`
}

// NewSecretRequest is the body of POST /v1/service-accounts/{id}/secrets.
type NewSecretRequest struct {
	Description  string     `json:"description,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	ClientSecret Secret     `json:"client_secret,omitempty"` // made by the caller; empty: the server makes one
}

// SecretPatch changes the fields that are not nil. ClearExpiresAt removes the
// expiry; in JSON it is "expires_at": null.
type SecretPatch struct {
	Description    *string    `json:"description,omitempty"`
	ExpiresAt      *time.Time `json:"expires_at,omitempty"`
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

// Grant is a role that a service account or a member has.
type Grant struct {
	ID        string     `json:"id"`
	RoleID    string     `json:"role_id"`
	Name      string     `json:"name"` // the role's
	ExpiresAt *time.Time `json:"expires_at"`
	GrantedAt time.Time  `json:"granted_at"`
}

// GrantRequest is the body of PUT …/roles/{role_id} of a service account or a
// member. ID is chosen by the caller ([NewID] with [PrefixGrant]): a grant with
// another id for the same role is replaced. If it is empty, an existing grant
// keeps its id. Without ExpiresAt the role doesn't expire.
type GrantRequest struct {
	ID        string     `json:"id,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// LiveToken is the record of an issued token. It never contains the token.
type LiveToken struct {
	JTI       string    `json:"jti"`
	Scope     string    `json:"scope"`
	SecretID  string    `json:"secret_id"`
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	IP        string    `json:"ip"`
	UserAgent string    `json:"user_agent"`
}

// ApplicationKey is an OAuth2 client that acts as the member who created it. It
// is deleted with that member.
type ApplicationKey struct {
	ID           string     `json:"id"`
	ClientID     string     `json:"client_id"`
	Description  string     `json:"description"`
	Member       Creator    `json:"member"`
	Secret       SecretInfo `json:"secret"`
	CreatedAt    time.Time  `json:"created_at"`
	LastUsedAt   *time.Time `json:"last_used_at"`
	ClientSecret Secret     `json:"client_secret,omitempty"` // only in the answer to its creation
}

// NewApplicationKey is the body of POST /v1/application-keys.
type NewApplicationKey struct {
	Description string `json:"description,omitempty"`
}

// The states of a member.
const (
	MemberInvited   = "invited"
	MemberActive    = "active"
	MemberSuspended = "suspended"
)

// Role is a named set of privileges.
type Role struct {
	ID              string       `json:"id"`
	Name            string       `json:"name"`
	Description     string       `json:"description"`
	System          bool         `json:"system"` // Administrator and Public
	Privileges      []string     `json:"privileges"`
	Members         int          `json:"members"`          // how many have it, counted up to 2,000
	ServiceAccounts int          `json:"service_accounts"` // how many have it, counted up to 2,000
	CreatedAt       time.Time    `json:"created_at"`
	Enforcement     *Enforcement `json:"enforcement,omitempty"` // only in the answer to a change with ?wait=
	// Warnings, only in the answer to a change that adds privileges, names
	// secrets of accounts with the role whose creators don't hold what was
	// added. MoreWarnings counts those that are not named.
	Warnings     []SecretWarning `json:"warnings,omitempty"`
	MoreWarnings int             `json:"more_warnings,omitempty"`
	// Oversized, only in the answer to a change, names accounts with the role
	// whose tokens would be too long; at most 20.
	Oversized []SizeWarning `json:"oversized,omitempty"`
	Version   int64         `json:"-"` // from the ETag header
}

// NewRole is the body of POST /v1/roles.
type NewRole struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Privileges  []string `json:"privileges,omitempty"`
}

// RolePatch changes the fields that are not nil. Privileges replaces the whole
// set.
type RolePatch struct {
	Name        *string   `json:"name,omitempty"`
	Description *string   `json:"description,omitempty"`
	Privileges  *[]string `json:"privileges,omitempty"`
}

// API is a resource server that the server issues tokens for: its audience, and
// what it is called.
type API struct {
	Audience    string `json:"audience"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Privilege is one permission. Its name is a value of OAuth2 scope.
type Privilege struct {
	Name        string `json:"name"` // noun:verb
	Title       string `json:"title"`
	Description string `json:"description"`
	API         string `json:"api"` // the audience
}

// The kinds of principals and actors.
const (
	KindMember         = "member"
	KindServiceAccount = "service_account"
	KindSystem         = "system"  // the server itself, or its command line
	KindUnknown        = "unknown" // somebody unauthenticated, or several callers
)

// AuditActor is who did it. It stays readable after the actor is deleted.
type AuditActor struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`                // a member's address, a service account's name
	ClientID string `json:"client_id,omitempty"` // the client whose token was used; empty: done in the console
}

// AuditTarget is what it was done to.
type AuditTarget struct {
	ID string `json:"id"`
	// Kind is one of service_account, secret, role, member, application_key,
	// organization, signing_key, catalog, token.
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// The outcomes of audited actions.
const (
	OutcomeDone    = "done"
	OutcomeRefused = "refused"
)

// AuditEvent is one change, or several refusals of the same kind within a
// minute.
type AuditEvent struct {
	ID             string          `json:"id"`
	Time           time.Time       `json:"time"`  // of the first, if this joins several
	Count          int             `json:"count"` // how many this joins; usually 1
	OrganizationID string          `json:"organization_id"`
	Actor          AuditActor      `json:"actor"`
	Action         string          `json:"action"` // noun.verb: service_account.create
	Target         AuditTarget     `json:"target"`
	Outcome        string          `json:"outcome"`
	Reason         string          `json:"reason"` // why it was refused
	Before         json.RawMessage `json:"before"` // without secrets; null if there was none
	After          json.RawMessage `json:"after"`
	IP             string          `json:"ip"`
	RequestID      string          `json:"request_id"`
}

// The states of a signing key.
const (
	KeyNext    = "next"    // published, does not sign yet
	KeyActive  = "active"  // signs
	KeyRetired = "retired" // only verifies, until all tokens that it signed have expired
)

// SigningKey describes a signing key. The private key never leaves the server.
type SigningKey struct {
	KID         string     `json:"kid"`
	Algorithm   string     `json:"algorithm"`
	State       string     `json:"state"`
	CreatedAt   time.Time  `json:"created_at"`
	ActivatedAt *time.Time `json:"activated_at"`
	RetiredAt   *time.Time `json:"retired_at"`
	DeleteAfter *time.Time `json:"delete_after"`
}

// ResourceServer is a resource server that is connected to the revocation feed
// and has told its name.
type ResourceServer struct {
	Name        string    `json:"name"`
	Audience    string    `json:"audience"`
	ClientID    string    `json:"client_id"`
	Instance    string    `json:"instance"` // one process of it
	Node        string    `json:"node"`     // the server's node that it is connected to
	Cursor      string    `json:"cursor"`   // up to which it enforces the feed
	Behind      int64     `json:"behind"`   // revocations that it has not yet confirmed
	LagMS       int64     `json:"lag_ms"`   // how long the oldest of these has waited; 0: there is none
	ConnectedAt time.Time `json:"connected_at"`
}

// Me is the answer to GET /v1/me: the calling principal.
type Me struct {
	ID           string   `json:"id"`
	Kind         string   `json:"kind"`
	Name         string   `json:"name"`
	ClientID     string   `json:"client_id,omitempty"`
	Organization Ref      `json:"organization"`
	Operator     bool     `json:"operator"`
	Roles        []string `json:"roles"`
	Privileges   []string `json:"privileges"`
}
