package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The library does by default what this server must never do; these are the guards around it.

func guarded(t *testing.T) *Service {
	t.Helper()
	c, err := cache.New(cache.Config{})
	require.NoError(t, err)
	s := &Service{cfg: Config{Issuer: "https://issuer.example", TTL: time.Hour, Clock: time.Now, Cache: c}, dummy: make([]byte, 32)}
	s.oauth2 = newGrantServer(s)
	return s
}

func someClient(roles ...store.HeldRole) Authenticated {
	cat := &catalogue{privileges: []svcauth.Privilege{{Name: "a:a", API: "https://a"}, {Name: "b:b", API: "https://b"}}, api: map[string]string{"a:a": "https://a", "b:b": "https://b"},
		known: map[string]bool{"https://a": true, "https://b": true}}
	row := &store.Credentials{ClientID: "sa_1", Kind: store.ClientServiceAccount, OrgID: "org_1", Roles: roles}
	return Authenticated{Client: newClient(row, cat, "https://issuer.example", time.Now()), SecretID: "sec_1"}
}

func withRun(client Authenticated, r Request) (context.Context, *oauth2.TokenGenerateRequest) {
	ctx := context.WithValue(context.Background(), runKey{}, &run{client: client, request: r})
	return ctx, &oauth2.TokenGenerateRequest{ClientID: client.ClientID, ClientSecret: "x", UserID: client.Subject, Scope: r.Scope, Request: (&http.Request{}).WithContext(ctx)}
}

func TestOnlyClientCredentialsIsAllowed(t *testing.T) {
	s := guarded(t)
	require.Equal(t, []oauth2.GrantType{oauth2.ClientCredentials}, s.oauth2.Config.AllowedGrantTypes)
	require.Empty(t, s.oauth2.Config.AllowedResponseTypes)
	require.False(t, s.oauth2.Config.AllowGetAccessRequest)
	require.Equal(t, "Bearer", s.oauth2.Config.TokenType)
	for _, grant := range []oauth2.GrantType{oauth2.Refreshing, oauth2.PasswordCredentials, oauth2.AuthorizationCode, oauth2.Implicit, "", "urn:x"} {
		ctx, tgr := withRun(someClient(), Request{})
		tgr.Refresh, tgr.Code = "x", "x"
		_, err := s.oauth2.GetAccessToken(ctx, grant, tgr)
		require.Error(t, err, "grant %q", grant)
	}
	for _, grant := range []string{"refresh_token", "password", "authorization_code", "implicit", "token", "client_credentials ", "CLIENT_CREDENTIALS"} {
		_, err := s.Issue(t.Context(), someClient(), Request{GrantType: grant})
		require.Equal(t, CodeUnsupportedGrantType, err.Code, grant)
	}
}

// TestNobodyPassesWithoutARightSecret: the library takes a client with an empty secret for one that needs none.
func TestNobodyPassesWithoutARightSecret(t *testing.T) {
	s := guarded(t)
	client := someClient()
	client.SecretID = "" // never authenticated
	require.Empty(t, client.GetSecret())
	require.False(t, client.IsPublic())
	for _, secret := range []string{"", "x"} {
		require.False(t, client.VerifyPassword(secret))
		ctx, tgr := withRun(client, Request{})
		tgr.ClientSecret = secret
		_, err := s.oauth2.GetAccessToken(ctx, oauth2.ClientCredentials, tgr)
		require.ErrorIs(t, err, oautherrors.ErrInvalidClient)
	}
	_, refusal := s.runGrant(t.Context(), client, Request{})
	require.Equal(t, CodeInvalidClient, refusal.Code)
	// Another id than the authenticated one's finds nothing.
	ctx, tgr := withRun(someClient(), Request{})
	tgr.ClientID = "sa_2"
	_, err := s.oauth2.GetAccessToken(ctx, oauth2.ClientCredentials, tgr)
	require.Error(t, err)
}

