package svcauth

import (
	"context"
	"net/http"
)

const signingKeysPath = "signing-keys"

// SigningKeys lists the keys that sign tokens or have signed some that still live; it needs keys:manage, like all calls on signing keys.
func (c *Client) SigningKeys(ctx context.Context) (List[SigningKey], error) {
	return page[SigningKey](ctx, c, nil, signingKeysPath)
}

// RotateSigningKeys makes the next key the active one, now rather than when it is due, and a new next one. It gives the keys as they then are. Tokens live on.
func (c *Client) RotateSigningKeys(ctx context.Context) (List[SigningKey], error) {
	var keys List[SigningKey]
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{signingKeysPath, "rotate"}}, &keys)
	return keys, err
}

// RevokeSigningKey takes a key that may be in strange hands out of the JWKS at once. Every token that it signed is refused from then on: the warning says what that breaks.
func (c *Client) RevokeSigningKey(ctx context.Context, kid string) (warning string, err error) {
	var answer struct {
		Warning string `json:"warning"`
	}
	_, err = c.do(ctx, request{method: http.MethodPost, path: []string{signingKeysPath, kid, "revoke"}}, &answer)
	return answer.Warning, err
}

// ResourceServers lists the followers of the revocation feed that are connected, and how far behind each is.
func (c *Client) ResourceServers(ctx context.Context, options ListOptions) (List[ResourceServer], error) {
	return page[ResourceServer](ctx, c, options.query(), "resource-servers")
}
