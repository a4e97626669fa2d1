// Package builtin has the privileges of the server's own API as every server
// has them. It refuses to know who holds them (package access).
package builtin

import "github.com/svcauth/svcauth/pkg/svcauth"

// Privileges returns the privileges of the server's own API, whose audience
// api is the issuer URL.
func Privileges(api string) []svcauth.Privilege {
	privilege := func(name, title, description string) svcauth.Privilege {
		return svcauth.Privilege{Name: name, Title: title, Description: description, API: api}
	}
	return []svcauth.Privilege{
		privilege(svcauth.MembersRead, "View members",
			"See members, service accounts, roles and what they are granted"),
		privilege(svcauth.MembersManage, "Member management",
			"Invite and remove members, assign and unassign roles, create, change and remove service accounts"),
		privilege(svcauth.RolesManage, "Role management", "Create, change and delete custom roles"),
		privilege(svcauth.AuditRead, "View the audit log", "Read and export the audit log"),
		privilege(svcauth.SettingsManage, "Organization settings", "See and change the organization's settings"),
		privilege(svcauth.TokensIntrospect, "Introspect tokens",
			"Ask whether a token is live, and follow the revocation feed"),
		privilege(svcauth.KeysManage, "Signing keys", "See, rotate and revoke signing keys (operator only)"),
		privilege(svcauth.OrganizationsManage, "Organizations",
			"Create, change and delete organizations (operator only)"),
	}
}

// OperatorOnly reports whether a privilege exists only in the operator's
// organization.
func OperatorOnly(privilege string) bool {
	return privilege == svcauth.KeysManage || privilege == svcauth.OrganizationsManage
}
