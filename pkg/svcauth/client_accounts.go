package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const accountsPath = "service-accounts"

// CreateServiceAccount creates a service account with one secret, or with none
// if body.Secret is false. The answer has the secret in ClientSecret; it is not
// shown again. The caller needs members:manage and every privilege of the roles
// that it assigns. Problems: [CodeConflict] if the name is taken,
// [CodeInvalid], [CodeForbidden], [CodeMissingPrivileges].
func (c *Client) CreateServiceAccount(ctx context.Context, body NewServiceAccount) (ServiceAccount, error) {
	var account ServiceAccount
	version, err := c.do(ctx, request{method: http.MethodPost, path: []string{accountsPath}, body: body}, &account)
	account.Version = version
	return account, err
}

// ServiceAccount returns the service account with that id. Problem:
// [CodeNotFound].
func (c *Client) ServiceAccount(ctx context.Context, id string) (ServiceAccount, error) {
	var account ServiceAccount
	version, err := c.do(ctx, request{method: http.MethodGet, path: []string{accountsPath, id}}, &account)
	account.Version = version
	return account, err
}

// ServiceAccounts returns one page of the organization's service accounts,
// newest first. It returns only those whose names begin with options.Name.
func (c *Client) ServiceAccounts(ctx context.Context, options ListOptions) (List[ServiceAccount], error) {
	query := options.query()
	query.Set("name", options.Name)
	return page[ServiceAccount](ctx, c, query, accountsPath)
}

// UpdateServiceAccount changes the fields that patch sets and returns the
// changed account. Disabling an account revokes its tokens at once; with wait,
// Enforcement in the answer says how many resource servers enforce that.
// Problems: [CodePreconditionFailed] if version (0: any) is no longer the
// account's, [CodeConflict], [CodeInvalid], [CodeNotFound].
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

// DeleteServiceAccount deletes a service account with its credentials, and
// revokes its tokens at once. Problem: [CodeNotFound].
func (c *Client) DeleteServiceAccount(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{accountsPath, id}, wait: wait})
}

// takeAway makes a call whose answer is 204 or, if it waits, an Enforcement.
func (c *Client) takeAway(ctx context.Context, r request) (*Enforcement, error) {
	var enforcement *Enforcement
	_, err := c.do(ctx, r, &enforcement)
	return enforcement, err
}

// ServiceAccountRoles returns one page of the roles that a service account
// holds.
func (c *Client) ServiceAccountRoles(ctx context.Context, id string, options ListOptions) (List[Grant], error) {
	return page[Grant](ctx, c, options.query(), accountsPath, id, "roles")
}

// AssignServiceAccountRole grants a role to a service account. If the account
// already has the role, it sets the new expiry; if body.ID differs from the
// existing grant's id, a new grant replaces that one. Callers can grant only
// privileges that they hold themselves, and for no longer than they hold them:
// otherwise [CodeMissingPrivileges].
//
// The answer's warnings name the account's secrets that were created by
// somebody who doesn't hold what the account gains, and say if its tokens would
// be too long.
func (c *Client) AssignServiceAccountRole(
	ctx context.Context,
	id, roleID string,
	body GrantRequest,
) (GrantAnswer, error) {
	return c.assignRole(ctx, accountsPath, id, roleID, body)
}

// UnassignServiceAccountRole takes a role from a service account. The account's
// tokens that carry the role are revoked at once. It is no error if the account
// doesn't have the role. If grantID is not empty, only that grant is ended: if
// another one has replaced it, nothing happens.
func (c *Client) UnassignServiceAccountRole(
	ctx context.Context,
	id, roleID, grantID string,
	wait time.Duration,
) (*Enforcement, error) {
	return c.unassignRole(ctx, accountsPath, id, roleID, grantID, wait)
}

// assignRole grants a role to a service account or a member.
func (c *Client) assignRole(
	ctx context.Context,
	path, id, roleID string,
	body GrantRequest,
) (answer GrantAnswer, err error) {
	_, err = c.do(ctx, request{method: http.MethodPut, path: []string{path, id, "roles", roleID}, body: body}, &answer)
	return answer, err
}

// unassignRole takes a role from a service account or a member.
func (c *Client) unassignRole(
	ctx context.Context,
	path, id, roleID, grantID string,
	wait time.Duration,
) (*Enforcement, error) {
	return c.takeAway(ctx, request{
		method: http.MethodDelete,
		path:   []string{path, id, "roles", roleID},
		query:  ofGrant(grantID),
		wait:   wait,
	})
}

// ofGrant returns the query that names a grant, or nil if id is empty.
func ofGrant(id string) url.Values {
	if id == "" {
		return nil
	}
	return url.Values{"grant": {id}}
}

// Tokens returns one page of the records of a service account's live tokens.
// The tokens themselves are not stored anywhere.
func (c *Client) Tokens(ctx context.Context, id string, options ListOptions) (List[LiveToken], error) {
	return page[LiveToken](ctx, c, options.query(), accountsPath, id, "tokens")
}

// RevokeToken revokes one token of a service account, which is named by its jti
// claim.
func (c *Client) RevokeToken(ctx context.Context, id, jti string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{
		method: http.MethodDelete,
		path:   []string{accountsPath, id, "tokens", jti},
		wait:   wait,
	})
}

// RevokeTokens revokes every token issued to a service account so far. Its
// secrets stay valid, so it can get new tokens.
func (c *Client) RevokeTokens(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{
		method: http.MethodPost,
		path:   []string{accountsPath, id, "revoke-tokens"},
		wait:   wait,
	})
}
