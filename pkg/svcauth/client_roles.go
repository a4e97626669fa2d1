package svcauth

import (
	"context"
	"net/http"
	"time"
)

const rolesPath = "roles"

// CreateRole creates a custom role. The caller needs roles:manage and every
// privilege of the role. Problems: [CodeConflict] if the name is taken,
// [CodeInvalid] for an unknown privilege, [CodeMissingPrivileges].
func (c *Client) CreateRole(ctx context.Context, body NewRole) (Role, error) {
	return c.role(ctx, request{method: http.MethodPost, path: []string{rolesPath}, body: body})
}

// Role returns the role with that id. Problem: [CodeNotFound].
func (c *Client) Role(ctx context.Context, id string) (Role, error) {
	return c.role(ctx, request{method: http.MethodGet, path: []string{rolesPath, id}})
}

// Roles returns one page of the organization's roles, newest first.
func (c *Client) Roles(ctx context.Context, options ListOptions) (List[Role], error) {
	return page[Role](ctx, c, options.query(), rolesPath)
}

// UpdateRole changes the fields that patch sets and returns the changed role.
// If the role loses privileges, tokens that carry the role and one of these are
// revoked at once. If its name changes, all tokens that carry the role are.
// Problems: [CodePreconditionFailed] if version (0: any) is no longer the
// role's, [CodeConflict], [CodeForbidden] for a system role,
// [CodeMissingPrivileges].
func (c *Client) UpdateRole(
	ctx context.Context,
	id string,
	version int64,
	patch RolePatch,
	wait time.Duration,
) (Role, error) {
	if patch.Privileges != nil && *patch.Privileges == nil { // null in JSON, which would change nothing
		patch.Privileges = &[]string{}
	}
	return c.role(ctx, request{
		method:  http.MethodPatch,
		path:    []string{rolesPath, id},
		body:    patch,
		version: version,
		wait:    wait,
	})
}

func (c *Client) role(ctx context.Context, r request) (Role, error) {
	var role Role
	version, err := c.do(ctx, r, &role)
	role.Version = version
	return role, err
}

// DeleteRole deletes a custom role, takes it from everybody who has it, and
// revokes the tokens that carry it at once.
func (c *Client) DeleteRole(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{rolesPath, id}, wait: wait})
}

// APIs returns one page of the APIs that the server knows.
func (c *Client) APIs(ctx context.Context, options ListOptions) (List[API], error) {
	return page[API](ctx, c, options.query(), "apis")
}

// Privileges returns one page of the privileges of all APIs, including the
// server's own.
func (c *Client) Privileges(ctx context.Context, options ListOptions) (List[Privilege], error) {
	return page[Privilege](ctx, c, options.query(), "privileges")
}