// TestContextCanNotBeForged: who is authenticated stands under a key that only this package can write.
func TestContextCanNotBeForged(t *testing.T) {
	s := guarded(t)
	type runKey struct{} // a namesake in another scope
	client := someClient()
	for _, key := range []any{runKey{}, "runKey", "client", struct{}{}} {
		ctx := context.WithValue(context.Background(), key, &run{client: client})
		_, is := runFrom(ctx)
		require.False(t, is)
		_, err := s.oauth2.GetAccessToken(ctx, oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{ClientID: client.ClientID, Request: (&http.Request{}).WithContext(ctx)})
		require.Error(t, err)
		_, _, err = accessToken{s}.Token(ctx, nil, false)
		require.Error(t, err)
		_, err = clientFromContext{}.GetByID(ctx, client.ClientID)
		require.ErrorIs(t, err, oautherrors.ErrInvalidClient)
	}
	ctx, _ := withRun(client, Request{})
	_, _, err := accessToken{s}.Token(ctx, nil, true)
	require.ErrorIs(t, err, oautherrors.ErrUnauthorizedClient, "no refresh token, RFC 6749 §4.4.3")
}

// TestNoTokenIsStored: the library's stores would hold bearer tokens in clear.
func TestNoTokenIsStored(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, noTokens{}.Create(ctx, nil))
	for _, err := range []error{noTokens{}.RemoveByAccess(ctx, "x"), noTokens{}.RemoveByCode(ctx, "x"), noTokens{}.RemoveByRefresh(ctx, "x")} {
		require.ErrorIs(t, err, errNotStored)
	}
	for _, get := range []func(context.Context, string) (oauth2.TokenInfo, error){noTokens{}.GetByAccess, noTokens{}.GetByCode, noTokens{}.GetByRefresh} {
		info, err := get(ctx, "x")
		require.Nil(t, info)
		require.ErrorIs(t, err, errNotStored)
	}
}

// TestErrorsAreMapped also where somebody has wrapped them: the library would make a 500 of these.
func TestErrorsAreMapped(t *testing.T) {
	own := Refuse(CodeInvalidTarget, "resource", "x")
	for _, c := range []struct {
		err  error
		code string
	}{{own, CodeInvalidTarget}, {fmt.Errorf("while: %w", own), CodeInvalidTarget}, {errors.Join(errors.New("x"), own), CodeInvalidTarget},
		{fmt.Errorf("read: %w", store.ErrUnavailable), CodeUnavailable}, {context.Canceled, CodeUnavailable}, {fmt.Errorf("%w", context.DeadlineExceeded), CodeUnavailable},
		{errors.New("boom"), CodeServerError}, {store.ErrConflict, CodeServerError}} {
		e := storeError(c.err)
		require.Equal(t, c.code, e.Code, c.err)
		require.NotContains(t, e.Description, "boom")
	}
	for code, status := range map[string]int{CodeInvalidRequest: 400, CodeInvalidClient: 401, CodeInvalidGrant: 400, CodeUnauthorizedClient: 400, CodeUnsupportedGrantType: 400,
		CodeInvalidScope: 400, CodeInvalidTarget: 400, CodeInvalidToken: 401, CodeInsufficientScope: 403, CodeSlowDown: 429, CodeUnavailable: 503, CodeServerError: 500} {
		require.Equal(t, status, Refuse(code, "x", "x").Status, code)
	}
}

// TestARefusedScopeIsNoFault: what the library's scope handler returns reaches the caller as it is.
func TestARefusedScopeIsNoFault(t *testing.T) {
	s := guarded(t)
	_, refusal := s.runGrant(t.Context(), someClient(), Request{Scope: "a:a"})
	require.Equal(t, CodeInvalidScope, refusal.Code)
	_, refusal = s.runGrant(t.Context(), someClient(), Request{Resources: []string{"https://none"}})
	require.Equal(t, CodeInvalidTarget, refusal.Code)
}

// TestGrantsExpire: a grant that has expired gives nothing, also to a client that is remembered.
func TestGrantsExpire(t *testing.T) {
	now := time.Now()
	s := guarded(t)
	held := store.HeldRole{ID: "role_1", Name: "R", Kind: store.RoleCustom, ExpiresAtMS: now.Add(time.Minute).UnixMilli(), Privileges: []string{"a:a"}}
	client := someClient(held)
	require.True(t, client.Holds("a:a"))
	s.cfg.Clock = func() time.Time { return now.Add(2 * time.Minute) }
	require.False(t, s.current(client.Client).Holds("a:a"))
	s.cfg.Clock = func() time.Time { return now.Add(30 * time.Second) }
	require.Same(t, client.Client, s.current(client.Client))
}
