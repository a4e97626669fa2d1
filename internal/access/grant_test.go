package access_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestAssignAndUnassign(t *testing.T) {
	f := rules.New(t, nil)
	viewer, editor := f.Role("Viewer", rules.View), f.Role("Editor", rules.Edit)
	account, other := f.Account("ci", viewer), f.Account("other", viewer, editor)
	before, others := f.Token(account.ID), f.Token(other.ID)
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{})))
	f.Lives(before, others) // giving never kills
	after := f.Token(account.ID)
	require.Equal(t, rules.Edit+" "+rules.View, after.Scope)

	events := len(f.Audited(f.OrgID(), "service_account.assign_role"))
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{})))
	require.Len(t, f.Audited(f.OrgID(), "service_account.assign_role"), events, "given again it is no event")

	require.NoError(t, f.Access.UnassignServiceAccountRole(f.Admin(), account.ID, editor.ID, ""))
	f.Dies(after)           // it carried the role
	f.Lives(before, others) // these did not, or are somebody else's
	newest := f.Token(account.ID)
	f.Lives(newest)
	require.Equal(t, rules.View, newest.Scope)
	require.NoError(t, f.Access.UnassignServiceAccountRole(f.Admin(), account.ID, editor.ID, ""),
		"it did not hold it: no error")
	f.Lives(newest)

	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{})))
	f.Dies(after) // what died stays dead though the role is back
	f.Lives(f.Token(account.ID))
}

func TestAssignHandsOverOnlyWhatOneHolds(t *testing.T) {
	f := rules.New(t, nil)
	editor, admin := f.Role("Editor", rules.View, rules.Edit), f.System(f.OrgID(), store.RoleAdministrator)
	account := f.Account("ci")
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage, rules.View))
	err := rules.Last(f.Access.AssignServiceAccountRole(manager, account.ID, editor.ID, svcauth.GrantRequest{}))
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	rules.Problem(t, svcauth.CodeMissingPrivileges,
		rules.Last(f.Access.AssignServiceAccountRole(manager, account.ID, admin.ID, svcauth.GrantRequest{})))
	// The administrator's own narrow token can't either.
	narrow := f.Narrow(f.Admin(), svcauth.MembersManage, rules.View)
	rules.Problem(t, svcauth.CodeMissingPrivileges,
		rules.Last(f.Access.AssignServiceAccountRole(narrow, account.ID, editor.ID, svcauth.GrantRequest{})))
	rules.Problem(t, svcauth.CodeConflict,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, f.System(f.OrgID(), store.RolePublic).ID,
			svcauth.GrantRequest{})))
	grants, err := f.Access.ServiceAccountRoles(f.Admin(), account.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, grants.Items)

	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{})))
	require.NoError(t, f.Access.UnassignServiceAccountRole(manager, account.ID, editor.ID, ""),
		"to take away one need not hold it")
}

func TestRoleOfAnotherOrganization(t *testing.T) {
	f := rules.New(t, nil)
	tenant, stranger := f.Tenants("stranger")
	theirs, err := f.Access.CreateRole(stranger, svcauth.NewRole{Name: "Theirs", Privileges: []string{rules.View}})
	require.NoError(t, err)
	account := f.Account("ci")
	rules.Problem(t, svcauth.CodeNotFound,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, theirs.ID, svcauth.GrantRequest{})))
	rules.Problem(t, svcauth.CodeNotFound,
		rules.Last(f.Access.AssignServiceAccountRole(stranger, account.ID, theirs.ID, svcauth.GrantRequest{})))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.UnassignServiceAccountRole(f.Admin(), account.ID, theirs.ID, ""))
	_, err = f.Access.CreateServiceAccount(f.Admin(),
		svcauth.NewServiceAccount{Name: "x", RoleIDs: []string{theirs.ID}})
	rules.Problem(t, svcauth.CodeNotFound, err)
	// Nor is a member reached by way of service accounts.
	rules.Problem(t, svcauth.CodeNotFound,
		rules.Last(f.Access.AssignServiceAccountRole(stranger, tenant.AdminID, theirs.ID, svcauth.GrantRequest{})))
}

