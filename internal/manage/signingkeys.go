package manage

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagSigning  = "Signing keys"
	pathSigning = "/v1/signing-keys"
)

// KeyOf names a signing key.
type KeyOf struct {
	KID string `path:"kid" doc:"The key's id, as it stands in a token's header"`
}

// Revoked answers the revocation of a signing key.
type Revoked struct {
	Warning string `json:"warning" doc:"What this breaks"`
}

func (m *API) signingKeys() {
	const operators = "Only in the operator's organization."
	add(m, operation("listSigningKeys", "GET", pathSigning, tagSigning, svcauth.KeysManage,
		"List signing keys",
		operators+" Those that sign, will sign, or have signed tokens that still live."),
		func(ctx context.Context, in *Page) (*plain[svcauth.List[svcauth.SigningKey]], error) {
			return page(m.cfg.Access.SigningKeys(ctx, in.options()))
		})
	add(m, operation("rotateSigningKeys", "POST", pathSigning+"/rotate", tagSigning, svcauth.KeysManage,
		"Rotate the signing keys now",
		operators+" The next key of the algorithm, or without a body of each that is in use, becomes the "+
			"active one before it is due. Tokens live on. The answer lists the keys as they then are. At "+
			"most 10 keys are published at once: beyond that 409 says when the next rotation is possible."),
		func(ctx context.Context, in *struct {
			Body *svcauth.KeyRotation
		}) (*plain[svcauth.List[svcauth.SigningKey]], error) {
			var which svcauth.KeyRotation
			if in.Body != nil {
				which = *in.Body
			}
			return page(m.cfg.Access.RotateSigningKeys(ctx, which))
		})
	add(m, operation("revokeSigningKey", "POST", pathSigning+"/{kid}/revoke", tagSigning, svcauth.KeysManage,
		"Revoke a signing key",
		operators+" For a key that may be in strange hands: it leaves the key set at once, and "+
			"every token that it signed is refused from then on."),
		func(ctx context.Context, in *KeyOf) (*plain[Revoked], error) {
			warning, err := m.cfg.Access.RevokeSigningKey(ctx, in.KID)
			return &plain[Revoked]{Revoked{warning}}, err
		})
	add(m, operation("listResourceServers", "GET", "/v1/resource-servers", tagSigning, svcauth.TokensIntrospect,
		"List connected resource servers",
		"Who follows the revocation feed, and how far behind each is: of your organization; "+
			"in the operator's organization, all."),
		func(ctx context.Context, in *Page) (*plain[svcauth.List[svcauth.ResourceServer]], error) {
			return page(m.cfg.Access.ResourceServers(ctx, in.options(), m.cfg.ResourceServers))
		})
}
