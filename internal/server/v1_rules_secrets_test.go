package server_test

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var secretRules = []rule{
	{who: "admin", name: "rotates a secret with no downtime", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account("viewer")
		next, err := c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{Description: "next", ExpiresAt: &future})
		require.NoError(w.t, err)
		old, fresh := w.s.Token(a.ClientID, a.ClientSecret, ""), w.s.Token(a.ClientID, next.ClientSecret, "")
		_, err = c.DeleteSecret(ctx, a.ID, a.Secrets[0].ID, true, 0)
		require.NoError(w.t, err)
		require.False(w.t, w.s.Active(a.ClientID, next.ClientSecret, old))
		require.True(w.t, w.s.Active(a.ClientID, next.ClientSecret, fresh))
		left, err := c.Secrets(ctx, a.ID)
		require.NoError(w.t, err)
		require.Len(w.t, left.Items, 1)
		require.Empty(w.t, left.Items[0].ClientSecret)
		require.Equal(w.t, "next", left.Items[0].Description)
		return nil
	}},
	{who: "admin", name: "removes a secret, its tokens live on",
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account("viewer")
			next, err := c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{})
			require.NoError(w.t, err)
			old := w.s.Token(a.ClientID, a.ClientSecret, "")
			_, err = c.DeleteSecret(ctx, a.ID, a.Secrets[0].ID, false, 0)
			require.NoError(w.t, err)
			require.True(w.t, w.s.Active(a.ClientID, next.ClientSecret, old))
			return nil
		}},
	{who: "admin", name: "brings its own secret", call: func(ctx context.Context, w *world, c calls) error {
		a, own := w.account("viewer"), svcauth.NewSecret()
		made, err := c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{ClientSecret: own})
		require.NoError(w.t, err)
		require.Empty(w.t, made.ClientSecret, "it need not travel back")
		require.Equal(w.t, own.Hint(), made.Hint)
		w.s.Token(a.ClientID, own, "")
		return nil
	}},
	{who: "admin", name: "brings a secret that is none", code: svcauth.CodeInvalid, at: "body.client_secret",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateSecret(ctx, w.account().ID, svcauth.NewSecretRequest{ClientSecret: "hunter2"}))
		}},
	{who: "admin", name: "brings a mistyped secret", code: svcauth.CodeInvalid, at: "body.client_secret",
		call: func(ctx context.Context, w *world, c calls) error {
			own := svcauth.NewSecret().Reveal()
			own = own[:10] + string(rune('0'+(own[10]-'0'+1)%10)) + own[11:]
			return second(c.CreateSecret(ctx, w.account().ID,
				svcauth.NewSecretRequest{ClientSecret: svcauth.Secret(own)}))
		}},
	{who: "admin", name: "makes a sixth secret", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account()
			for range 4 {
				require.NoError(w.t, second(c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{})))
			}
			return second(c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{}))
		}},
	{who: "helpdesk", name: "makes a secret of an account with more than it has", code: svcauth.CodeMissingPrivileges,
		missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateSecret(ctx, w.account("editor").ID, svcauth.NewSecretRequest{}))
		}},
	{who: "admin", name: "sets and clears an expiry", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account()
		set, err := c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID,
			svcauth.SecretPatch{ExpiresAt: &future, Description: ptr("x")})
		require.NoError(w.t, err)
		require.True(w.t, future.Equal(*set.ExpiresAt))
		kept, err := c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{Description: ptr("y")})
		require.NoError(w.t, err)
		require.True(w.t, future.Equal(*kept.ExpiresAt), "what is absent stays")
		cleared, err := c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{ClearExpiresAt: true})
		require.NoError(w.t, err)
		require.Nil(w.t, cleared.ExpiresAt)
		require.Equal(w.t, "y", cleared.Description)
		return nil
	}},
	{who: "admin", name: "sets an expiry in the past", code: svcauth.CodeInvalid, at: "body.expires_at",
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account()
			return second(c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{ExpiresAt: &past}))
		}},
	{who: "admin", name: "names another account's secret", code: svcauth.CodeNotFound,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.DeleteSecret(ctx, w.account().ID, w.account().Secrets[0].ID, true, 0))
		}},
	{who: "admin", name: "makes, gets and removes an application key of its own",
		call: func(ctx context.Context, w *world, c calls) error {
			key, err := c.CreateApplicationKey(ctx, svcauth.NewApplicationKey{Description: "laptop"})
			require.NoError(w.t, err)
			require.NotEmpty(w.t, key.ClientSecret)
			require.Equal(w.t, svctest.AdminEmail, key.Member.Email)
			got, err := c.ApplicationKey(ctx, key.ID)
			require.NoError(w.t, err)
			require.Empty(w.t, got.ClientSecret)
			token := w.s.Token(key.ClientID, key.ClientSecret, "members:read")
			_, err = c.DeleteApplicationKey(ctx, key.ID, 0)
			require.NoError(w.t, err)
			require.Equal(w.t, 401, w.s.Get("/v1/me", token).Status)
			return nil
		}},
	{who: "tenant", name: "reaches for a stranger's application key", code: svcauth.CodeNotFound,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.DeleteApplicationKey(ctx, w.s.Tenant.ApplicationKey.ID, 0))
		}},
	{who: "tenant", name: "lists a stranger's application keys", code: svcauth.CodeNotFound,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.ApplicationKeys(ctx, svcauth.ListOptions{Member: w.s.Tenant.ApplicationKey.Member.ID}))
		}},
	{who: "helpdesk", name: "lists and ends another member's application key",
		call: func(ctx context.Context, w *world, c calls) error {
			m, key := join(w.t, w.s, w.s.Admin(), svcauth.NewID(svcauth.PrefixMember)+"@example.com")
			list, err := c.ApplicationKeys(ctx, svcauth.ListOptions{Member: m.ID})
			require.NoError(w.t, err)
			require.Len(w.t, list.Items, 1)
			require.Equal(w.t, key.ID, list.Items[0].ID)
			return second(c.DeleteApplicationKey(ctx, key.ID, 0))
		}},
	{who: "machine Administrator", name: "makes an application key", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.CreateApplicationKey(ctx, svcauth.NewApplicationKey{}))
		}},
}
