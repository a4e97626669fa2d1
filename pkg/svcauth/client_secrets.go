package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// CreateSecret adds a secret to a service account, which can have [MaxSecrets]
// at once. If the server made the secret, the answer has it in ClientSecret,
// and it is not shown again. A caller can also make it ([NewSecret]) and send
// it in body.ClientSecret. Problems: [CodeConflict] if there are too many,
// [CodeInvalid], [CodeMissingPrivileges].
func (c *Client) CreateSecret(ctx context.Context, id string, body NewSecretRequest) (SecretInfo, error) {
	var secret SecretInfo
	_, err := c.do(ctx, request{
		method: http.MethodPost,
		path:   []string{accountsPath, id, "secrets"},
		body:   body,
	}, &secret)
	return secret, err
}

// Secrets returns a description of each of a service account's secrets, never
// the secrets themselves.
func (c *Client) Secrets(ctx context.Context, id string) (List[SecretInfo], error) {
	return page[SecretInfo](ctx, c, nil, accountsPath, id, "secrets")
}

// UpdateSecret changes a secret's description or expiry. Problem: [CodeInvalid]
// if the expiry is not in the future.
func (c *Client) UpdateSecret(ctx context.Context, id, secretID string, patch SecretPatch) (SecretInfo, error) {
	var secret SecretInfo
	_, err := c.do(ctx, request{
		method: http.MethodPatch,
		path:   []string{accountsPath, id, "secrets", secretID},
		body:   patch,
	}, &secret)
	return secret, err
}

// DeleteSecret deletes a secret, which then obtains no more tokens. With
// revokeTokens, the tokens that it obtained are revoked at once; otherwise they
// are valid until they expire.
func (c *Client) DeleteSecret(
	ctx context.Context,
	id, secretID string,
	revokeTokens bool,
	wait time.Duration,
) (*Enforcement, error) {
	r := request{method: http.MethodDelete, path: []string{accountsPath, id, "secrets", secretID}, wait: wait}
	if revokeTokens {
		r.query = url.Values{"revoke_tokens": {"true"}}
	}
	return c.takeAway(ctx, r)
}

const applicationKeysPath = "application-keys"

// CreateApplicationKey creates an application key of the calling member. The
// answer has its secret in ClientSecret; it is not shown again.
func (c *Client) CreateApplicationKey(ctx context.Context, body NewApplicationKey) (ApplicationKey, error) {
	var key ApplicationKey
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{applicationKeysPath}, body: body}, &key)
	return key, err
}

// ApplicationKey returns the application key with that id. Callers with
// members:manage can get any member's, others only their own.
func (c *Client) ApplicationKey(ctx context.Context, id string) (ApplicationKey, error) {
	var key ApplicationKey
	_, err := c.do(ctx, request{method: http.MethodGet, path: []string{applicationKeysPath, id}}, &key)
	return key, err
}

// ApplicationKeys returns one page of the application keys of options.Member
// or, if that is empty, of the calling member.
func (c *Client) ApplicationKeys(ctx context.Context, options ListOptions) (List[ApplicationKey], error) {
	query := options.query()
	if options.Member != "" {
		query.Set("member", options.Member)
	}
	return page[ApplicationKey](ctx, c, query, applicationKeysPath)
}

// DeleteApplicationKey deletes an application key and revokes its tokens at
// once. Callers with members:manage can delete any member's, others only their
// own.
func (c *Client) DeleteApplicationKey(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{applicationKeysPath, id}, wait: wait})
}
