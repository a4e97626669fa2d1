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
	Items      []T     `json:"items" doc:"The things of this page"`
	NextCursor *string `json:"next_cursor" doc:"The cursor of the next page; null: this is the last"`
	Partial    bool    `json:"partial,omitempty" doc:"There may be more than all pages have: records had to give way; only in lists of live tokens"`
}

// Ref is the id and the name of something. It stays readable after that is
// deleted.
type Ref struct {
	ID   string `json:"id" doc:"Its id"`
	Name string `json:"name" doc:"What people call it"`
}

// Creator is the member who made something. The address stays readable after
// that member is deleted.
type Creator struct {
	ID    string `json:"id" doc:"Its id"`
	Email string `json:"email" doc:"The e-mail address"`
}

// Organization is a tenant of the server.
type Organization struct {
	ID                             string    `json:"id" doc:"Its id"`
	Name                           string    `json:"name" doc:"The name, unique in its organization"`
	Operator                       bool      `json:"operator" doc:"It is the operator's own organization"`
	ServiceAccountsMayManageAccess bool      `json:"service_accounts_may_manage_access" doc:"Whether service accounts may manage service accounts and grants, which otherwise only members may"`
	CreatedAt                      time.Time `json:"created_at" doc:"When it was made"`
	Version                        int64     `json:"-"` // from the ETag header
}

// OrganizationPatch changes the fields that are not nil.
type OrganizationPatch struct {
	Name                           *string `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	ServiceAccountsMayManageAccess *bool   `json:"service_accounts_may_manage_access,omitempty" doc:"Whether service accounts may manage service accounts and grants, which otherwise only members may"`
}

// ServiceAccount is a machine identity of an organization. It doesn't depend on
// the member who created it.
type ServiceAccount struct {
	ID              string          `json:"id" doc:"Its id"`
	ClientID        string          `json:"client_id" doc:"The OAuth2 client_id"`
	Name            string          `json:"name" doc:"The name, unique in its organization"`
	Description     string          `json:"description" doc:"For people"`
	Disabled        bool            `json:"disabled" doc:"It gets no tokens and has none"`
	TokenTTLSeconds int             `json:"token_ttl_seconds" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
	Roles           []Ref           `json:"roles" doc:"The roles that it holds"`
	Secrets         []SecretInfo    `json:"secrets" doc:"What may be known of its secrets"`
	CreatedAt       time.Time       `json:"created_at" doc:"When it was made"`
	CreatedBy       Creator         `json:"created_by" doc:"Who made it"`
	LastUsedAt      *time.Time      `json:"last_used_at" doc:"When it was last used, right within a minute; null: never"`
	ClientSecret    Secret          `json:"client_secret,omitempty" doc:"Its first secret; only in the answer to its creation: it can't be had again"`
	Enforcement     *Enforcement    `json:"enforcement,omitempty" doc:"How far the change is enforced; only in the answer to a change with wait"`
	Warnings        []SecretWarning `json:"warnings,omitempty" doc:"Secrets whose makers do not hold what the account does; only in the answer to a change that enables it"`
	Version         int64           `json:"-"` // from the ETag header
}

// SecretWarning names a secret whose creator doesn't hold what the service
// account has just gained, or not for as long. If the creator may have kept the
// secret, replace it.
type SecretWarning struct {
	ServiceAccount Ref      `json:"service_account" doc:"The service account whose secret it is"`
	SecretID       string   `json:"secret_id" doc:"The secret's id"`
	Hint           string   `json:"hint" doc:"Its last four characters"`
	CreatedBy      Creator  `json:"created_by" doc:"Who made it; both fields are empty where that is not known"`
	Missing        []string `json:"missing_privileges" doc:"What its maker does not hold, or not for as long"`
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
	Warnings  []SecretWarning `json:"warnings" doc:"Secrets whose makers do not hold what was gained; only in the answer to the change"`
	Oversized []SizeWarning   `json:"oversized,omitempty" doc:"Accounts that get a token by scope or resource only from now on; only in the answer to the change, at most 20"`
}

// SizeWarning names an account whose tokens would be longer than the server
// issues. It gets one only if it asks for a scope or a resource.
type SizeWarning struct {
	ID         string `json:"id" doc:"The id of the service account, or of the member whose application keys it is about"`
	Name       string `json:"name" doc:"The service account's name, or the address of the member whose application keys it is about"`
	Characters int    `json:"characters" doc:"How long its token would be without scope and resource, in characters"`
	Max        int    `json:"max_characters" doc:"The longest token that is issued, in characters"`
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
	Name            string     `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description     string     `json:"description,omitempty" maxLength:"256" doc:"For people"`
	RoleIDs         []string   `json:"role_ids,omitempty" maxItems:"100" doc:"Ids of roles to assign"`
	TokenTTLSeconds int        `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
	SecretExpiresAt *time.Time `json:"secret_expires_at,omitempty" doc:"When its first secret expires; absent: never"`
}

// ServiceAccountPatch changes the fields that are not nil.
type ServiceAccountPatch struct {
	Name            *string `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description     *string `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Disabled        *bool   `json:"disabled,omitempty" doc:"It gets no tokens and has none"`
	TokenTTLSeconds *int    `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long its tokens live: 60 to 86400 seconds; 0: the server's default"`
}

