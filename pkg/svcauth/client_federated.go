package svcauth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const federatedPath = "federated-credentials"

// CreateFederatedCredential adds a federated credential to a service account,
// which can have [MaxFederatedCredentials] at once. Warnings in the answer say
// by what others could come to have tokens that fit it. Problems:
// [CodeConflict] if the name is taken or there are too many, [CodeInvalid],
// [CodeMissingPrivileges].
func (c *Client) CreateFederatedCredential(
	ctx context.Context, id string, body NewFederatedCredential,
) (FederatedCredential, error) {
	var made FederatedCredential
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: []string{accountsPath, id, federatedPath}, body: body,
	}, &made)
	return made, err
}

// FederatedCredentials returns a service account's federated credentials,
// newest first, all on one page.
func (c *Client) FederatedCredentials(ctx context.Context, id string) (List[FederatedCredential], error) {
	return page[FederatedCredential](ctx, c, nil, accountsPath, id, federatedPath)
}

// FederatedCredential returns one of a service account's. Problem:
// [CodeNotFound].
func (c *Client) FederatedCredential(ctx context.Context, id, credentialID string) (FederatedCredential, error) {
	var one FederatedCredential
	_, err := c.do(ctx, request{
		method: http.MethodGet, path: []string{accountsPath, id, federatedPath, credentialID},
	}, &one)
	return one, err
}

// UpdateFederatedCredential changes the fields that patch sets and returns the
// changed credential. Tokens that it obtained stay valid. Problems:
// [CodeConflict] if the name is taken, [CodeInvalid], [CodeMissingPrivileges],
// [CodeNotFound].
func (c *Client) UpdateFederatedCredential(
	ctx context.Context, id, credentialID string, patch FederatedCredentialPatch,
) (FederatedCredential, error) {
	var changed FederatedCredential
	_, err := c.do(ctx, request{
		method: http.MethodPatch, path: []string{accountsPath, id, federatedPath, credentialID}, body: patch,
	}, &changed)
	return changed, err
}

// DeleteFederatedCredential deletes a federated credential, which then obtains
// no more tokens. With revokeTokens, the tokens that it obtained are revoked at
// once; otherwise they are valid until they expire.
func (c *Client) DeleteFederatedCredential(
	ctx context.Context, id, credentialID string, revokeTokens bool, wait time.Duration,
) (*Enforcement, error) {
	r := request{
		method: http.MethodDelete, path: []string{accountsPath, id, federatedPath, credentialID}, wait: wait,
	}
	if revokeTokens {
		r.query = url.Values{"revoke_tokens": {"true"}}
	}
	return c.takeAway(ctx, r)
}

// TestFederatedCredentials returns which federated credentials of the
// organization a token of another issuer fits, and for each other the first
// rule that it fails. Nothing is issued. Problems: [CodeInvalid],
// [CodeNotFound].
func (c *Client) TestFederatedCredentials(ctx context.Context, body FederatedTest) (FederatedTestResult, error) {
	var result FederatedTestResult
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{federatedPath, "test"}, body: body}, &result)
	return result, err
}
