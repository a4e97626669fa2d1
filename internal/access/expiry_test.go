package access_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestExpiredGrantTakesItsPrivilegesFromLiveTokens(t *testing.T) {
	f := rules.New(t, nil)
	viewers, editors := f.Role("Viewers", rules.View), f.Role("Editors", rules.Edit)
	account := f.Account("robot", viewers, editors)
	only := f.Account("other", viewers)
	m := f.Join(f.Admin(), "ann@example.com", viewers)
	key, _ := f.Key(f.InConsole("ann@example.com"))
	none, err := f.Access.ExpireGrants(t.Context())
	require.NoError(t, err)
	require.Zero(t, none)

	long := f.Token(account.ID) // made while the grant had no end
	expires := f.Clock.Now().Add(time.Hour)
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editors.ID,
			svcauth.GrantRequest{ExpiresAt: &expires})))
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, editors.ID, svcauth.GrantRequest{})))
	forGood := f.Token(key.ID)
	require.NoError(t,
		rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, editors.ID, svcauth.GrantRequest{ExpiresAt: &expires})))
	in, err := f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	require.NoError(t, err)
	may := func() []string {
		ann, _, err := f.People.SessionActor(t.Context(), in)
		require.NoError(t, err)
		return ann.Privileges
	}
	require.Equal(t, []string{rules.Edit, rules.View}, may())
	for holder, list := range map[string]func(context.Context, string,
		svcauth.ListOptions) (svcauth.List[svcauth.Grant], error){
		account.ID: f.Access.ServiceAccountRoles, m.ID: f.Access.MemberRoles,
	} {
		held, err := list(f.Admin(), holder, svcauth.ListOptions{})
		require.NoError(t, err)
		at := slices.IndexFunc(held.Items, func(g svcauth.Grant) bool { return g.RoleID == editors.ID })
		require.Equal(t, &expires, held.Items[at].ExpiresAt)
	}
	for _, action := range []string{"service_account.assign_role", "member.assign_role"} {
		require.True(t, slices.ContainsFunc(f.Audited(f.OrgID(), action), func(e svcauth.AuditEvent) bool {
			return strings.Contains(string(e.Before), `"expires_at":null`) &&
				strings.Contains(string(e.After), `"expires_at":"2030-05-01T13:00:00Z"`)
		}), action)
	}
	both, untouched := f.Token(key.ID), f.Token(only.ID)
	f.Clock.Advance(time.Hour - time.Millisecond)
	next, err := f.Access.ExpireGrants(t.Context())
	require.NoError(t, err)
	require.Equal(t, expires, next)
	f.Lives(long, both, forGood)
	require.Equal(t, []string{rules.Edit, rules.View}, may())

	f.Clock.Advance(time.Millisecond)
	require.Equal(t, []string{rules.View}, may(), "before anybody has swept")
	next, err = f.Access.ExpireGrants(t.Context())
	require.NoError(t, err)
	require.Zero(t, next)
	f.Dies(long, both, forGood)
	f.Lives(untouched, f.Token(account.ID), f.Token(key.ID))
	roles, err := f.Access.ServiceAccountRoles(f.Admin(), account.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, roles.Items, 1)
	for action, target := range map[string]string{"service_account.role_expired": account.ID,
		"member.role_expired": m.ID} {
		events := f.Audited(f.OrgID(), action)
		require.Len(t, events, 1)
		require.Equal(t, svcauth.KindSystem, events[0].Actor.Kind)
		require.Equal(t, target, events[0].Target.ID)
		require.Contains(t, string(events[0].Before), "Editors")
	}
}

// Several nodes do it at once, many at a time. Each grant goes once, and one
// that was prolonged meanwhile stays.
func TestGrantsExpireOnceThoughManyNodesLook(t *testing.T) {
	f := rules.New(t, nil)
	role := f.Role("Viewers", rules.View)
	account := f.Account("robot")
	expires := f.Clock.Now().Add(time.Minute)
	const many = 250
	require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error {
		for range many {
			id := svcauth.NewID(svcauth.PrefixServiceAccount)
			if err := q.InsertClient(t.Context(), store.ClientRow{ID: id, OrgID: f.OrgID(),
				Kind: store.ClientServiceAccount, Name: id, CreatedAt: expires}); err != nil {
				return err
			}
			if err := q.PutGrant(t.Context(), store.GrantRow{OrgID: f.OrgID(), PrincipalID: id, RoleID: role.ID,
				GrantedAt: f.Clock.Now(), ExpiresAt: &expires}); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, role.ID,
			svcauth.GrantRequest{ExpiresAt: &expires})))
	later := expires.Add(time.Hour)
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, role.ID,
			svcauth.GrantRequest{ExpiresAt: &later})))
	kept := f.Token(account.ID)
	f.Clock.Advance(2 * time.Minute)
	var group sync.WaitGroup
	for range 4 {
		node := access.New(access.Config{Store: f.Store, Keyring: f.Keyring, Cache: f.Cache, Issuer: rules.Issuer,
			Clock: f.Clock.Now})
		group.Go(func() {
			next, err := node.ExpireGrants(t.Context())
			require.NoError(t, err)
			require.Equal(t, later, next)
		})
	}
	group.Wait()
	require.Len(t, f.Audited(f.OrgID(), "service_account.role_expired"), many)
	f.Lives(kept)
}

func TestRunExpiresGrantsByItself(t *testing.T) {
	f := rules.New(t, func(c *rules.Config) { c.Access.Clock, c.People.Clock = time.Now, time.Now })
	role := f.Role("Viewers", rules.View)
	account := f.Account("robot", role)
	token := f.Token(account.ID)
	expires := time.Now().Add(700 * time.Millisecond)
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, role.ID,
			svcauth.GrantRequest{ExpiresAt: &expires})))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Access.Run(ctx) }()
	require.Eventually(t, func() bool { _, dead := f.Live.Revoked(token); return dead }, 20*time.Second,
		20*time.Millisecond)
	require.False(t, time.Now().Before(expires))
	stop()
	require.NoError(t, <-done)
}
