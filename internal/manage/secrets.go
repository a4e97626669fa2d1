package manage

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagSecrets = "Secrets"
	pathSecret = pathAccount + "/{id}/secrets"

	tagKeys = "Application keys"
	pathKey = "/v1/application-keys"
)

// SecretOf names a secret of a service account.
type SecretOf struct {
	Item
	SecretID string `path:"secret_id" doc:"The secret's id"`
}

// NewSecretOf adds a secret to a service account.
type NewSecretOf struct {
	Item
	Body *svcauth.NewSecretRequest
}

// SecretPatchOf changes a secret.
type SecretPatchOf struct {
	SecretOf
	Body svcauth.SecretPatch
}

// SecretRemoval takes a secret away.
type SecretRemoval struct {
	SecretOf
	Waiting
	RevokeTokens bool `query:"revoke_tokens" doc:"The tokens that were obtained with it die at once; else they live until they expire"`
}

func (m *API) secrets() {
	add(m, operation("listSecrets", "GET", pathSecret, tagSecrets, svcauth.MembersRead,
		"List the secrets of a service account",
		"What may be known of them, never themselves. There are at most 5, all on one page."),
		func(ctx context.Context, in *Item) (*plain[svcauth.List[svcauth.SecretInfo]], error) {
			return page(m.cfg.Access.Secrets(ctx, in.ID))
		})
	addMade(m, operation("createSecret", "POST", pathSecret, tagSecrets, svcauth.MembersManage,
		"Create a secret for a service account",
		"The answer has `client_secret`, this once, unless you send one that you made "+
			"yourself: `svcs_`, 43 random base62 characters and the 6 of their CRC-32. A service "+
			"account holds at most 5 secrets, so that one can be replaced without a gap. You need "+
			"every privilege of the account's roles."),
		func(ctx context.Context, in *NewSecretOf) (*created[svcauth.SecretInfo], error) {
			var n svcauth.NewSecretRequest
			if in.Body != nil {
				n = *in.Body
			}
			secret, err := m.cfg.Access.CreateSecret(ctx, in.ID, n)
			return &created[svcauth.SecretInfo]{pathAccount + "/" + in.ID + "/secrets/" + secret.ID, secret}, err
		})
	add(m, operation("updateSecret", "PATCH", pathSecret+"/{secret_id}", tagSecrets, svcauth.MembersManage,
		"Change a secret's description or expiry",
		"What is absent stays; `\"expires_at\": null` takes the expiry away."),
		func(ctx context.Context, in *SecretPatchOf) (*plain[svcauth.SecretInfo], error) {
			return unversioned(m.cfg.Access.UpdateSecret(ctx, in.ID, in.SecretID, in.Body))
		})
	addDone(m, operation("deleteSecret", "DELETE", pathSecret+"/{secret_id}", tagSecrets, svcauth.MembersManage,
		"Remove a secret",
		"No new tokens for it from now on."),
		func(ctx context.Context, in *SecretRemoval) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error {
				return m.cfg.Access.DeleteSecret(ctx, in.ID, in.SecretID, in.RevokeTokens)
			})
		})
}

// KeyPage asks for a page of application keys.
type KeyPage struct {
	Page
	Member string `query:"member" doc:"Of this member, for whoever holds members:manage; without it, your own" maxLength:"64"`
}

func (m *API) applicationKeys() {
	add(m, operation("listApplicationKeys", "GET", pathKey, tagKeys, "",
		"List application keys",
		"Your own, newest first. With `members:manage`, `member` lists another member's."),
		func(ctx context.Context, in *KeyPage) (*plain[svcauth.List[svcauth.ApplicationKey]], error) {
			o := in.options()
			o.Member = in.Member
			return page(m.cfg.Access.ApplicationKeys(ctx, o))
		})
	addMade(m, cautious(operation("createApplicationKey", "POST", pathKey, tagKeys, "",
		"Create an application key",
		"An OAuth2 client that acts as you, with your roles at the moment of each token "+
			"request. The answer has `client_secret`, this once. Only a member can have one. It "+
			"ends when the member's password is set or reset, and when the member is suspended or "+
			"removed. `default_refused` says that your keys get no token without a scope or resource, and why."+
			aboutCaution)),
		func(ctx context.Context, in *struct {
			Body *svcauth.NewApplicationKey
		}) (*created[svcauth.ApplicationKey], error) {
			var n svcauth.NewApplicationKey
			if in.Body != nil {
				n = *in.Body
			}
			key, err := m.cfg.Access.CreateApplicationKey(ctx, n)
			return &created[svcauth.ApplicationKey]{pathKey + "/" + key.ID, key}, err
		})
	add(m, operation("getApplicationKey", "GET", pathKey+"/{id}", tagKeys, "",
		"Get an application key",
		"One of your own, or with `members:manage` any member's."),
		func(ctx context.Context, in *Item) (*plain[svcauth.ApplicationKey], error) {
			return unversioned(m.cfg.Access.ApplicationKey(ctx, in.ID))
		})
	addDone(m, operation("deleteApplicationKey", "DELETE", pathKey+"/{id}", tagKeys, "",
		"Remove an application key",
		"One of your own, or with `members:manage` any member's. Its tokens die at once."),
		func(ctx context.Context, in *ItemWait) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error { return m.cfg.Access.DeleteApplicationKey(ctx, in.ID) })
		})
}
