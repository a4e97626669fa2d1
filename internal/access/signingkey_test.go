package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// inState returns the one key in a state.
func inState(t *testing.T, keys []svcauth.SigningKey, state string) svcauth.SigningKey {
	t.Helper()
	var found []svcauth.SigningKey
	for _, k := range keys {
		if k.State == state {
			found = append(found, k)
		}
	}
	require.Len(t, found, 1, state)
	return found[0]
}

func TestSigningKeysRotateAndAreRevoked(t *testing.T) {
	f := rules.New(t, nil)
	verifies := func(kid string) bool {
		require.NoError(t, f.Keyring.Reload(t.Context())) // as a node does that follows the change log
		_, _, err := f.Keyring.Key(t.Context(), kid)
		return err == nil
	}
	before, err := f.Access.SigningKeys(f.Admin(), svcauth.ListOptions{})
	require.NoError(t, err)
	first, next := inState(t, before.Items, svcauth.KeyActive), inState(t, before.Items, svcauth.KeyNext)
	f.Clock.Advance(time.Hour)
	after, err := f.Access.RotateSigningKeys(f.Admin(), svcauth.KeyRotation{})
	require.NoError(t, err)
	require.Equal(t, next.KID, inState(t, after.Items, svcauth.KeyActive).KID)
	require.Equal(t, first.KID, inState(t, after.Items, svcauth.KeyRetired).KID)
	require.True(t, verifies(first.KID), "tokens live on")

	warning, err := f.Access.RevokeSigningKey(f.Admin(), first.KID)
	require.NoError(t, err)
	require.Contains(t, warning, "before it was retired")
	require.False(t, verifies(first.KID))
	warning, err = f.Access.RevokeSigningKey(f.Admin(), next.KID)
	require.NoError(t, err)
	require.Contains(t, warning, "Every token that is out and signed with ES256 is refused")
	require.False(t, verifies(next.KID))
	keys, err := f.Access.SigningKeys(f.Admin(), svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, keys.Items, 2)
	active, upcoming := inState(t, keys.Items, svcauth.KeyActive), inState(t, keys.Items, svcauth.KeyNext)
	require.True(t, verifies(active.KID), "another one signs at once")
	warning, err = f.Access.RevokeSigningKey(f.Admin(), upcoming.KID)
	require.NoError(t, err)
	require.Contains(t, warning, "Nothing breaks")
	_, err = f.Access.RevokeSigningKey(f.Admin(), first.KID)
	rules.Problem(t, svcauth.CodeNotFound, err)

	require.Len(t, f.Audited(f.OrgID(), "signing_key.rotate"), 1)
	require.Len(t, f.Audited(f.OrgID(), "signing_key.revoke"), 4) // three, and one refused
	for _, e := range f.Audited(f.OrgID(), "") {
		require.NotContains(t, string(e.Before)+string(e.After), "sealed")
	}
	_, reader := f.Member("reader@example.com", f.Role("Readers", svcauth.MembersRead))
	_, err = f.Access.SigningKeys(reader, svcauth.ListOptions{})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	_, err = f.Access.RevokeSigningKey(reader, active.KID)
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	require.True(t, verifies(active.KID))
}
