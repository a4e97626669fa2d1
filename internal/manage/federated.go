package manage

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagFederated  = "Federated credentials"
	pathFederated = pathAccount + "/{id}/federated-credentials"

	pathFederatedTest = "/v1/federated-credentials/test"
)

// FederatedOf names a federated credential of a service account.
type FederatedOf struct {
	Item
	CredentialID string `path:"fed_id" doc:"The credential's id"`
}

// NewFederatedOf adds a federated credential to a service account.
type NewFederatedOf struct {
	Item
	Body svcauth.NewFederatedCredential
}

// FederatedPatchOf changes a federated credential.
type FederatedPatchOf struct {
	FederatedOf
	Body svcauth.FederatedCredentialPatch
}

// FederatedRemoval takes a federated credential away.
type FederatedRemoval struct {
	FederatedOf
	Waiting
	RevokeTokens bool `query:"revoke_tokens" doc:"The tokens that were got by it die at once; else they live until they expire"`
}

// FederatedTry tries a token.
type FederatedTry struct{ Body svcauth.FederatedTest }

func (m *API) federated() {
	const one = pathFederated + "/{fed_id}"
	add(m, operation("listFederatedCredentials", "GET", pathFederated, tagFederated, svcauth.MembersRead,
		"List the federated credentials of a service account",
		"There are at most 20, all on one page."),
		func(ctx context.Context, in *Item) (*plain[svcauth.List[svcauth.FederatedCredential]], error) {
			return page(m.cfg.Access.FederatedCredentials(ctx, in.ID))
		})
	addMade(m, cautious(operation("createFederatedCredential", "POST", pathFederated,
		tagFederated, svcauth.MembersManage,
		"Create a federated credential for a service account",
		"From now on a token of that issuer with exactly these values proves the account. `warnings` says by "+
			"what others could come to have such tokens; with `strict` nothing is made then, and with `dry_run` in "+
			"any case. You need every privilege of the account's roles.")),
		func(ctx context.Context, in *NewFederatedOf) (*created[svcauth.FederatedCredential], error) {
			made, err := m.cfg.Access.CreateFederatedCredential(ctx, in.ID, in.Body)
			return &created[svcauth.FederatedCredential]{
				pathAccount + "/" + in.ID + "/federated-credentials/" + made.ID, made,
			}, err
		})
	add(m, operation("getFederatedCredential", "GET", one, tagFederated, svcauth.MembersRead,
		"Get a federated credential", ""),
		func(ctx context.Context, in *FederatedOf) (*plain[svcauth.FederatedCredential], error) {
			return unversioned(m.cfg.Access.FederatedCredential(ctx, in.ID, in.CredentialID))
		})
	add(m, cautious(operation("updateFederatedCredential", "PATCH", one, tagFederated, svcauth.MembersManage,
		"Change a federated credential",
		"What is absent stays; null takes `expires_at`, `privileges`, `jwks` and `jwks_uri` away. If more may "+
			"fit it then, you need every privilege of the account's roles; with `strict` nothing is changed then if "+
			"there is anything to warn of, and with `dry_run` in any case.")),
		func(ctx context.Context, in *FederatedPatchOf) (*plain[svcauth.FederatedCredential], error) {
			return unversioned(m.cfg.Access.UpdateFederatedCredential(ctx, in.ID, in.CredentialID, in.Body))
		})
	addDone(m, operation("deleteFederatedCredential", "DELETE", one, tagFederated, svcauth.MembersManage,
		"Remove a federated credential",
		"No new tokens by it from now on."),
		func(ctx context.Context, in *FederatedRemoval) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error {
				return m.cfg.Access.DeleteFederatedCredential(ctx, in.ID, in.CredentialID, in.RevokeTokens)
			})
		})
	add(m, operation("testFederatedCredentials", "POST", pathFederatedTest, tagFederated, svcauth.MembersRead,
		"Try a token of another issuer",
		"Which federated credentials of the organization it fits, and for each other the first rule that it "+
			"fails, by the "+
			"rules that decide about real requests. Nothing is issued, and nothing is kept of it. With `claims` "+
			"alone, "+
			"header, keys and signature are not looked at."),
		func(ctx context.Context, in *FederatedTry) (*plain[svcauth.FederatedTestResult], error) {
			return unversioned(m.cfg.Token.TestFederated(ctx, in.Body))
		})
}
