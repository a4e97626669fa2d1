package manage

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const pathPublicKey = pathAccount + "/{id}/keys"

// PublicKeyOf names a public key of a service account.
type PublicKeyOf struct {
	Item
	KeyID string `path:"key_id" doc:"The key's id"`
}

// NewPublicKeyOf adds a public key to a service account.
type NewPublicKeyOf struct {
	Item
	Body svcauth.NewKey
}

// PublicKeyPatchOf changes a public key.
type PublicKeyPatchOf struct {
	PublicKeyOf
	Body svcauth.KeyPatch
}

// PublicKeyRemoval takes a public key away.
type PublicKeyRemoval struct {
	PublicKeyOf
	Waiting
	RevokeTokens bool `query:"revoke_tokens" doc:"The tokens that were obtained with it die at once; else they live until they expire"`
}

func (m *API) keys() {
	add(m, operation("listKeys", "GET", pathPublicKey, tagSecrets, svcauth.MembersRead,
		"List the public keys of a service account",
		"There are at most 10, all on one page."),
		func(ctx context.Context, in *Item) (*plain[svcauth.List[svcauth.Key]], error) {
			return page(m.cfg.Access.Keys(ctx, in.ID))
		})
	addMade(m, operation("createKey", "POST", pathPublicKey, tagSecrets, svcauth.MembersManage,
		"Add a public key to a service account",
		"The account then proves who it is by an assertion that it signs with the private key "+
			"(`private_key_jwt`), which never leaves it. Send one of `jwk`, `pem` and `jwks_uri`. A private key is "+
			"refused. An account holds at most 10. You need every privilege of the account's roles."),
		func(ctx context.Context, in *NewPublicKeyOf) (*created[svcauth.Key], error) {
			key, err := m.cfg.Access.CreateKey(ctx, in.ID, in.Body)
			return &created[svcauth.Key]{pathAccount + "/" + in.ID + "/keys/" + key.ID, key}, err
		})
	add(m, operation("getKey", "GET", pathPublicKey+"/{key_id}", tagSecrets, svcauth.MembersRead,
		"Get a public key",
		"With the key itself, or the address at which the client publishes its keys."),
		func(ctx context.Context, in *PublicKeyOf) (*plain[svcauth.Key], error) {
			return unversioned(m.cfg.Access.Key(ctx, in.ID, in.KeyID))
		})
	add(m, operation("updateKey", "PATCH", pathPublicKey+"/{key_id}", tagSecrets, svcauth.MembersManage,
		"Change a public key's description, expiry or audience",
		"What is absent stays; `\"expires_at\": null` takes the expiry away. The key itself stays: add another."),
		func(ctx context.Context, in *PublicKeyPatchOf) (*plain[svcauth.Key], error) {
			return unversioned(m.cfg.Access.UpdateKey(ctx, in.ID, in.KeyID, in.Body))
		})
	addDone(m, operation("deleteKey", "DELETE", pathPublicKey+"/{key_id}", tagSecrets, svcauth.MembersManage,
		"Remove a public key",
		"No new tokens for it from now on."),
		func(ctx context.Context, in *PublicKeyRemoval) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error {
				return m.cfg.Access.DeleteKey(ctx, in.ID, in.KeyID, in.RevokeTokens)
			})
		})
}
