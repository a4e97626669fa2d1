package svcauth

import (
	"context"
	"net/http"
	"time"
)

const rolesPath = "roles"

// CreateRole makes a custom role; it needs roles:manage, and every privilege that it puts on it. Problems: [CodeConflict] where the name is taken, [CodeInvalid] for an
// unknown privilege, [CodeMissingPrivileges].
func (c *Client) CreateRole(ctx context.Context, body NewRole) (Role, error) {
	return c.role(ctx, request{method: http.MethodPost, path: []string{rolesPath}, body: body})
}

// Role gets one by its id. Problem: [CodeNotFound].
func (c *Client) Role(ctx context.Context, id string) (Role, error) {
	return c.role(ctx, request{method: http.MethodGet, path: []string{rolesPath, id}})
}

// Roles gets one page of the organization's roles, newest first.
func (c *Client) Roles(ctx context.Context, options ListOptions) (List[Role], error) {
	return page[Role](ctx, c, options.query(), rolesPath)
}

// UpdateRole changes what patch names. Tokens that carry the role and a privilege that it loses die at once, and with a new name all that carry it.
// Problems: [CodePreconditionFailed] where version (0: any) is not the role's own, [CodeConflict], [CodeForbidden] for a system role, [CodeMissingPrivileges].
func (c *Client) UpdateRole(ctx context.Context, id string, version int64, patch RolePatch, wait time.Duration) (Role, error) {
	if patch.Privileges != nil && *patch.Privileges == nil { // a nil slice is null in JSON, and null would leave them as they are
		patch.Privileges = &[]string{}
	}
	return c.role(ctx, request{method: http.MethodPatch, path: []string{rolesPath, id}, body: patch, version: version, wait: wait})
}

func (c *Client) role(ctx context.Context, r request) (Role, error) {
	var role Role
	version, err := c.do(ctx, r, &role)
	role.Version = version
	return role, err
}

// DeleteRole deletes a custom role and takes it from all who hold it; tokens that carry it die at once.
func (c *Client) DeleteRole(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{rolesPath, id}, wait: wait})
}

// APIs gets one page of the catalogue's APIs.
func (c *Client) APIs(ctx context.Context, options ListOptions) (List[API], error) {
	return page[API](ctx, c, options.query(), "apis")
}

// Privileges gets one page of the privileges of all APIs, this server's own included.
func (c *Client) Privileges(ctx context.Context, options ListOptions) (List[Privilege], error) {
	return page[Privilege](ctx, c, options.query(), "privileges")
}