func TestGrantExpiry(t *testing.T) {
	f := rules.New(t, nil)
	editor := f.Role("Editor", rules.Edit)
	account := f.Account("ci")
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage))
	at := func(d time.Duration) svcauth.GrantRequest {
		moment := f.Clock.Now().Add(d)
		return svcauth.GrantRequest{ExpiresAt: &moment}
	}
	assign := func(r svcauth.GrantRequest) error {
		return rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, r))
	}
	require.Equal(t, "body.expires_at", rules.Problem(t, svcauth.CodeInvalid, assign(at(0))).Errors[0].Location)
	rules.Problem(t, svcauth.CodeInvalid, assign(at(-time.Hour)))
	require.NoError(t, assign(at(2*time.Hour)))
	token := f.Token(account.ID)

	// A grant becomes shorter without holding what it gives, and no longer.
	byManager := func(r svcauth.GrantRequest) error {
		return rules.Last(f.Access.AssignServiceAccountRole(manager, account.ID, editor.ID, r))
	}
	require.NoError(t, byManager(at(time.Hour)))
	f.Lives(token) // it dies when the grant expires
	rules.Problem(t, svcauth.CodeMissingPrivileges, byManager(at(time.Hour+time.Millisecond)))
	rules.Problem(t, svcauth.CodeMissingPrivileges, byManager(svcauth.GrantRequest{}))
	grants, err := f.Access.ServiceAccountRoles(f.Admin(), account.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, at(time.Hour).ExpiresAt, grants.Items[0].ExpiresAt)

	f.Clock.Advance(time.Hour)
	require.Empty(t, f.Token(account.ID).Scope, "an expired grant gives nothing, swept or not")
	rules.Problem(t, svcauth.CodeMissingPrivileges, byManager(at(-time.Hour+2*time.Hour))) // nor is it revived
	require.NoError(t, assign(svcauth.GrantRequest{}))
	require.Equal(t, rules.Edit, f.Token(account.ID).Scope)
	require.NoError(t, byManager(at(time.Minute)), "from for ever to a minute is shorter")
}

func TestGrantPages(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	var want []string
	for i := range 5 {
		role := f.Role(fmt.Sprintf("Role %d", i))
		if i%2 == 0 { // some of the same millisecond
			f.Clock.Advance(time.Millisecond)
		}
		require.NoError(t,
			rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, role.ID, svcauth.GrantRequest{})))
		want = append(want, role.ID)
	}
	var got []string
	for o := (svcauth.ListOptions{Limit: 2}); ; {
		list, err := f.Access.ServiceAccountRoles(f.Admin(), account.ID, o)
		require.NoError(t, err)
		for _, g := range list.Items {
			got = append(got, g.RoleID)
		}
		if list.NextCursor == nil {
			break
		}
		o.Cursor = *list.NextCursor
		// What the cursor names may go meanwhile.
		require.NoError(t, f.Access.UnassignServiceAccountRole(f.Admin(), account.ID, got[len(got)-1], ""))
	}
	require.ElementsMatch(t, want, got)
}

func TestHundredRolesAtMost(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error {
		for i := range svcauth.MaxRolesPerPrincipal {
			id := svcauth.NewID(svcauth.PrefixRole)
			if err := q.InsertRole(t.Context(), store.RoleRow{ID: id, OrgID: f.OrgID(), Kind: store.RoleCustom,
				Name: fmt.Sprint("r", i)}, nil); err != nil {
				return err
			}
			if err := q.PutGrant(t.Context(), store.GrantRow{OrgID: f.OrgID(), PrincipalID: account.ID, RoleID: id,
				GrantedAt: f.Clock.Now()}); err != nil {
				return err
			}
		}
		return nil
	}))
	one := f.Role("One more")
	rules.Problem(t, svcauth.CodeConflict,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, one.ID, svcauth.GrantRequest{})))
	grants, err := f.Access.ServiceAccountRoles(f.Admin(), account.ID, svcauth.ListOptions{Limit: 200})
	require.NoError(t, err)
	require.Len(t, grants.Items, svcauth.MaxRolesPerPrincipal)
	soon := f.Clock.Now().Add(time.Hour)
	require.NoError(t, rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, grants.Items[0].RoleID,
		svcauth.GrantRequest{ExpiresAt: &soon})), "a held one can be changed")
	require.NoError(t, f.Access.UnassignServiceAccountRole(f.Admin(), account.ID, grants.Items[0].RoleID, ""))
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, one.ID, svcauth.GrantRequest{})))
}
