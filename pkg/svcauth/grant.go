package svcauth

import "time"

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
	Caution
}

// GrantAnswer is the answer to a grant, with its warnings.
type GrantAnswer struct {
	Warnings       []CredentialWarning `json:"warnings" doc:"Credentials whose makers do not hold what was gained; only in the answer to the change"`
	DefaultRefused []DefaultWarning    `json:"default_refused,omitempty" doc:"Accounts that get a token only if they ask for a scope or a resource from now on; only in the answer to the change, at most 20"`
}
