package token

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The library does by default what this server must never do; these are the
// guards around it.

func guarded(t *testing.T) *Service {
	t.Helper()
	c, err := cache.New(cache.Config{})
	require.NoError(t, err)
	s := &Service{cfg: Config{
		Issuer: "https://issuer.example", TTL: time.Hour, Clock: time.Now, Cache: c,
		Clients: clientauth.NewClients(clientauth.ClientsConfig{}),
	}}
	s.grants = newGrants(s)
	return s
}

// engine returns the library as the service has set it up.
func engine(s *Service) *server.Server {
	return s.grants[grantClientCredentials].(clientCredentials).engine
}

// someIssuance is a request of a client that has proven who it is and holds
// these roles.
func someIssuance(s *Service, r Request, roles ...store.HeldRole) *issuance {
	cat := &catalogue{
		privileges: []svcauth.Privilege{{Name: "a:a", API: "https://a"}, {Name: "b:b", API: "https://b"}},
		api:        map[string]string{"a:a": "https://a", "b:b": "https://b"},
		known:      map[string]bool{"https://a": true, "https://b": true},
	}
	row := &store.Credentials{ClientID: "sa_1", Kind: store.ClientServiceAccount, OrgID: "org_1"}
	return &issuance{
		service: s, request: r, holder: newHolder(row, roles, cat, "https://issuer.example", time.Now()),
		client: clientauth.Authentication{
			Client: &clientauth.Client{Credentials: row},
			Proof:  clientauth.Proof{CredentialID: "sec_1"},
		},
	}
}

func inLibrary(i *issuance) (context.Context, *oauth2.TokenGenerateRequest) {
	ctx := context.WithValue(context.Background(), issuanceKey{}, i)
	return ctx, &oauth2.TokenGenerateRequest{
		ClientID: i.client.ClientID, ClientSecret: "x", UserID: i.holder.Principal(), Scope: i.request.Scope,
		Request: (&http.Request{}).WithContext(ctx),
	}
}

func TestOnlyClientCredentialsIsAllowed(t *testing.T) {
	s := guarded(t)
	library := engine(s)
	require.Equal(t, []oauth2.GrantType{oauth2.ClientCredentials}, library.Config.AllowedGrantTypes)
	require.Empty(t, library.Config.AllowedResponseTypes)
	require.False(t, library.Config.AllowGetAccessRequest)
	require.Equal(t, "Bearer", library.Config.TokenType)
	for _, grant := range []oauth2.GrantType{oauth2.Refreshing, oauth2.PasswordCredentials, oauth2.AuthorizationCode,
		oauth2.Implicit, "", "urn:x"} {
		ctx, tgr := inLibrary(someIssuance(s, Request{}))
		tgr.Refresh, tgr.Code = "x", "x"
		_, err := library.GetAccessToken(ctx, grant, tgr)
		require.Error(t, err, "grant %q", grant)
	}
	for _, grant := range []string{"refresh_token", "password", "authorization_code", "implicit", "token",
		"client_credentials ", "CLIENT_CREDENTIALS"} {
		_, err := s.Issue(t.Context(), someIssuance(s, Request{}).client, Request{GrantType: grant})
		require.Equal(t, oautherr.CodeUnsupportedGrantType, err.Code, grant)
	}
}

// The library takes a client with an empty secret for one that needs none.
func TestNobodyPassesWithoutARightSecret(t *testing.T) {
	s := guarded(t)
	i := someIssuance(s, Request{})
	i.client.CredentialID = "" // never authenticated
	require.Empty(t, i.GetSecret())
	require.False(t, i.IsPublic())
	for _, secret := range []string{"", "x"} {
		require.False(t, i.VerifyPassword(secret))
		ctx, tgr := inLibrary(i)
		tgr.ClientSecret = secret
		_, err := engine(s).GetAccessToken(ctx, oauth2.ClientCredentials, tgr)
		require.ErrorIs(t, err, oautherrors.ErrInvalidClient)
	}
	require.Equal(t, oautherr.CodeInvalidClient, s.grants[grantClientCredentials].issue(t.Context(), i).Code)
	// Another id than the authenticated one's finds nothing.
	ctx, tgr := inLibrary(someIssuance(s, Request{}))
	tgr.ClientID = "sa_2"
	_, err := engine(s).GetAccessToken(ctx, oauth2.ClientCredentials, tgr)
	require.Error(t, err)
}

// Who has authenticated stands under a key that only this package can write.
func TestContextCanNotBeForged(t *testing.T) {
	s := guarded(t)
	type issuanceKey struct{} // a namesake in another scope
	i := someIssuance(s, Request{})
	for _, key := range []any{issuanceKey{}, "issuanceKey", "client", struct{}{}} {
		ctx := context.WithValue(context.Background(), key, i)
		_, ok := issuanceFrom(ctx)
		require.False(t, ok)
		_, err := engine(s).GetAccessToken(ctx, oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{
			ClientID: i.client.ClientID, Request: (&http.Request{}).WithContext(ctx),
		})
		require.Error(t, err)
		_, _, err = issuanceToken{}.Token(ctx, nil, false)
		require.Error(t, err)
		_, err = issuanceClient{}.GetByID(ctx, i.client.ClientID)
		require.ErrorIs(t, err, oautherrors.ErrInvalidClient)
	}
	ctx, _ := inLibrary(i)
	_, _, err := issuanceToken{}.Token(ctx, nil, true)
	require.ErrorIs(t, err, oautherrors.ErrUnauthorizedClient, "no refresh token, RFC 6749 §4.4.3")
}

// The library's stores would hold bearer tokens in clear.
func TestNoTokenIsStored(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, noTokens{}.Create(ctx, nil))
	for _, err := range []error{noTokens{}.RemoveByAccess(ctx, "x"), noTokens{}.RemoveByCode(ctx, "x"),
		noTokens{}.RemoveByRefresh(ctx, "x")} {
		require.ErrorIs(t, err, errNotStored)
	}
	for _, get := range []func(context.Context, string) (oauth2.TokenInfo, error){
		noTokens{}.GetByAccess, noTokens{}.GetByCode, noTokens{}.GetByRefresh,
	} {
		info, err := get(ctx, "x")
		require.Nil(t, info)
		require.ErrorIs(t, err, errNotStored)
	}
}

// What the library's scope handler returns reaches the caller as it is.
func TestARefusedScopeIsNoFault(t *testing.T) {
	s := guarded(t)
	grant := s.grants[grantClientCredentials]
	refusal := grant.issue(t.Context(), someIssuance(s, Request{Scope: "a:a"}))
	require.Equal(t, oautherr.CodeInvalidScope, refusal.Code)
	refusal = grant.issue(t.Context(), someIssuance(s, Request{Resources: []string{"https://none"}}))
	require.Equal(t, oautherr.CodeInvalidTarget, refusal.Code)
}

// A grant that has expired gives nothing, also to a client that is in memory.
func TestGrantsExpire(t *testing.T) {
	now := time.Now()
	s := guarded(t)
	held := store.HeldRole{ID: "role_1", Name: "R", Kind: store.RoleCustom,
		ExpiresAtMS: now.Add(time.Minute).UnixMilli(), Privileges: []string{"a:a"}}
	holder := someIssuance(s, Request{}, held).holder
	require.True(t, holder.Holds("a:a"))
	s.cfg.Clock = func() time.Time { return now.Add(2 * time.Minute) }
	require.False(t, s.current(holder).Holds("a:a"))
	s.cfg.Clock = func() time.Time { return now.Add(30 * time.Second) }
	require.Same(t, holder, s.current(holder))
}
