package svcauth

// The built-in privileges. They belong to the server's own API, whose audience
// is the issuer URL.
const (
	MembersRead         = "members:read"
	MembersManage       = "members:manage" // members, service accounts and their roles
	RolesManage         = "roles:manage"
	AuditRead           = "audit:read"
	SettingsManage      = "settings:manage"
	TokensIntrospect    = "tokens:introspect"
	KeysManage          = "keys:manage"          // only in the operator's organization
	OrganizationsManage = "organizations:manage" // only in the operator's organization
)
