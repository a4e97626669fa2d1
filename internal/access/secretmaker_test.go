package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Whoever made a secret may have kept it: the one who gives its account more is
// told if the maker was never given that.
func TestGrantWarnsOfSecretsThatOthersMade(t *testing.T) {
	f := rules.New(t, nil)
	viewer, editor := f.Role("Viewer", rules.View), f.Role("Editor", rules.View, rules.Edit)
	id, ann := f.Member("ann@example.com", f.Role("Manager", svcauth.MembersRead, svcauth.MembersManage, rules.View))
	account, err := f.Access.CreateServiceAccount(ann,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{viewer.ID}})
	require.NoError(t, err)
	require.Equal(t, svcauth.Creator{ID: id, Email: "ann@example.com"}, account.Secrets[0].CreatedBy)
	f.Clock.Advance(time.Second)
	own, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err)
	require.Equal(t, f.Tenant.AdminID, own.CreatedBy.ID)
	read, err := f.Access.ServiceAccount(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Equal(t, []svcauth.Creator{own.CreatedBy, account.Secrets[0].CreatedBy},
		[]svcauth.Creator{read.Secrets[0].CreatedBy, read.Secrets[1].CreatedBy})

	answer, err := f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	kept := svcauth.CredentialWarning{ServiceAccount: svcauth.Ref{ID: account.ID, Name: "ci"},
		Kind: svcauth.KindSecret, CredentialID: account.Secrets[0].ID, Hint: account.Secrets[0].Hint,
		CreatedBy: account.Secrets[0].CreatedBy, Missing: []string{rules.Edit}}
	require.Equal(t, []svcauth.CredentialWarning{kept}, answer.Warnings, "of ann's secret, and of what she lacks alone")
	standing, err := f.Access.CredentialWarnings(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Equal(t, answer.Warnings, standing, "and as long as it is so")

	// By a role, too; what everyone holds the maker holds as well.
	public := f.System(f.OrgID(), store.RolePublic).ID
	kept.Missing = []string{rules.Create}
	changed, err := f.Access.UpdateRole(f.Admin(), editor.ID,
		0, svcauth.RolePatch{Privileges: &[]string{rules.View, rules.Edit, rules.Create}})
	require.NoError(t, err)
	require.Equal(t, []svcauth.CredentialWarning{kept}, changed.Warnings)
	require.Zero(t, changed.MoreWarnings)
	changed, err = f.Access.UpdateRole(f.Admin(), public, 0, svcauth.RolePatch{Privileges: &[]string{rules.Create}})
	require.NoError(t, err)
	require.Empty(t, changed.Warnings)
	_, author := f.Member("author@example.com",
		f.Role("Author", svcauth.RolesManage, rules.View, rules.Edit, rules.Create))
	_, err = f.Access.UpdateRole(author, editor.ID, 0, svcauth.RolePatch{Privileges: &[]string{rules.View}})
	require.NoError(t, err)
	blind, err := f.Access.UpdateRole(author, editor.ID, 0,
		svcauth.RolePatch{Privileges: &[]string{rules.View, rules.Edit}})
	require.NoError(t, err)
	require.Empty(t, blind.Warnings, "who may not see accounts is told how many")
	require.Equal(t, 1, blind.MoreWarnings)

	// A maker that is gone holds nothing, but its name stays. Without the
	// secret nothing is left to warn of.
	require.NoError(t, f.People.DeleteMember(f.Admin(), id))
	standing, err = f.Access.CredentialWarnings(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Len(t, standing, 1)
	require.Contains(t, standing[0].Missing, rules.View)
	require.Equal(t, "ann@example.com", standing[0].CreatedBy.Email)
	changed, err = f.Access.UpdateRole(f.Admin(), public, 0,
		svcauth.RolePatch{Privileges: &[]string{rules.Create, rules.Edit}})
	require.NoError(t, err)
	kept.Missing = []string{rules.Edit}
	require.Equal(t, []svcauth.CredentialWarning{kept}, changed.Warnings, "nor what everyone else gains")
	require.NoError(t, f.Access.DeleteSecret(f.Admin(), account.ID, account.Secrets[0].ID, false))
	standing, err = f.Access.CredentialWarnings(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Empty(t, standing)
}

// A maker that holds something for a time alone lacks it for what lasts longer:
// its secret goes on to give it that. What ends no later is no more than its
// own.
func TestMakerWhoseHoldEndsLacksWhatLastsLonger(t *testing.T) {
	f := rules.New(t, nil)
	editor, keeper := f.Role("Editor", rules.Edit), f.Role("Keeper", svcauth.MembersRead, svcauth.MembersManage)
	id, ann := f.Member("ann@example.com", keeper)
	hold := func(end time.Time) {
		t.Helper()
		require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error {
			return q.PutGrant(t.Context(), store.GrantRow{OrgID: f.OrgID(), PrincipalID: id, RoleID: editor.ID,
				GrantedAt: f.Clock.Now(), ExpiresAt: &end})
		}))
	}
	moment := func(hours int) *time.Time { return new(f.Clock.Now().Add(time.Duration(hours) * time.Hour)) }
	hold(*moment(10))
	account, err := f.Access.CreateServiceAccount(ann, svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	secret := account.Secrets[0].ID
	grant := func(end *time.Time) []svcauth.CredentialWarning {
		t.Helper()
		answer, err := f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID,
			svcauth.GrantRequest{ExpiresAt: end})
		require.NoError(t, err)
		standing, err := f.Access.CredentialWarnings(f.Admin(), account.ID)
		require.NoError(t, err)
		require.Equal(t, answer.Warnings, standing, "and as long as it is so")
		for _, w := range standing {
			require.Equal(t, secret, w.CredentialID)
			require.Equal(t, []string{rules.Edit}, w.Missing)
			require.Contains(t, w.String(), "not for as long")
		}
		return standing
	}
	require.Empty(t, grant(moment(9)))
	require.Empty(t, grant(moment(10)), "both end together")
	require.Len(t, grant(moment(11)), 1)
	require.Len(t, grant(nil), 1)

	// A secret that ends by then gives nothing afterwards.
	bound := func(end time.Time) {
		t.Helper()
		require.NoError(t,
			rules.Last(f.Access.UpdateSecret(f.Admin(), account.ID, secret, svcauth.SecretPatch{ExpiresAt: &end})))
	}
	bound(*moment(10))
	require.Empty(t, grant(moment(12)))
	bound(*moment(11))
	require.Len(t, grant(nil), 1)

	// What a role gains counts alike, for as long as the account holds the
	// role.
	gains := func() []svcauth.CredentialWarning {
		t.Helper()
		_, err := f.Access.UpdateRole(f.Admin(), editor.ID, 0, svcauth.RolePatch{Privileges: &[]string{rules.Edit}})
		require.NoError(t, err)
		changed, err := f.Access.UpdateRole(f.Admin(), editor.ID, 0,
			svcauth.RolePatch{Privileges: &[]string{rules.Edit, rules.View}})
		require.NoError(t, err)
		return changed.Warnings
	}
	got := gains()
	require.Len(t, got, 1)
	require.Equal(t, []string{rules.View}, got[0].Missing)
	bound(*moment(10))
	require.Empty(t, gains())
	bound(*moment(11))
	grantOnly(f, account.ID, editor.ID, moment(9))
	require.Empty(t, gains())
	grantOnly(f, account.ID, editor.ID, moment(12))
	require.Len(t, gains(), 1)

	// The account had it for a time by another role: the rest is what it gains.
	grantOnly(f, account.ID, editor.ID, moment(9))
	other := f.Role("Other editor", rules.Edit)
	answer, err := f.Access.AssignServiceAccountRole(f.Admin(), account.ID, other.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	require.Len(t, answer.Warnings, 1)
	require.Equal(t, []string{rules.Edit}, answer.Warnings[0].Missing)
}

func grantOnly(f *rules.Fixture, accountID, roleID string, end *time.Time) svcauth.GrantAnswer {
	f.T.Helper()
	answer, err := f.Access.AssignServiceAccountRole(f.Admin(), accountID, roleID, svcauth.GrantRequest{ExpiresAt: end})
	require.NoError(f.T, err)
	return answer
}

func TestEnablingAnAccountWarnsToo(t *testing.T) {
	f := rules.New(t, nil)
	_, ann := f.Member("ann@example.com", f.Role("Manager", svcauth.MembersRead, svcauth.MembersManage))
	account, err := f.Access.CreateServiceAccount(ann, svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), account.ID, f.Role("Editor", rules.Edit).ID,
			svcauth.GrantRequest{})))
	off, on := true, false
	changed, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, svcauth.ServiceAccountPatch{Disabled: &off})
	require.NoError(t, err)
	require.Empty(t, changed.Warnings)
	changed, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, svcauth.ServiceAccountPatch{Disabled: &on})
	require.NoError(t, err)
	require.Len(t, changed.Warnings, 1)
	for _, e := range f.Audited(f.OrgID(), "service_account.update") {
		require.False(t, strings.Contains(string(e.After), "warnings"))
	}
}

// Two accounts that swap names before a grant by name would get each other's:
// whoever renames one must hold all that it holds.
func TestRenamingAsksForWhatTheAccountHolds(t *testing.T) {
	f := rules.New(t, nil)
	rich, poor := f.Account("deployer", f.Role("Editor", rules.Edit)), f.Account("reader", f.Role("Viewer", rules.View))
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage, rules.View))
	swap, text := "swapped", "for production"
	_, err := f.Access.UpdateServiceAccount(manager, rich.ID, 0, svcauth.ServiceAccountPatch{Name: &swap})
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.Access.UpdateServiceAccount(manager, rich.ID, 0, svcauth.ServiceAccountPatch{Description: &text})
	require.NoError(t, err, "what it is called stays")
	_, err = f.Access.UpdateServiceAccount(manager, poor.ID, 0, svcauth.ServiceAccountPatch{Name: &swap})
	require.NoError(t, err)
}
