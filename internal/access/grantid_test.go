package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestGrantsHaveAnIdentity replaces grants as Terraform does with
// create_before_destroy: a new one takes the place of the old one, and the
// deletion of the old one then ends nothing.
func TestGrantsHaveAnIdentity(t *testing.T) {
	f := rules.New(t, nil)
	editor := f.Role("Editor", rules.Edit)
	account := f.Account("ci", editor)
	memberID, member := f.Member("ann@example.com", editor)
	key, err := f.Access.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	require.NoError(t, err)
	holders := map[string]struct {
		client   string
		assign   func(id string) error
		unassign func(id string) error
		list     func() (svcauth.List[svcauth.Grant], error)
	}{
		"a service account's": {account.ID, func(id string) error {
			return rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID,
				svcauth.GrantRequest{ID: id}))
		}, func(id string) error {
			return f.Access.UnassignServiceAccountRole(f.Admin(), account.ID, editor.ID, id)
		}, func() (svcauth.List[svcauth.Grant], error) {
			return f.Access.ServiceAccountRoles(f.Admin(), account.ID, svcauth.ListOptions{})
		}},
		"a member's": {key.ClientID, func(id string) error {
			return rules.Last(f.Access.AssignMemberRole(f.Admin(), memberID, editor.ID, svcauth.GrantRequest{ID: id}))
		}, func(id string) error {
			return f.Access.UnassignMemberRole(f.Admin(), memberID, editor.ID, id)
		}, func() (svcauth.List[svcauth.Grant], error) {
			return f.Access.MemberRoles(f.Admin(), memberID, svcauth.ListOptions{})
		}},
	}
	for name, h := range holders {
		t.Run(name, func(t *testing.T) {
			grant := func() svcauth.Grant {
				list, err := h.list()
				require.NoError(t, err)
				require.Len(t, list.Items, 1)
				require.Equal(t, editor.ID, list.Items[0].RoleID)
				return list.Items[0]
			}
			first, next := grant(), svcauth.NewID(svcauth.PrefixGrant)
			require.True(t, svcauth.ValidID(svcauth.PrefixGrant, first.ID), first.ID)
			token := f.Token(h.client)
			f.Clock.Advance(time.Minute)
			require.NoError(t, h.assign(""))
			require.Equal(t, first, grant(), "without an id the one that is there keeps its own")
			require.NoError(t, h.assign(next))
			require.Equal(t, next, grant().ID)
			require.Equal(t, first.GrantedAt, grant().GrantedAt, "the role has been held since")
			require.NoError(t, h.assign(next), "a retry")
			require.NoError(t, h.unassign(first.ID))
			require.Equal(t, next, grant().ID, "what has been replaced ends nothing")
			f.Lives(token)
			require.Equal(t, "body.id", rules.Problem(t, svcauth.CodeInvalid, h.assign(editor.ID)).Errors[0].Location)
			require.Equal(t, "query.grant",
				rules.Problem(t, svcauth.CodeInvalid, h.unassign(editor.ID)).Errors[0].Location)

			require.NoError(t, h.unassign(next))
			f.Dies(token)
			require.NoError(t, h.unassign(next), "it is idempotent")
			require.NoError(t, h.assign(next))
			require.Equal(t, next, grant().ID)
			token = f.Token(h.client)
			require.NoError(t, h.unassign(""), "without an id it ends whichever there is")
			f.Dies(token)
		})
	}
	events := f.Audited(f.OrgID(), "service_account.assign_role")
	require.Len(t, events, 2, "the replacement is an event, the retry is none")
	require.Contains(t, string(events[0].Before)+string(events[1].Before), svcauth.PrefixGrant+"_")
}

// TestAGrantIsTakenOverByWhoMayGrant: a grant outlives the deletion of the one
// whose place it took, so that it must be somebody's who could have granted it.
func TestAGrantIsTakenOverByWhoMayGrant(t *testing.T) {
	f := rules.New(t, nil)
	editor := f.Role("Editor", rules.Edit)
	account := f.Account("ci", editor)
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage))
	soon := f.Clock.Now().Add(time.Hour)
	for _, expires := range []*time.Time{nil, &soon} {
		err := rules.Last(f.Access.AssignServiceAccountRole(manager, account.ID, editor.ID,
			svcauth.GrantRequest{ID: svcauth.NewID(svcauth.PrefixGrant), ExpiresAt: expires}))
		require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	}
	require.NoError(t, rules.Last(f.Access.AssignServiceAccountRole(manager, account.ID, editor.ID,
		svcauth.GrantRequest{ExpiresAt: &soon})), "the same grant may become shorter")
}

// TestTheLastAdministratorKeepsTheRoleWhicheverGrantIsNamed tries both ids.
func TestTheLastAdministratorKeepsTheRoleWhicheverGrantIsNamed(t *testing.T) {
	f := rules.New(t, nil)
	admin, role := f.Tenant.AdminID, f.System(f.OrgID(), store.RoleAdministrator)
	held, err := f.Access.MemberRoles(f.Admin(), admin, svcauth.ListOptions{})
	require.NoError(t, err)
	next := svcauth.NewID(svcauth.PrefixGrant)
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), admin, role.ID, svcauth.GrantRequest{ID: next})))
	require.NoError(t, f.Access.UnassignMemberRole(f.Admin(), admin, role.ID, held.Items[0].ID))
	rules.Problem(t, svcauth.CodeConflict, f.Access.UnassignMemberRole(f.Admin(), admin, role.ID, next))
}
