package token

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/server"
)

// This is the seam with go-oauth2: its server runs the client_credentials grant, and calls us for the client, the scope, the token and the
// record. Its HTTP handlers, its other grants and its stores are never used; what they would do is ours, and is refused here.

// run is one request on its way through the library.
type run struct {
	client  Authenticated
	request Request
	grant   grant
	issued  Issued
}

type runKey struct{}

func runFrom(ctx context.Context) (*run, bool) {
	r, ok := ctx.Value(runKey{}).(*run)
	return r, ok
}

// runGrant hands an authenticated client to the library.
func (s *Service) runGrant(ctx context.Context, client Authenticated, r Request) (Issued, *Error) {
	state := &run{client: client, request: r}
	ctx = context.WithValue(ctx, runKey{}, state)
	_, err := s.oauth2.GetAccessToken(ctx, oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{
		ClientID: client.ClientID, UserID: client.Subject, Scope: r.Scope, Request: (&http.Request{}).WithContext(ctx),
	})
	if err == nil {
		return state.issued, nil
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		return Issued{}, refusal
	}
	switch {
	case errors.Is(err, oautherrors.ErrInvalidClient):
		return Issued{}, badCredential("grant")
	case errors.Is(err, oautherrors.ErrUnauthorizedClient):
		return Issued{}, Refuse(CodeUnauthorizedClient, "grant", "this client may not use this grant")
	}
	return Issued{}, fault(err)
}

// newGrantServer sets the library up. It is never changed afterwards: its setters are not safe while it serves.
func newGrantServer(s *Service) *server.Server {
	manager := manage.NewManager()
	manager.SetClientTokenCfg(&manage.Config{AccessTokenExp: s.cfg.TTL})
	manager.MapClientStorage(clientFromContext{})
	manager.MapAccessGenerate(accessToken{s})
	manager.MapTokenStorage(noTokens{})
	srv := server.NewServer(&server.Config{TokenType: "Bearer", AllowedGrantTypes: []oauth2.GrantType{oauth2.ClientCredentials}}, manager)
	srv.SetClientScopeHandler(func(tgr *oauth2.TokenGenerateRequest) (bool, error) {
		state, ok := runFrom(tgr.Request.Context())
		if !ok {
			return false, oautherrors.ErrInvalidClient
		}
		granted, err := s.decide(state.client.Client, state.request)
		if err != nil {
			return false, err
		}
		state.grant, tgr.Scope = granted, granted.scope
		return true, nil
	})
	return srv
}

// clientFromContext is the library's ClientStore. It knows one client: the one that was authenticated.
type clientFromContext struct{}

func (clientFromContext) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	state, ok := runFrom(ctx)
	if !ok || state.client.Client == nil || state.client.ClientID != id {
		return nil, oautherrors.ErrInvalidClient
	}
	return &state.client, nil
}

// GetID is of the library's ClientInfo, as the methods below.
func (c *Authenticated) GetID() string { return c.ClientID }

// GetSecret is empty: nobody has it. [Authenticated.VerifyPassword] is asked instead.
func (c *Authenticated) GetSecret() string { return "" }

// GetDomain is empty: nothing is redirected.
func (c *Authenticated) GetDomain() string { return "" }

// IsPublic is false: every client has a secret.
func (c *Authenticated) IsPublic() bool { return false }

// GetUserID is the subject.
func (c *Authenticated) GetUserID() string { return c.Subject }

// VerifyPassword says whether [Service.Authenticate] has found the secret right. The library has no secret to give.
func (c *Authenticated) VerifyPassword(string) bool { return c.SecretID != "" }

// accessToken is the library's AccessGenerate.
type accessToken struct{ s *Service }

func (a accessToken) Token(ctx context.Context, _ *oauth2.GenerateBasic, isGenRefresh bool) (access, refresh string, err error) {
	state, ok := runFrom(ctx)
	if !ok || isGenRefresh {
		return "", "", oautherrors.ErrUnauthorizedClient // RFC 6749 §4.4.3: no refresh token
	}
	issued, refusal := a.s.mint(ctx, state.client, state.grant, state.request)
	if refusal != nil {
		return "", "", refusal
	}
	state.issued = issued
	return issued.AccessToken, "", nil
}

// noTokens is the library's TokenStore: tokens are not stored. Their records are (package cache), without the token's text.
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
