package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const accountsPath = "service-accounts"

// CreateServiceAccount creates a service account with one secret. It needs
// members:manage and every privilege of the roles that it assigns. The answer
// has ClientSecret, which is not shown again. Problems: [CodeConflict] if the
// name is taken, [CodeInvalid], [CodeForbidden], [CodeMissingPrivileges].
func (c *Client) CreateServiceAccount(ctx context.Context, body NewServiceAccount) (ServiceAccount, error) {
	var account ServiceAccount
	version, err := c.do(ctx, request{method: http.MethodPost, path: []string{accountsPath}, body: body}, &account)
	account.Version = version
	return account, err
}

// ServiceAccount returns the one with that id. Problem: [CodeNotFound].
func (c *Client) ServiceAccount(ctx context.Context, id string) (ServiceAccount, error) {
	var account ServiceAccount
	version, err := c.do(ctx, request{method: http.MethodGet, path: []string{accountsPath, id}}, &account)
	account.Version = version
	return account, err
}

// ServiceAccounts returns one page of the organization's service accounts,
// newest first, of those whose names begin with options.Name.
func (c *Client) ServiceAccounts(ctx context.Context, options ListOptions) (List[ServiceAccount], error) {
	query := options.query()
	query.Set("name", options.Name)
	return page[ServiceAccount](ctx, c, query, accountsPath)
}

// UpdateServiceAccount changes what patch names and returns the account as it
// then is. Disabling one revokes its tokens at once; with wait, Enforcement in
// the answer says how far that has got. Problems: [CodePreconditionFailed] if
// version (0: any) is no longer the account's, [CodeConflict], [CodeInvalid],
// [CodeNotFound].
func (c *Client) UpdateServiceAccount(
	ctx context.Context,
	id string,
	version int64,
	patch ServiceAccountPatch,
	wait time.Duration,
) (ServiceAccount, error) {
	var account ServiceAccount
	version, err := c.do(ctx, request{
		method:  http.MethodPatch,
		path:    []string{accountsPath, id},
		body:    patch,
		version: version,
		wait:    wait,
	}, &account)
	account.Version = version
	return account, err
}

// DeleteServiceAccount deletes one with its secrets, and revokes its tokens at
// once. Enforcement is nil without wait. Problem: [CodeNotFound].
func (c *Client) DeleteServiceAccount(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{accountsPath, id}, wait: wait})
}

// takeAway makes a call that is answered by 204, or with wait by what resource
// servers enforce.
func (c *Client) takeAway(ctx context.Context, r request) (*Enforcement, error) {
	var enforcement *Enforcement
	_, err := c.do(ctx, r, &enforcement)
	return enforcement, err
}

// ServiceAccountRoles returns one page of the roles that a service account holds.
func (c *Client) ServiceAccountRoles(ctx context.Context, id string, options ListOptions) (List[Grant], error) {
	return page[Grant](ctx, c, options.query(), accountsPath, id, "roles")
}

// AssignServiceAccountRole gives a role to a service account; given again, it
// sets the new expiry, and with another id the new grant takes the place of the
// one that is there. One grants only what one holds, and for no longer:
// [CodeMissingPrivileges]. The answer names secrets of the account whose makers
// do not hold what it gains, and says if its tokens would be too long.
func (c *Client) AssignServiceAccountRole(
	ctx context.Context,
	id, roleID string,
	body GrantRequest,
) (answer GrantAnswer, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodPut,
		path:   []string{accountsPath, id, "roles", roleID},
		body:   body,
	}, &answer)
	return answer, err
}

// UnassignServiceAccountRole takes a role from a service account. Its tokens that
// carry the role die at once. It is no error if it did not hold the role. With a
// grantID it ends that grant alone: if another has taken its place, nothing
// happens.
func (c *Client) UnassignServiceAccountRole(
	ctx context.Context,
	id, roleID, grantID string,
	wait time.Duration,
) (*Enforcement, error) {
	return c.takeAway(ctx, request{
		method: http.MethodDelete,
		path:   []string{accountsPath, id, "roles", roleID},
		query:  ofGrant(grantID),
		wait:   wait,
	})
}

// ofGrant is the query that names a grant; an empty id is none.
func ofGrant(id string) url.Values {
	if id == "" {
		return nil
	}
	return url.Values{"grant": {id}}
}

// Tokens returns one page of the records of a service account's live tokens. The
// tokens themselves are kept nowhere.
func (c *Client) Tokens(ctx context.Context, id string, options ListOptions) (List[LiveToken], error) {
	return page[LiveToken](ctx, c, options.query(), accountsPath, id, "tokens")
}

// RevokeToken revokes one token of a service account by its jti.
func (c *Client) RevokeToken(ctx context.Context, id, jti string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{
		method: http.MethodDelete,
		path:   []string{accountsPath, id, "tokens", jti},
		wait:   wait,
	})
}

// RevokeTokens revokes every token issued to a service account so far. Its
// secrets stay valid: it can get new ones.
func (c *Client) RevokeTokens(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{
		method: http.MethodPost,
		path:   []string{accountsPath, id, "revoke-tokens"},
		wait:   wait,
	})
}
