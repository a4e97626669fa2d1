package access_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestSecretsOverlap(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci", f.Role("Viewer", rules.View))
	oldToken := f.Token(account.ID)
	f.Clock.Advance(time.Second)
	made, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{Description: "next"})
	require.NoError(t, err)
	require.True(t, f.WorksFor(account.ID, account.ClientSecret), "while it is rotated, both work")
	require.True(t, f.WorksFor(account.ID, made.ClientSecret))
	require.Equal(t, made.ClientSecret.Reveal()[len(made.ClientSecret)-4:], made.Hint)

	list, err := f.Access.Secrets(f.Admin(), account.ID)
	require.NoError(t, err)
	shown := made
	shown.ClientSecret = ""
	require.Equal(t, []svcauth.SecretInfo{shown, account.Secrets[0]}, list.Items,
		"newest first, and without the secret")
	require.Nil(t, list.NextCursor)

	newToken := f.TokenBy(account.ID, made.ID)
	require.NoError(t, f.Access.DeleteSecret(f.Admin(), account.ID, account.Secrets[0].ID, false))
	require.False(t, f.WorksFor(account.ID, account.ClientSecret))
	f.Lives(oldToken, newToken) // without revoke_tokens
	require.NoError(t, f.Access.DeleteSecret(f.Admin(), account.ID, made.ID, true))
	f.Dies(newToken)
	f.Lives(oldToken)
	list, err = f.Access.Secrets(f.Admin(), account.ID)
	require.NoError(t, err)
	require.NotNil(t, list.Items)
	require.Empty(t, list.Items, "the last one may go, too")
	for _, e := range append(f.Audited(f.OrgID(), "secret.create"), f.Audited(f.OrgID(), "secret.delete")...) {
		require.NotContains(t, string(e.Before)+string(e.After), "svcs_")
		require.Equal(t, "ci", e.Target.Name)
	}
}

func TestSecretNeedsWhatTheAccountHolds(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci", f.Role("Editor", rules.View, rules.Edit))
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage, rules.View))
	_, err := f.Access.CreateSecret(manager, account.ID, svcauth.NewSecretRequest{})
	p := rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	require.Equal(t, []string{rules.Edit}, p.Missing)
	_, err = f.Access.CreateSecret(manager, account.ID, svcauth.NewSecretRequest{ClientSecret: svcauth.NewSecret()})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	// A role that has expired gives nothing any more.
	soon := f.Clock.Now().Add(time.Minute)
	lesser := f.Account("lesser")
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), lesser.ID, f.Role("Creator", rules.Create).ID,
			svcauth.GrantRequest{ExpiresAt: &soon})))
	_, err = f.Access.CreateSecret(manager, lesser.ID, svcauth.NewSecretRequest{})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	f.Clock.Advance(time.Minute)
	_, err = f.Access.CreateSecret(manager, lesser.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err)
	// To delete one needs nothing of it.
	require.NoError(t, f.Access.DeleteSecret(manager, account.ID, account.Secrets[0].ID, true))
}

