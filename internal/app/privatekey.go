package app

import (
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oauth"
)

// newPrivateKey builds the method private_key_jwt, what knows which assertions
// were used, and the methods for assertions of other issuers, which it knows
// too.
func (a *App) newPrivateKey() []clientauth.Method {
	signatures := clientauth.NewSignatures(a.costly)
	a.uses = clientauth.NewUses(clientauth.UsesConfig{
		Cache: a.cache, Store: a.store, Alone: !a.store.Postgres() && !a.cache.Shared(), Clock: a.clock,
		Logger: a.logger,
	})
	method := clientauth.NewPrivateKey(clientauth.PrivateKeyConfig{
		Issuer: a.cfg.Issuer, TokenURLs: oauth.TokenURLs(a.cfg.Issuer, a.cfg.Token.Aliases),
		RequireJTI: a.cfg.Keys.RequireJTI, Uses: a.uses, Keys: a.federation.Keys, Signatures: signatures,
		Clock: a.clock,
	})
	return append(a.federatedMethods(method, signatures), method)
}
