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

// BuiltinPrivileges returns the privileges of the server's own API, whose
// audience api is the issuer URL.
func BuiltinPrivileges(api string) []Privilege {
	return []Privilege{
		{MembersRead, "View members", "See members, service accounts, roles and what they are granted", api},
		{
			MembersManage,
			"Member management",
			"Invite and remove members, assign and unassign roles, create, change and remove service accounts",
			api,
		},
		{RolesManage, "Role management", "Create, change and delete custom roles", api},
		{AuditRead, "View the audit log", "Read and export the audit log", api},
		{SettingsManage, "Organization settings", "See and change the organization's settings", api},
		{TokensIntrospect, "Introspect tokens", "Ask whether a token is live, and follow the revocation feed", api},
		{KeysManage, "Signing keys", "See, rotate and revoke signing keys (operator only)", api},
		{OrganizationsManage, "Organizations", "Create, change and delete organizations (operator only)", api},
	}
}

// OperatorOnly reports whether a privilege exists only in the operator's
// organization.
func OperatorOnly(privilege string) bool {
	return privilege == KeysManage || privilege == OrganizationsManage
}