func TestSecretExpiry(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci", f.Role("Viewer", rules.View))
	id := account.Secrets[0].ID
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage))
	at := func(d time.Duration) *time.Time { moment := f.Clock.Now().Add(d); return &moment }
	update := func(patch svcauth.SecretPatch) error {
		_, err := f.Access.UpdateSecret(manager, account.ID, id, patch)
		return err
	}
	for _, past := range []*time.Time{at(0), at(-time.Hour)} {
		require.Equal(t, "body.expires_at",
			rules.Problem(t, svcauth.CodeInvalid, update(svcauth.SecretPatch{ExpiresAt: past})).Errors[0].Location)
		_, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{ExpiresAt: past})
		rules.Problem(t, svcauth.CodeInvalid, err)
	}
	rules.Problem(t, svcauth.CodeInvalid, update(svcauth.SecretPatch{ExpiresAt: at(time.Hour), ClearExpiresAt: true}))
	// Who holds nothing of it may end it sooner, and not let it live longer.
	token := f.Token(account.ID)
	require.NoError(t, update(svcauth.SecretPatch{ExpiresAt: at(2 * time.Hour)}))
	require.NoError(t, update(svcauth.SecretPatch{ExpiresAt: at(time.Hour)}))
	rules.Problem(t, svcauth.CodeMissingPrivileges, update(svcauth.SecretPatch{ExpiresAt: at(time.Hour + time.Second)}))
	rules.Problem(t, svcauth.CodeMissingPrivileges, update(svcauth.SecretPatch{ClearExpiresAt: true}))
	text := "described"
	require.NoError(t, update(svcauth.SecretPatch{Description: &text}))
	f.Clock.Advance(time.Hour)
	require.False(t, f.WorksFor(account.ID, account.ClientSecret))
	rules.Problem(t, svcauth.CodeMissingPrivileges,
		update(svcauth.SecretPatch{ExpiresAt: at(time.Minute)})) // an expired one is not revived
	require.NoError(t, update(svcauth.SecretPatch{Description: &text}))
	f.Lives(token)

	changed, err := f.Access.UpdateSecret(f.Admin(), account.ID, id, svcauth.SecretPatch{ClearExpiresAt: true})
	require.NoError(t, err)
	require.Nil(t, changed.ExpiresAt)
	require.Equal(t, "described", changed.Description)
	require.True(t, f.WorksFor(account.ID, account.ClientSecret))
	list, err := f.Access.Secrets(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Equal(t, []svcauth.SecretInfo{changed}, list.Items)
}

func TestSecretOfTheCaller(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	own := svcauth.NewSecret()
	made, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{ClientSecret: own})
	require.NoError(t, err)
	require.Empty(t, made.ClientSecret, "it does not travel back")
	require.Equal(t, own.Hint(), made.Hint)
	require.True(t, f.WorksFor(account.ID, own))
	// Sent again after a lost answer, it says which one it is.
	_, err = f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{ClientSecret: own})
	require.Contains(t, rules.Problem(t, svcauth.CodeConflict, err).Detail, made.ID)

	mistyped := []byte(own)
	mistyped[10] ^= 1
	for _, bad := range []svcauth.Secret{"x", "password", svcauth.Secret(mistyped), own + "x",
		svcauth.Secret(make([]byte, len(own)))} {
		_, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{ClientSecret: bad})
		p := rules.Problem(t, svcauth.CodeInvalid, err)
		require.Equal(t, "body.client_secret", p.Errors[0].Location)
		if len(bad) > 10 {
			require.NotContains(t, p.Detail, string(bad))
		}
	}
}

func TestFiveSecretsAtMost(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	soon := f.Clock.Now().Add(time.Minute)
	var ids []string
	for i := range svcauth.MaxSecrets - 1 {
		r := svcauth.NewSecretRequest{}
		if i == 0 {
			r.ExpiresAt = &soon
		}
		made, err := f.Access.CreateSecret(f.Admin(), account.ID, r)
		require.NoError(t, err)
		ids = append(ids, made.ID)
	}
	f.Clock.Advance(time.Hour)
	inUse := map[string]store.Use{}
	for _, id := range append(ids[2:], account.Secrets[0].ID) {
		inUse[id] = store.Use{ClientID: account.ID, MS: f.Clock.Now().UnixMilli()}
	}
	require.NoError(t, f.Store.NoteUse(t.Context(), inUse))
	_, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{})
	detail := rules.Problem(t, svcauth.CodeConflict, err).Detail
	require.Contains(t, detail, ids[0])
	require.Contains(t, detail, "expired")
	require.Contains(t, detail, ids[1])
	require.Contains(t, detail, "never used")
	require.NotContains(t, detail, ids[2], "one that is in use is not offered")

	require.NoError(t, f.Access.DeleteSecret(f.Admin(), account.ID, ids[1], false))
	_, err = f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err)
}

