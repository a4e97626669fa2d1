package token

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/server"

	"github.com/svcauth/svcauth/internal/oautherr"
)

const grantClientCredentials = "client_credentials"

// clientCredentials is the grant of RFC 6749 §4.4. The library go-oauth2 runs
// it, and calls back for the client, the scope, the token and the record. Its
// HTTP handlers, its other grants and its stores are never used: what they
// would do is ours, and is refused here.
type clientCredentials struct{ engine *server.Server }

// newClientCredentials sets the library up. It is never changed afterwards: its
// setters are not safe while it serves.
func newClientCredentials(s *Service) clientCredentials {
	manager := manage.NewManager()
	manager.SetClientTokenCfg(&manage.Config{AccessTokenExp: s.cfg.TTL})
	manager.MapClientStorage(issuanceClient{})
	manager.MapAccessGenerate(issuanceToken{})
	manager.MapTokenStorage(noTokens{})
	engine := server.NewServer(&server.Config{
		TokenType: "Bearer", AllowedGrantTypes: []oauth2.GrantType{oauth2.ClientCredentials},
	}, manager)
	engine.SetClientScopeHandler(func(tgr *oauth2.TokenGenerateRequest) (bool, error) {
		i, ok := issuanceFrom(tgr.Request.Context())
		if !ok {
			return false, oautherrors.ErrInvalidClient
		}
		decided, refusal := s.decide(i.holder, i.request)
		if refusal != nil {
			return false, refusal
		}
		i.decision, tgr.Scope = decided, decided.scope
		return true, nil
	})
	return clientCredentials{engine}
}

// issue implements [grant].
func (g clientCredentials) issue(ctx context.Context, i *issuance) *oautherr.Error {
	ctx = context.WithValue(ctx, issuanceKey{}, i)
	_, err := g.engine.GetAccessToken(ctx, oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{
		ClientID: i.client.ClientID, UserID: i.holder.Principal(), Scope: i.request.Scope,
		Request: (&http.Request{}).WithContext(ctx),
	})
	if err == nil {
		return nil
	}
	var refusal *oautherr.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, oautherrors.ErrInvalidClient):
		return oautherr.New(oautherr.CodeInvalidClient, "grant", "client authentication failed")
	case errors.Is(err, oautherrors.ErrUnauthorizedClient):
		return oautherr.New(oautherr.CodeUnauthorizedClient, "grant", "this client may not use this grant")
	}
	return oautherr.ServerError(err)
}

// issuanceKey is where the library finds the request that it works on.
type issuanceKey struct{}

func issuanceFrom(ctx context.Context) (*issuance, bool) {
	i, ok := ctx.Value(issuanceKey{}).(*issuance)
	return i, ok
}

// issuanceClient is the library's ClientStore. It knows one client, which has
// authenticated.
type issuanceClient struct{}

// GetByID implements [oauth2.ClientStore].
func (issuanceClient) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	i, ok := issuanceFrom(ctx)
	if !ok || i.client.Client == nil || i.client.ClientID != id {
		return nil, oautherrors.ErrInvalidClient
	}
	return i, nil
}

// GetID implements [oauth2.ClientInfo], as the methods below do.
func (i *issuance) GetID() string { return i.client.ClientID }

// GetSecret returns the empty string: nobody has the secret. The library asks
// [issuance.VerifyPassword] instead.
func (i *issuance) GetSecret() string { return "" }

// GetDomain returns the empty string: nothing is redirected.
func (i *issuance) GetDomain() string { return "" }

// IsPublic returns false: every client has to prove who it is.
func (i *issuance) IsPublic() bool { return false }

// GetUserID returns the subject.
func (i *issuance) GetUserID() string { return i.holder.Principal() }

// VerifyPassword implements [oauth2.ClientPasswordVerifier]. It reports whether
// the client has proven who it is. The library has no secret to give.
func (i *issuance) VerifyPassword(string) bool { return i.client.CredentialID != "" }

// issuanceToken is the library's AccessGenerate.
type issuanceToken struct{}

// Token implements [oauth2.AccessGenerate].
func (issuanceToken) Token(
	ctx context.Context, _ *oauth2.GenerateBasic, isGenRefresh bool,
) (access, refresh string, err error) {
	i, ok := issuanceFrom(ctx)
	if !ok || isGenRefresh { // RFC 6749 §4.4.3: no refresh token
		return "", "", oautherrors.ErrUnauthorizedClient
	}
	if refusal := i.mint(ctx, i.decision); refusal != nil {
		return "", "", refusal
	}
	return i.response.AccessToken, "", nil
}

// noTokens is the library's TokenStore. Tokens are not stored. Their records
// are, without the token's text (package cache).
type noTokens struct{}

var errNotStored = errors.New("tokens are not stored")

func (noTokens) Create(context.Context, oauth2.TokenInfo) error { return nil }
func (noTokens) RemoveByCode(context.Context, string) error     { return errNotStored }
func (noTokens) RemoveByAccess(context.Context, string) error   { return errNotStored }
func (noTokens) RemoveByRefresh(context.Context, string) error  { return errNotStored }
func (noTokens) GetByCode(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNotStored
}
func (noTokens) GetByAccess(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNotStored
}
func (noTokens) GetByRefresh(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNotStored
}
