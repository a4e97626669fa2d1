package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const keysPath = "keys"

// CreateKey adds a public key to a service account, which can have [MaxKeys] at
// once. Problems: [CodeConflict] if there are too many, or the account has it
// already; [CodeInvalid], for a private key too; [CodeMissingPrivileges].
func (c *Client) CreateKey(ctx context.Context, id string, body NewKey) (Key, error) {
	var key Key
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{accountsPath, id, keysPath}, body: body}, &key)
	return key, err
}

// Keys returns a service account's public keys.
func (c *Client) Keys(ctx context.Context, id string) (List[Key], error) {
	return page[Key](ctx, c, nil, accountsPath, id, keysPath)
}

// Key returns one of a service account's public keys.
func (c *Client) Key(ctx context.Context, id, keyID string) (Key, error) {
	var key Key
	_, err := c.do(ctx, request{method: http.MethodGet, path: []string{accountsPath, id, keysPath, keyID}}, &key)
	return key, err
}

// UpdateKey changes a key's description, expiry or what audience it accepts.
// Problem: [CodeInvalid] if the expiry is not in the future.
func (c *Client) UpdateKey(ctx context.Context, id, keyID string, patch KeyPatch) (Key, error) {
	var key Key
	_, err := c.do(ctx, request{
		method: http.MethodPatch,
		path:   []string{accountsPath, id, keysPath, keyID},
		body:   patch,
	}, &key)
	return key, err
}

// DeleteKey deletes a public key, which then obtains no more tokens. With
// revokeTokens, the tokens that it obtained are revoked at once; otherwise they
// are valid until they expire.
func (c *Client) DeleteKey(
	ctx context.Context, id, keyID string, revokeTokens bool, wait time.Duration,
) (*Enforcement, error) {
	r := request{method: http.MethodDelete, path: []string{accountsPath, id, keysPath, keyID}, wait: wait}
	if revokeTokens {
		r.query = url.Values{"revoke_tokens": {"true"}}
	}
	return c.takeAway(ctx, r)
}
