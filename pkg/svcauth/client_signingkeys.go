package svcauth

import (
	"context"
	"net/http"
)

const signingKeysPath = "signing-keys"

// SigningKeys returns the keys that sign tokens now, will sign them next, or
// signed tokens that are still valid. The caller needs keys:manage, as for
// every call about signing keys.
func (c *Client) SigningKeys(ctx context.Context) (List[SigningKey], error) {
	return page[SigningKey](ctx, c, nil, signingKeysPath)
}

// RotateSigningKeys makes the next key the active one now, before its time, and
// creates a new next key: of one algorithm, or of each that is in use. It
// returns the keys after the change. Tokens stay valid.
func (c *Client) RotateSigningKeys(ctx context.Context, r KeyRotation) (List[SigningKey], error) {
	var keys List[SigningKey]
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{signingKeysPath, "rotate"}, body: r}, &keys)
	return keys, err
}

// RevokeSigningKey removes a key that may have leaked from the published key
// set at once. Every token that it signed is refused from then on; the warning
// says what that breaks.
func (c *Client) RevokeSigningKey(ctx context.Context, kid string) (warning string, err error) {
	var answer struct {
		Warning string `json:"warning"`
	}
	_, err = c.do(ctx, request{method: http.MethodPost, path: []string{signingKeysPath, kid, "revoke"}}, &answer)
	return answer.Warning, err
}

// ResourceServers returns one page of the resource servers that are connected
// to the revocation feed, and how far behind each is.
func (c *Client) ResourceServers(ctx context.Context, options ListOptions) (List[ResourceServer], error) {
	return page[ResourceServer](ctx, c, options.query(), "resource-servers")
}
