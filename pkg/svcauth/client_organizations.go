package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const (
	ownOrganizationPath = "organization"
	organizationsPath   = "organizations"
)

// Organization returns the caller's own organization. The caller needs
// settings:manage.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	return c.organization(ctx, request{method: http.MethodGet, path: []string{ownOrganizationPath}})
}

// UpdateOrganization changes the caller's own organization. Problem:
// [CodePreconditionFailed] if version (0: any) is no longer the organization's.
func (c *Client) UpdateOrganization(ctx context.Context, version int64, patch OrganizationPatch) (Organization, error) {
	return c.organization(ctx, request{
		method:  http.MethodPatch,
		path:    []string{ownOrganizationPath},
		query:   patch.query(),
		body:    patch,
		version: version,
	})
}

// query returns what of a patch is not in its body.
func (p OrganizationPatch) query() url.Values {
	if p.Confirm {
		return url.Values{"confirm": {"true"}}
	}
	return nil
}

// SecretUsers returns whom it would stop if the caller's organization refused
// secrets and application keys. The caller needs settings:manage, and
// members:read to see names.
func (c *Client) SecretUsers(ctx context.Context) (SecretUsers, error) {
	var users SecretUsers
	_, err := c.do(ctx, request{method: http.MethodGet, path: []string{ownOrganizationPath, "secret-users"}}, &users)
	return users, err
}

func (c *Client) organization(ctx context.Context, r request) (Organization, error) {
	var organization Organization
	version, err := c.do(ctx, r, &organization)
	organization.Version = version
	return organization, err
}

// CreateOrganization creates an organization. Only the operator can call it,
// with organizations:manage; the same holds for every call about other
// organizations than the caller's own. Problem: [CodeConflict] if the name is
// taken.
func (c *Client) CreateOrganization(ctx context.Context, body NewOrganization) (CreatedOrganization, error) {
	var created CreatedOrganization
	version, err := c.do(ctx, request{method: http.MethodPost, path: []string{organizationsPath}, body: body}, &created)
	created.Version = version
	return created, err
}

// OrganizationByID returns any organization by its id.
func (c *Client) OrganizationByID(ctx context.Context, id string) (Organization, error) {
	return c.organization(ctx, request{method: http.MethodGet, path: []string{organizationsPath, id}})
}

// Organizations returns one page of all organizations, newest first.
func (c *Client) Organizations(ctx context.Context, options ListOptions) (List[Organization], error) {
	return page[Organization](ctx, c, options.query(), organizationsPath)
}

// UpdateOrganizationByID changes any organization. Problem:
// [CodePreconditionFailed] if version (0: any) is no longer the organization's.
func (c *Client) UpdateOrganizationByID(
	ctx context.Context,
	id string,
	version int64,
	patch OrganizationPatch,
) (Organization, error) {
	return c.organization(ctx, request{
		method:  http.MethodPatch,
		path:    []string{organizationsPath, id},
		query:   patch.query(),
		body:    patch,
		version: version,
	})
}

// DeleteOrganization deletes an organization with all that belongs to it, and
// revokes its tokens at once. The operator's own organization can't be deleted:
// [CodeConflict] or [CodeForbidden].
func (c *Client) DeleteOrganization(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{organizationsPath, id}, wait: wait})
}