// SecretInfo describes a secret without showing it.
type SecretInfo struct {
	ID           string     `json:"id" doc:"Its id"`
	Hint         string     `json:"hint" doc:"Its last four characters"`
	Description  string     `json:"description" doc:"For people"`
	CreatedAt    time.Time  `json:"created_at" doc:"When it was made"`
	CreatedBy    Creator    `json:"created_by" doc:"Who made it; both fields are empty where that is not known"`
	ExpiresAt    *time.Time `json:"expires_at" doc:"When it expires; null: never"`
	LastUsedAt   *time.Time `json:"last_used_at" doc:"When it was last used, right within a minute; null: never"`
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

// Grant is a role that a service account or a member has.
type Grant struct {
	ID        string     `json:"id" doc:"Its id"`
	RoleID    string     `json:"role_id" doc:"The role's id"`
	Name      string     `json:"name" doc:"The role's name"`
	ExpiresAt *time.Time `json:"expires_at" doc:"When it expires; null: never"`
	GrantedAt time.Time  `json:"granted_at" doc:"When it was granted"`
}

// GrantRequest is the body of PUT …/roles/{role_id} of a service account or a
// member. ID is chosen by the caller ([NewID] with [PrefixGrant]): a grant with
// another id for the same role is replaced. If it is empty, an existing grant
// keeps its id. Without ExpiresAt the role doesn't expire.
type GrantRequest struct {
	ID        string     `json:"id,omitempty" doc:"An id of your choosing for the grant, grt_…; absent: the grant that is there keeps its own, and a new one gets one"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it expires; null or absent: never"`
}

// LiveToken is the record of an issued token. It never contains the token.
type LiveToken struct {
	JTI       string    `json:"jti" doc:"The token's id"`
	Scope     string    `json:"scope" doc:"Its privileges, separated by spaces"`
	SecretID  string    `json:"secret_id" doc:"The secret that obtained it"`
	IssuedAt  time.Time `json:"issued_at" doc:"When it was issued"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it expires"`
	IP        string    `json:"ip" doc:"The address it came from"`
	UserAgent string    `json:"user_agent" doc:"The User-Agent it came with"`
}

// ApplicationKey is an OAuth2 client that acts as the member who created it. It
// is deleted with that member.
type ApplicationKey struct {
	ID           string     `json:"id" doc:"Its id"`
	ClientID     string     `json:"client_id" doc:"The OAuth2 client_id"`
	Description  string     `json:"description" doc:"For people"`
	Member       Creator    `json:"member" doc:"Whose it is"`
	Secret       SecretInfo `json:"secret" doc:"What may be known of its secret"`
	CreatedAt    time.Time  `json:"created_at" doc:"When it was made"`
	LastUsedAt   *time.Time `json:"last_used_at" doc:"When it was last used, right within a minute; null: never"`
	ClientSecret Secret     `json:"client_secret,omitempty" doc:"Its secret; only in the answer to its creation: it can't be had again"`
}

// NewApplicationKey is the body of POST /v1/application-keys.
type NewApplicationKey struct {
	Description string `json:"description,omitempty" maxLength:"256" doc:"For people"`
}

// The states of a member.
const (
	MemberInvited   = "invited"
	MemberActive    = "active"
	MemberSuspended = "suspended"
)

// Role is a named set of privileges.
type Role struct {
	ID              string          `json:"id" doc:"Its id"`
	Name            string          `json:"name" doc:"The name, unique in its organization"`
	Description     string          `json:"description" doc:"For people"`
	System          bool            `json:"system" doc:"It is Administrator or Public"`
	Privileges      []string        `json:"privileges" doc:"Names of privileges"`
	Members         int             `json:"members" doc:"How many members hold it, counted up to 2,000"`
	ServiceAccounts int             `json:"service_accounts" doc:"How many service accounts hold it, counted up to 2,000"`
	CreatedAt       time.Time       `json:"created_at" doc:"When it was made"`
	Enforcement     *Enforcement    `json:"enforcement,omitempty" doc:"How far the change is enforced; only in the answer to a change with wait"`
	Warnings        []SecretWarning `json:"warnings,omitempty" doc:"Secrets whose makers do not hold what was gained; only in the answer to the change"`
	MoreWarnings    int             `json:"more_warnings,omitempty" doc:"How many further secrets the same holds for; only in the answer to a change that adds privileges"`
	Oversized       []SizeWarning   `json:"oversized,omitempty" doc:"Accounts that get a token by scope or resource only from now on; only in the answer to the change, at most 20"`
	Version         int64           `json:"-"` // from the ETag header
}

// NewRole is the body of POST /v1/roles.
type NewRole struct {
	Name        string   `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description string   `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Privileges  []string `json:"privileges,omitempty" maxItems:"500" doc:"Names of privileges"`
}

// RolePatch changes the fields that are not nil. Privileges replaces the whole
// set.
type RolePatch struct {
	Name        *string   `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	Description *string   `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Privileges  *[]string `json:"privileges,omitempty" maxItems:"500" doc:"Names of privileges; they replace the whole set"`
}

// API is a resource server that the server issues tokens for: its audience, and
// what it is called.
type API struct {
	Audience    string `json:"audience" doc:"The audience of the API, a URI"`
	Name        string `json:"name" doc:"The name"`
	Description string `json:"description" doc:"For people"`
}

// Privilege is one permission. Its name is a value of OAuth2 scope.
type Privilege struct {
	Name        string `json:"name" doc:"The name, noun:verb: a value of OAuth2 scope"`
	Title       string `json:"title" doc:"What it is called in lists"`
	Description string `json:"description" doc:"For people"`
	API         string `json:"api" doc:"The audience of the API it belongs to"`
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
	ID       string `json:"id" doc:"Its id"`
	Kind     string `json:"kind" doc:"member, service_account, system (the server itself, or its command line) or unknown (somebody unauthenticated, or several callers)"`
	Name     string `json:"name" doc:"A member's address, a service account's name"`
	ClientID string `json:"client_id,omitempty" doc:"The client whose token was used; absent: it was done in the console"`
}

// AuditTarget is what it was done to.
type AuditTarget struct {
	ID   string `json:"id" doc:"Its id"`
	Kind string `json:"kind" doc:"service_account, secret, role, member, application_key, organization, signing_key, catalog or token"`
	Name string `json:"name" doc:"What people call it"`
}

// The outcomes of audited actions.
const (
	OutcomeDone    = "done"
	OutcomeRefused = "refused"
)

// AuditEvent is one change, or several refusals of the same kind within a
// minute.
type AuditEvent struct {
	ID             string          `json:"id" doc:"Its id"`
	Time           time.Time       `json:"time" doc:"When; where it stands for several, of the first"`
	Count          int             `json:"count" doc:"How many equal events of one minute this one stands for; 1 for most"`
	OrganizationID string          `json:"organization_id" doc:"The organization"`
	Actor          AuditActor      `json:"actor" doc:"Who did it"`
	Action         string          `json:"action" doc:"What was done, noun.verb, such as service_account.create"`
	Target         AuditTarget     `json:"target" doc:"What it was done to"`
	Outcome        string          `json:"outcome" doc:"done or refused"`
	Reason         string          `json:"reason" doc:"Why it was refused"`
	Before         json.RawMessage `json:"before" doc:"What it was before, without secrets; null where there was nothing"`
	After          json.RawMessage `json:"after" doc:"What it was afterwards, without secrets; null where nothing was left"`
	IP             string          `json:"ip" doc:"The address it came from"`
	RequestID      string          `json:"request_id" doc:"The id of the request, as in the server's log"`
}

// The states of a signing key.
const (
	KeyNext    = "next"    // published, does not sign yet
	KeyActive  = "active"  // signs
	KeyRetired = "retired" // only verifies, until all tokens that it signed have expired
)

// SigningKey describes a signing key. The private key never leaves the server.
type SigningKey struct {
	KID         string     `json:"kid" doc:"The key's id"`
	Algorithm   string     `json:"algorithm" doc:"The algorithm of its signatures, such as ES256"`
	State       string     `json:"state" doc:"next (published), active (signs) or retired (verifies only)"`
	CreatedAt   time.Time  `json:"created_at" doc:"When it was made"`
	ActivatedAt *time.Time `json:"activated_at" doc:"When it began to sign"`
	RetiredAt   *time.Time `json:"retired_at" doc:"When it ceased to sign"`
	DeleteAfter *time.Time `json:"delete_after" doc:"When the last token that it signed has expired and it may be deleted"`
}

// ResourceServer is a resource server that is connected to the revocation feed
// and has told its name.
type ResourceServer struct {
	Name        string    `json:"name" doc:"What it calls itself"`
	Audience    string    `json:"audience" doc:"The audience of its API, a URI"`
	ClientID    string    `json:"client_id" doc:"The client that it authenticates as"`
	Instance    string    `json:"instance" doc:"One process of it"`
	Node        string    `json:"node" doc:"The svcauth node that it is connected to"`
	Cursor      string    `json:"cursor" doc:"Up to where it enforces the feed"`
	Behind      int64     `json:"behind" doc:"Revocations that it has not confirmed yet"`
	LagMS       int64     `json:"lag_ms" doc:"How long the oldest unconfirmed revocation has been waiting, in milliseconds; 0 where there is none"`
	ConnectedAt time.Time `json:"connected_at" doc:"Since when it is connected"`
}

// Me is the answer to GET /v1/me: the calling principal.
type Me struct {
	ID           string   `json:"id" doc:"Its id"`
	Kind         string   `json:"kind" doc:"member or service_account"`
	Name         string   `json:"name" doc:"A member's address, a service account's name"`
	ClientID     string   `json:"client_id,omitempty" doc:"The OAuth2 client_id"`
	Organization Ref      `json:"organization" doc:"The caller's organization"`
	Operator     bool     `json:"operator" doc:"The organization is the operator's own"`
	Roles        []string `json:"roles" doc:"The roles that it holds"`
	Privileges   []string `json:"privileges" doc:"Those in force for this call"`
}
