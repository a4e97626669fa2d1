package svcauth

import (
	"context"
	"net/http"
)

const signingKeysPath = "signing-keys"

// SigningKeys returns the keys that sign tokens, will sign them, or have signed
// some that still live. It needs keys:manage, like all calls on signing keys.
func (c *Client) SigningKeys(ctx context.Context) (List[SigningKey], error) {
	return page[SigningKey](ctx, c, nil, signingKeysPath)
}

// RotateSigningKeys makes the next key the active one now rather than when it is
// due, and creates a new next one. It returns the keys as they then are. Tokens
// stay valid.
func (c *Client) RotateSigningKeys(ctx context.Context) (List[SigningKey], error) {
	var keys List[SigningKey]
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{signingKeysPath, "rotate"}}, &keys)
	return keys, err
}

// RevokeSigningKey takes a key that may have leaked out of the JWKS at once. Every
// token that it signed is refused from then on; the warning says what that breaks.
func (c *Client) RevokeSigningKey(ctx context.Context, kid string) (warning string, err error) {
	var answer struct {
		Warning string `json:"warning"`
	}
	_, err = c.do(ctx, request{method: http.MethodPost, path: []string{signingKeysPath, kid, "revoke"}}, &answer)
	return answer.Warning, err
}

// ResourceServers returns one page of the resource servers that are subscribed to
// the revocation feed, and how far behind each is.
func (c *Client) ResourceServers(ctx context.Context, options ListOptions) (List[ResourceServer], error) {
	return page[ResourceServer](ctx, c, options.query(), "resource-servers")
}
