package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// fewer is the fixture's catalogue without clusters:create and clusters:edit.
func fewer() ([]svcauth.API, []svcauth.Privilege) {
	return []svcauth.API{{Audience: "https://api.example.com", Name: "Cloud"}}, []svcauth.Privilege{{Name: rules.View,
		API: "https://api.example.com"}}
}

func TestRemovedPrivilegeThatARoleHoldsIsRefusedUnlessTold(t *testing.T) {
	f := rules.New(t, nil)
	both := f.Role("Both", rules.View, rules.Edit)
	account, other := f.Account("robot", both), f.Account("other", f.Role("Viewers", rules.View))
	token, untouched := f.Token(account.ID), f.Token(other.ID)
	apis, privileges := fewer()

	_, err := f.Access.ApplyCatalog(t.Context(), apis, privileges, false)
	p := rules.Problem(t, svcauth.CodeConflict, err)
	require.Contains(t, p.Detail, rules.Edit)
	require.Contains(t, p.Detail, "Both")
	require.Contains(t, p.Detail, "catalog_allow_removal")
	require.Contains(t, f.All(true), rules.Edit, "nothing has changed")
	f.Lives(token)

	changed, err := f.Access.ApplyCatalog(t.Context(), apis, privileges, true)
	require.NoError(t, err)
	require.True(t, changed)
	f.Dies(token)
	f.Lives(untouched, f.Token(account.ID))
	role, err := f.Access.Role(f.Admin(), both.ID)
	require.NoError(t, err)
	require.Equal(t, []string{rules.View}, role.Privileges)
	require.NotContains(t, f.All(true), rules.Edit)
	_, err = f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: "Late", Privileges: []string{rules.Edit}})
	rules.Problem(t, svcauth.CodeInvalid, err)

	changed, err = f.Access.ApplyCatalog(t.Context(), apis, privileges, true)
	require.NoError(t, err)
	require.False(t, changed, "the same again changes nothing, nor wakes anybody")
}

// Administrator holds what the catalogue has by its kind, not by a list. A
// privilege leaves it without being asked for, and tokens that carry it die.
func TestRemovedPrivilegeNobodyListsGoesQuietly(t *testing.T) {
	f := rules.New(t, nil)
	key := f.Tenant.ApplicationKey.ID
	wide, narrow := f.Token(key), f.Token(key)
	narrow.Scope = rules.View
	apis, privileges := fewer()
	_, err := f.Access.ApplyCatalog(t.Context(), apis, privileges, false)
	require.NoError(t, err)
	require.NotContains(t, f.All(true), rules.Create)
	f.Dies(wide)
	f.Lives(narrow, f.Token(key))
	privileges = append(privileges, svcauth.Privilege{Name: "clusters:pause", API: "https://api.example.com"})
	_, err = f.Access.ApplyCatalog(t.Context(), apis, privileges, false)
	require.NoError(t, err)
	require.Contains(t, f.Held(f.OrgID(), f.Tenant.AdminID), "clusters:pause",
		"Administrator has every present and future privilege")
}

func TestExampleCatalogueIsComplete(t *testing.T) {
	f := rules.New(t, nil)
	catalogue, err := config.LoadCatalog("", rules.Issuer)
	require.NoError(t, err)
	_, err = f.Access.ApplyCatalog(t.Context(), catalogue.APIs, catalogue.Privileges, false)
	require.NoError(t, err)
	names := f.All(true)
	for _, want := range []string{"clusters:view", "clusters:edit", "clusters:release", "clusters:create",
		"clusters:suspend", "clusters:resume",
		"cloud-settings:view", "cloud-settings:manage", "billing:view", "billing:manage", "alarms:view",
		"alarms:manage"} {
		require.Contains(t, names, want)
	}
	page, err := f.Access.APIs(f.Admin(), svcauth.ListOptions{Limit: 2})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	require.Equal(t, rules.Issuer, page.Items[0].Audience)
	rest, err := f.Access.APIs(f.Admin(), svcauth.ListOptions{Cursor: *page.NextCursor})
	require.NoError(t, err)
	require.Len(t, rest.Items, 1)
	require.Nil(t, rest.NextCursor)
	_, err = f.Access.APIs(f.Admin(), svcauth.ListOptions{Cursor: "bm90aGluZw"})
	rules.Problem(t, svcauth.CodeInvalid, err)
	var all []string
	for cursor := ""; ; {
		page, err := f.Access.Privileges(f.Admin(), svcauth.ListOptions{Limit: 3, Cursor: cursor})
		require.NoError(t, err)
		for _, p := range page.Items {
			all = append(all, p.Name)
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	require.Equal(t, names, all)
	_, err = f.Access.APIs(t.Context(), svcauth.ListOptions{})
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
}