func TestLastUse(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	second, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err)
	used := f.Clock.Now()
	require.NoError(t, f.Store.NoteUse(t.Context(), map[string]store.Use{
		second.ID: {ClientID: account.ID, MS: used.UnixMilli()},
	}))
	got, err := f.Access.ServiceAccount(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Equal(t, &used, got.LastUsedAt)
	for _, s := range got.Secrets {
		if s.ID == second.ID {
			require.Equal(t, &used, s.LastUsedAt)
		} else {
			require.Nil(t, s.LastUsedAt)
		}
	}
	require.NoError(t, f.Access.DeleteSecret(f.Admin(), account.ID, second.ID, false))
	got, err = f.Access.ServiceAccount(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Equal(t, &used, got.LastUsedAt, "an account keeps its last use when it loses the secret")
}

// A secret is of one account: through another one it is not found, and nothing
// happens to it.
func TestSecretOfAnotherAccount(t *testing.T) {
	f := rules.New(t, nil)
	account, other := f.Account("ci"), f.Account("other")
	text := "mine now"
	_, err := f.Access.UpdateSecret(f.Admin(), other.ID, account.Secrets[0].ID, svcauth.SecretPatch{Description: &text})
	rules.Problem(t, svcauth.CodeNotFound, err)
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteSecret(f.Admin(), other.ID, account.Secrets[0].ID, true))
	require.True(t, f.WorksFor(account.ID, account.ClientSecret))
	f.Lives(f.Token(account.ID))
	// An application key's secret is not reached by way of service accounts.
	key := f.Tenant.ApplicationKey
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteSecret(f.Admin(), key.ID, key.Secret.ID, true))
	_, err = f.Access.CreateSecret(f.Admin(), key.ID, svcauth.NewSecretRequest{})
	rules.Problem(t, svcauth.CodeNotFound, err)
}

// However many ask at once, there are no more secrets than may be, and no name
// is given twice.
func TestLimitsHoldUnderConcurrency(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	admin := f.Admin()
	var wait sync.WaitGroup
	var secrets, accounts atomic.Int64
	for range 10 {
		wait.Go(func() {
			if _, err := f.Access.CreateSecret(admin, account.ID, svcauth.NewSecretRequest{}); err == nil {
				secrets.Add(1)
			}
		})
		wait.Go(func() {
			if _, err := f.Access.CreateServiceAccount(admin, svcauth.NewServiceAccount{Name: "same"}); err == nil {
				accounts.Add(1)
			}
		})
	}
	wait.Wait()
	require.EqualValues(t, svcauth.MaxSecrets-1, secrets.Load())
	require.EqualValues(t, 1, accounts.Load())
}

// The answer with the secret was lost: the caller finds the one that was never
// used, removes it and makes another.
func TestRepairAfterALostAnswer(t *testing.T) {
	f := rules.New(t, nil)
	account := f.Account("ci")
	require.NoError(t, f.Store.NoteUse(t.Context(), map[string]store.Use{
		account.Secrets[0].ID: {ClientID: account.ID, MS: f.Clock.Now().UnixMilli()},
	}))
	lost, err := f.Access.CreateSecret(f.Admin(), account.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err)
	list, err := f.Access.Secrets(f.Admin(), account.ID)
	require.NoError(t, err)
	var unused []string
	for _, s := range list.Items {
		if s.LastUsedAt == nil {
			unused = append(unused, s.ID)
		}
	}
	require.Equal(t, []string{lost.ID}, unused)
	require.NoError(t, f.Access.DeleteSecret(f.Admin(), account.ID, unused[0], true))
	require.False(t, f.WorksFor(account.ID, lost.ClientSecret))
	require.True(t, f.WorksFor(account.ID, account.ClientSecret))
}
