package svcauth

import "time"

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

// NewOrganization is the body of POST /v1/organizations.
type NewOrganization struct {
	Name       string `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique in its organization"`
	AdminEmail string `json:"admin_email" minLength:"3" maxLength:"254" doc:"The address of its first Administrator, who is invited"`
}

// CreatedOrganization is the answer to POST /v1/organizations.
type CreatedOrganization struct {
	Organization
	InvitationURL string `json:"invitation_url,omitempty" doc:"A link that works once and expires; only in the answer that made it, and never for a service account"`
}
