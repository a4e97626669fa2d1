package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// CreateCertificate registers a certificate for a service account, which can
// have [MaxCertificates] at once. Exactly one of the names or the certificate
// is given. Problems: [CodeConflict] if there are too many or it is registered
// already, [CodeInvalid], [CodeMissingPrivileges].
func (c *Client) CreateCertificate(ctx context.Context, id string, body NewCertificate) (Certificate, error) {
	var made Certificate
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: []string{accountsPath, id, "certificates"}, body: body,
	}, &made)
	return made, err
}

// Certificates returns what is registered for a service account, newest first.
func (c *Client) Certificates(ctx context.Context, id string) (List[Certificate], error) {
	return page[Certificate](ctx, c, nil, accountsPath, id, "certificates")
}

// Certificate returns one registration of a service account.
func (c *Client) Certificate(ctx context.Context, id, certificateID string) (Certificate, error) {
	var found Certificate
	_, err := c.do(ctx, request{
		method: http.MethodGet, path: []string{accountsPath, id, "certificates", certificateID},
	}, &found)
	return found, err
}

// DeleteCertificate ends a registration, which then obtains no more tokens.
// With revokeTokens, the tokens that it obtained are revoked at once; otherwise
// they are valid until they expire.
func (c *Client) DeleteCertificate(
	ctx context.Context, id, certificateID string, revokeTokens bool, wait time.Duration,
) (*Enforcement, error) {
	r := request{
		method: http.MethodDelete, path: []string{accountsPath, id, "certificates", certificateID}, wait: wait,
	}
	if revokeTokens {
		r.query = url.Values{"revoke_tokens": {"true"}}
	}
	return c.takeAway(ctx, r)
}
