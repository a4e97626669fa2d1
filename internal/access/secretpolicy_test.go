package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// addCredential gives an account a credential of another kind than a secret.
func addCredential(f *rules.Fixture, clientID, kind, prefix, maker string) string {
	f.T.Helper()
	id := typeid.New(prefix, f.Clock.Now())
	require.NoError(f.T, f.Store.Write(f.T.Context(), func(q *store.Q) error {
		return q.InsertCredential(f.T.Context(), store.CredentialRow{
			ID: id, ClientID: clientID, OrgID: f.OrgID(), Kind: kind, Material: "x", CreatedAt: f.Clock.Now(),
			CreatedByID: maker, CreatedByName: "maker",
		})
	}))
	return id
}

func TestNoNewSecrets(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	org, err := f.Access.UpdateOrganization(f.Admin(), 0,
		svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsNoNew)})
	require.NoError(t, err)
	require.Equal(t, svcauth.SharedSecretsNoNew, org.SharedSecrets)
	token := f.Token(account.ID)
	_, err = f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{})
	rules.Problem(t, svcauth.CodeConflict, err)
	_, err = f.Access.CreateServiceAccount(f.Admin(), svcauth.NewServiceAccount{Name: "other"})
	require.Contains(t, rules.Problem(t, svcauth.CodeConflict, err).Detail, "secret: false")
	_, err = f.Access.CreateServiceAccount(f.Admin(), svcauth.NewServiceAccount{Name: "other", Secret: new(false)})
	require.NoError(t, err)
	_, err = f.Access.CreateApplicationKey(f.Admin(), svcauth.NewApplicationKey{})
	require.NoError(t, err, "application keys have a setting of their own")
	f.Lives(token)
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, svcauth.OrganizationPatch{SharedSecrets: new("never")})
	require.Equal(t, "body.shared_secrets", rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Location)
}

func TestRefusingSecretsSaysWhomItStops(t *testing.T) {
	f := rules.New(t, nil)
	first, second, keyed := f.Account("first"), f.Account("second"), f.Account("keyed")
	addCredential(f, keyed.ID, store.CredentialKey, svcauth.PrefixKey, f.Tenant.AdminID)
	require.NoError(t, f.Store.NoteUse(t.Context(), map[string]store.Use{
		second.Secrets[0].ID: {ClientID: second.ID, MS: f.Clock.Now().UnixMilli()},
	}))
	token, own := f.Token(first.ID), f.Token(f.Tenant.ApplicationKey.ID)
	users, err := f.Access.SecretUsers(f.Admin())
	require.NoError(t, err)
	require.Equal(t, 2, users.AccountsCount)
	require.Equal(t, []string{"second", "first"}, []string{users.Accounts[0].Name, users.Accounts[1].Name})
	require.Equal(t, 1, users.ApplicationKeys)

	refuse := svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsRefused)}
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, refuse)
	p := rules.Problem(t, svcauth.CodeConflict, err)
	require.Equal(t, "body.shared_secrets", p.Errors[0].Location)
	require.Regexp(t, "from 2 service accounts: second \\(last used .*\\), first \\(never used\\)", p.Detail)
	require.Contains(t, p.Detail, "confirm=true")
	f.Lives(token)

	refuse.Confirm = true
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, refuse)
	require.NoError(t, err)
	f.Dies(token, own)
	f.Lives(f.Token(keyed.ID))
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, refuse)
	require.NoError(t, err)
	f.Lives(f.Token(keyed.ID))
}

