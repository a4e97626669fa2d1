package manage

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagRoles   = "Roles"
	pathRole   = "/v1/roles"
	tagCatalog = "Catalogue"
)

// RolePatchOf changes a role.
type RolePatchOf struct {
	Item
	Match
	Waiting
	Body svcauth.RolePatch
}

func (m *API) roles() {
	add(m, operation("listRoles", "GET", pathRole, tagRoles, svcauth.MembersRead,
		"List roles",
		"Newest first. `roles:manage` will do as well."),
		func(ctx context.Context, in *Page) (*plain[svcauth.List[svcauth.Role]], error) {
			return page(m.cfg.Access.Roles(ctx, in.options()))
		})
	addMade(m, operation("createRole", "POST", pathRole, tagRoles, svcauth.RolesManage,
		"Create a role",
		"You need every privilege that you put on it."),
		func(ctx context.Context, in *struct{ Body svcauth.NewRole }) (*createdVersion[svcauth.Role], error) {
			r, err := m.cfg.Access.CreateRole(ctx, in.Body)
			return &createdVersion[svcauth.Role]{pathRole + "/" + r.ID, etag(r.Version), r}, err
		})
	add(m, operation("getRole", "GET", pathRole+"/{id}", tagRoles, svcauth.MembersRead,
		"Get a role",
		"`roles:manage` will do as well."),
		func(ctx context.Context, in *Item) (*versioned[svcauth.Role], error) {
			r, err := m.cfg.Access.Role(ctx, in.ID)
			return &versioned[svcauth.Role]{etag(r.Version), r}, err
		})
	add(m, cautious(operation("updateRole", "PATCH", pathRole+"/{id}", tagRoles, svcauth.RolesManage,
		"Change a role",
		"What is absent stays; `privileges` replaces the whole set. Tokens that carry the "+
			"role and a privilege that it loses die at once, and with a new name all that carry "+
			"it. You need every privilege that you add, and for a new name every one that the "+
			"role has. `warnings` names secrets of accounts with the role whose makers do not "+
			"hold what you added, `default_refused` accounts that get a token only if they ask for a "+
			"scope or a resource from now on."+aboutCaution)),
		func(ctx context.Context, in *RolePatchOf) (*versioned[svcauth.Role], error) {
			var r svcauth.Role
			e, err := m.enforcement(ctx, in.Waiting, func() (err error) {
				r, err = m.cfg.Access.UpdateRole(ctx, in.ID, in.version, in.Body)
				return err
			})
			r.Enforcement = e
			return &versioned[svcauth.Role]{etag(r.Version), r}, err
		})
	addDone(m, operation("deleteRole", "DELETE", pathRole+"/{id}", tagRoles, svcauth.RolesManage,
		"Remove a role",
		"It is taken from all who hold it, and tokens that carry it die at once."),
		func(ctx context.Context, in *ItemWait) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error { return m.cfg.Access.DeleteRole(ctx, in.ID) })
		})
}

func (m *API) catalogue() {
	add(m, operation("listAPIs", "GET", "/v1/apis", tagCatalog, "",
		"List APIs",
		"The resource servers that tokens can be for."),
		func(ctx context.Context, in *Page) (*plain[svcauth.List[svcauth.API]], error) {
			return page(m.cfg.Access.APIs(ctx, in.options()))
		})
	add(m, operation("listPrivileges", "GET", "/v1/privileges", tagCatalog, "",
		"List privileges",
		"Those of all APIs that your organization can have, this server's own included."),
		func(ctx context.Context, in *Page) (*plain[svcauth.List[svcauth.Privilege]], error) {
			return page(m.cfg.Access.Privileges(ctx, in.options()))
		})
}
