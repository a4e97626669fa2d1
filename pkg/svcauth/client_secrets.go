package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// CreateSecret adds a secret to a service account, which may hold [MaxSecrets] at once. The answer has ClientSecret, which can't be had again, unless the caller made
// it (body.ClientSecret, see [NewSecret]). Problems: [CodeConflict] where there are too many, [CodeInvalid], [CodeMissingPrivileges].
func (c *Client) CreateSecret(ctx context.Context, id string, body NewSecretRequest) (SecretInfo, error) {
	var secret SecretInfo
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{accountsPath, id, "secrets"}, body: body}, &secret)
	return secret, err
}

// Secrets lists a service account's secrets: what may be known of them, never themselves.
func (c *Client) Secrets(ctx context.Context, id string) (List[SecretInfo], error) {
	return page[SecretInfo](ctx, c, nil, accountsPath, id, "secrets")
}

// UpdateSecret changes a secret's description or expiry. Problem: [CodeInvalid] where the expiry does not lie ahead.
func (c *Client) UpdateSecret(ctx context.Context, id, secretID string, patch SecretPatch) (SecretInfo, error) {
	var secret SecretInfo
	_, err := c.do(ctx, request{method: http.MethodPatch, path: []string{accountsPath, id, "secrets", secretID}, body: patch}, &secret)
	return secret, err
}

// DeleteSecret removes a secret: no new tokens for it. With revokeTokens those that it obtained die at once too; else they live until they expire.
func (c *Client) DeleteSecret(ctx context.Context, id, secretID string, revokeTokens bool, wait time.Duration) (*Enforcement, error) {
	r := request{method: http.MethodDelete, path: []string{accountsPath, id, "secrets", secretID}, wait: wait}
	if revokeTokens {
		r.query = url.Values{"revoke_tokens": {"true"}}
	}
	return c.takeAway(ctx, r)
}

const applicationKeysPath = "application-keys"

// CreateApplicationKey makes an application key of the calling member. The answer has ClientSecret, which can't be had again.
func (c *Client) CreateApplicationKey(ctx context.Context, body NewApplicationKey) (ApplicationKey, error) {
	var key ApplicationKey
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{applicationKeysPath}, body: body}, &key)
	return key, err
}

// ApplicationKey gets one by its id: of the calling member, or, with
// members:manage, of any.
func (c *Client) ApplicationKey(ctx context.Context, id string) (ApplicationKey, error) {
	var key ApplicationKey
	_, err := c.do(ctx, request{method: http.MethodGet, path: []string{applicationKeysPath, id}}, &key)
	return key, err
}

// ApplicationKeys gets one page of the calling member's own, or of
// options.Member's.
func (c *Client) ApplicationKeys(ctx context.Context, options ListOptions) (List[ApplicationKey], error) {
	query := options.query()
	if options.Member != "" {
		query.Set("member", options.Member)
	}
	return page[ApplicationKey](ctx, c, query, applicationKeysPath)
}

// DeleteApplicationKey removes one: of the calling member, or, with
// members:manage, of any. Its tokens die at once.
func (c *Client) DeleteApplicationKey(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{applicationKeysPath, id}, wait: wait})
}