// TestRefusingWithoutUsersNeedsNoConfirmation also checks that an expired
// credential of another kind does not count.
func TestRefusingWithoutUsersNeedsNoConfirmation(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	id := addCredential(f, account.ID, store.CredentialCertificate, svcauth.PrefixCertificate, f.Tenant.AdminID)
	past := f.Clock.Now().Add(-time.Second)
	expire := func(end *time.Time) {
		require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error {
			return q.UpdateCredential(t.Context(), store.CredentialRow{ID: id, ClientID: account.ID, OrgID: f.OrgID(),
				Kind: store.CredentialCertificate, Material: "x", ExpiresAt: end})
		}))
	}
	expire(&past)
	refuse := svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsRefused)}
	_, err := f.Access.UpdateOrganization(f.Admin(), 0, refuse)
	rules.Problem(t, svcauth.CodeConflict, err)
	expire(nil)
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, refuse)
	require.NoError(t, err)
	_, err = f.Access.UpdateOrganization(f.Admin(), 0,
		svcauth.OrganizationPatch{ApplicationKeys: new(svcauth.ApplicationKeysRefused)})
	require.Equal(t, "body.application_keys", rules.Problem(t, svcauth.CodeConflict, err).Errors[0].Location)
	_, err = f.Access.UpdateOrganization(f.Admin(), 0,
		svcauth.OrganizationPatch{ApplicationKeys: new(svcauth.ApplicationKeysRefused), Confirm: true})
	require.NoError(t, err)
	_, err = f.Access.CreateApplicationKey(f.Admin(), svcauth.NewApplicationKey{})
	rules.Problem(t, svcauth.CodeConflict, err)
}

// TestSecretUsersNamesNobodyWithoutMembersRead also checks that the settings of
// another organization are the operator's.
func TestSecretUsersNamesNobodyWithoutMembersRead(t *testing.T) {
	f := rules.New(t, nil)
	f.Account("ci")
	_, settings := f.Member("settings@example.com", f.Role("Settings", svcauth.SettingsManage))
	users, err := f.Access.SecretUsers(settings)
	require.NoError(t, err)
	require.Equal(t, 1, users.AccountsCount)
	require.Empty(t, users.Accounts)
	_, err = f.Access.UpdateOrganization(settings, 0,
		svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsRefused)})
	require.NotContains(t, rules.Problem(t, svcauth.CodeConflict, err).Detail, "ci (")
	_, viewer := f.Member("viewer@example.com", f.Role("Viewer", svcauth.MembersRead))
	_, err = f.Access.SecretUsers(viewer)
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	_, err = f.Access.UpdateOrganization(viewer, 0,
		svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsRefused)})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	_, err = f.Access.UpdateOrganizationByID(settings, f.OrgID(), 0,
		svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsRefused)})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
}

// TestWarningsLookAtCredentialsOfAllKinds checks that a public key counts as a
// secret does: its maker may hold the private one.
func TestWarningsLookAtCredentialsOfAllKinds(t *testing.T) {
	f := rules.New(t, nil)
	editor := f.Role("Editor", rules.Edit)
	annID, _ := f.Member("ann@example.com", f.Role("Manager", svcauth.MembersRead, svcauth.MembersManage))
	account, err := f.Access.CreateServiceAccount(f.Admin(), svcauth.NewServiceAccount{Name: "ci", Secret: new(false)})
	require.NoError(t, err)
	id := addCredential(f, account.ID, store.CredentialFederated, svcauth.PrefixFederated, annID)
	kept := []svcauth.CredentialWarning{{
		ServiceAccount: svcauth.Ref{ID: account.ID, Name: "ci"},
		Kind:           svcauth.KindFederatedCredential, CredentialID: id,
		CreatedBy: svcauth.Creator{ID: annID, Email: "maker"}, Missing: []string{rules.Edit},
	}}
	answer, err := f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	require.Equal(t, kept, answer.Warnings)
	require.Contains(t, kept[0].String(), "The federated credential "+id+" of")
	changed, err := f.Access.UpdateRole(f.Admin(), editor.ID, 0,
		svcauth.RolePatch{Privileges: &[]string{rules.Edit, rules.View}})
	require.NoError(t, err)
	kept[0].Missing = []string{rules.View}
	require.Equal(t, kept, changed.Warnings)
}
