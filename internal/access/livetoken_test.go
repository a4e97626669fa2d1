package access_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func tokensOf(f *rules.Fixture, accountID string) (jtis []string) {
	f.T.Helper()
	page := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.LiveToken], error) {
		return f.Access.Tokens(ctx, accountID, o)
	}
	for token, err := range svcauth.All(f.Admin(), page, svcauth.ListOptions{Limit: 2}) {
		require.NoError(f.T, err)
		jtis = append(jtis, token.JTI)
	}
	return jtis
}

func jtis(tokens ...*verify.Claims) (all []string) {
	for _, c := range tokens {
		all = append(all, c.JTI)
	}
	return all
}

func TestLiveTokens(t *testing.T) {
	f := rules.New(t, nil)
	account, other := f.Account("ci", f.Role("Viewer", rules.View)), f.Account("other")
	first := f.Token(account.ID)
	list, err := f.Access.Tokens(f.Admin(), account.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []svcauth.LiveToken{{JTI: first.JTI, Scope: rules.View, SecretID: account.Secrets[0].ID,
		IssuedAt: first.IssuedAt, ExpiresAt: first.ExpiresAt}}, list.Items)
	empty, err := f.Access.Tokens(f.Admin(), other.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.NotNil(t, empty.Items)
	require.Empty(t, empty.Items)

	f.Clock.Advance(time.Minute)
	second, third := f.Token(account.ID), f.Token(account.ID)
	f.Token(other.ID)
	require.ElementsMatch(t, jtis(first, second, third), tokensOf(f, account.ID))
	f.Clock.Advance(59 * time.Minute)
	require.ElementsMatch(t, jtis(second, third), tokensOf(f, account.ID), "what has expired is not live")
}

// TestListShowsOnlyWhatLives: whatever kills a token takes it off the list.
func TestListShowsOnlyWhatLives(t *testing.T) {
	yes := true
	for name, kill := range map[string]func(*rules.Fixture, svcauth.ServiceAccount, svcauth.Role) error{
		"secret deleted": func(f *rules.Fixture, a svcauth.ServiceAccount, _ svcauth.Role) error {
			return f.Access.DeleteSecret(f.Admin(), a.ID, a.Secrets[0].ID, true)
		},
		"role unassigned": func(f *rules.Fixture, a svcauth.ServiceAccount, r svcauth.Role) error {
			return f.Access.UnassignServiceAccountRole(f.Admin(), a.ID, r.ID, "")
		},
		"role deleted": func(f *rules.Fixture, _ svcauth.ServiceAccount, r svcauth.Role) error {
			return f.Access.DeleteRole(f.Admin(), r.ID)
		},
		"all revoked": func(f *rules.Fixture, a svcauth.ServiceAccount, _ svcauth.Role) error {
			return f.Access.RevokeTokens(f.Admin(), a.ID)
		},
		"disabled": func(f *rules.Fixture, a svcauth.ServiceAccount, _ svcauth.Role) error {
			_, err := f.Access.UpdateServiceAccount(f.Admin(), a.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes})
			return err
		},
		"privilege taken": func(f *rules.Fixture, _ svcauth.ServiceAccount, r svcauth.Role) error {
			_, err := f.Access.UpdateRole(f.Admin(), r.ID, 0, svcauth.RolePatch{Privileges: &[]string{}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := rules.New(t, nil)
			role := f.Role("Viewer", rules.View)
			account := f.Account("ci", role)
			token := f.Token(account.ID)
			require.Equal(t, jtis(token), tokensOf(f, account.ID))
			require.NoError(t, kill(f, account, role))
			f.Dies(token)
			require.Empty(t, tokensOf(f, account.ID))
		})
	}
}

func TestRevokeToken(t *testing.T) {
	f := rules.New(t, nil)
	account, other := f.Account("ci"), f.Account("other")
	one, two, others := f.Token(account.ID), f.Token(account.ID), f.Token(other.ID)
	rules.Problem(t, svcauth.CodeNotFound, f.Access.RevokeToken(f.Admin(), account.ID, others.JTI)) // another account's
	_, stranger := f.Tenants("stranger")
	rules.Problem(t, svcauth.CodeNotFound, f.Access.RevokeToken(stranger, account.ID, one.JTI))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.RevokeToken(f.Admin(), account.ID, "unknown"))
	f.Lives(one, two, others)

	require.NoError(t, f.Access.RevokeToken(f.Admin(), account.ID, one.JTI))
	f.Dies(one)
	f.Lives(two, others)
	require.Equal(t, jtis(two), tokensOf(f, account.ID))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.RevokeToken(f.Admin(), account.ID, one.JTI))
	// Durable, and for as long as the token would have lived.
	entries, err := f.Store.Read().LiveRevocations(t.Context(), 0, 1<<40, 10)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.True(t, entries[0].ExpiresAt.After(one.ExpiresAt))
	require.Equal(t, store.ChangeRevocation, entries[0].Kind)
	require.JSONEq(t, `{"jti":"`+one.JTI+`","client_id":"`+account.ID+`","org_id":"`+f.OrgID()+`","exp":`+
		strconv.FormatInt(one.ExpiresAt.Unix(), 10)+`}`, entries[0].Payload)
	require.Equal(t, "ci", f.Audited(f.OrgID(), "token.revoke")[0].Target.Name)
}

func TestRevokeTokens(t *testing.T) {
	f := rules.New(t, nil)
	account, other := f.Account("ci"), f.Account("other")
	one, others := f.Token(account.ID), f.Token(other.ID)
	require.NoError(t, f.Access.RevokeTokens(f.Admin(), account.ID))
	f.Dies(one)
	f.Lives(others)
	require.True(t, f.WorksFor(account.ID, account.ClientSecret), "the secret stays good")
	f.Lives(f.Token(account.ID))
}

// If the records are unavailable nobody is told that there are no tokens, and
// revoking all works without them.
func TestRecordsAway(t *testing.T) {
	f := rules.New(t, func(c *rules.Config) {
		away, err := cache.New(cache.Config{URL: "redis://127.0.0.1:1", Key: func() []byte { return []byte("key") }})
		require.NoError(t, err)
		t.Cleanup(func() { _ = away.Close() })
		c.Access.Cache = away
	})
	account := f.Account("ci")
	_, err := f.Access.Tokens(f.Admin(), account.ID, svcauth.ListOptions{})
	rules.Problem(t, svcauth.CodeUnavailable, err)
	rules.Problem(t, svcauth.CodeUnavailable, f.Access.RevokeToken(f.Admin(), account.ID, "some"))
	rules.Problem(t, svcauth.CodeMissingPrivileges, f.Access.RevokeToken(f.Narrow(f.Admin()), account.ID, "some"))
	token := f.Token(account.ID)
	require.NoError(t, f.Access.RevokeTokens(f.Admin(), account.ID))
	f.Dies(token)
}
