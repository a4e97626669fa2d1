package people_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestApplicationKeysEndWithSessions: whoever has a member's key is out with
// whoever has its session, for good, and the audit log tells of each key.
func TestApplicationKeysEndWithSessions(t *testing.T) {
	for name, end := range map[string]func(f *rules.Fixture, id string) error{
		"a reset": func(f *rules.Fixture, id string) error {
			_,
				err := f.People.ResetMember(f.Admin(), id)
			return err
		},
		"a new password": func(f *rules.Fixture, _ string) error {
			return f.People.ChangePassword(f.InConsole("ann@example.com"), rules.Password, "another harbour in the fog")
		},
		"a suspension that is over": (*rules.Fixture).SuspendAndRestore,
		"a removal": func(f *rules.Fixture,
			id string) error {
			return f.People.DeleteMember(f.Admin(), id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := rules.New(t, nil)
			ann := f.Join(f.Admin(), "ann@example.com", f.Role("Viewers", rules.View))
			f.Join(f.Admin(), "bob@example.com")
			key, token := f.Key(f.InConsole("ann@example.com"))
			second, _ := f.Key(f.InConsole("ann@example.com"))
			other, others := f.Key(f.InConsole("bob@example.com"))
			require.NoError(t, end(f, ann.ID))
			f.Dies(token)
			f.Lives(others)
			require.True(t, f.WorksFor(other.ID, other.ClientSecret))
			ended := map[string]string{}
			for _, e := range f.Audited(f.OrgID(), "application_key.delete") {
				ended[e.Target.ID] = e.Outcome
				require.Contains(t, string(e.Before), `"email":"ann@example.com"`)
			}
			require.Equal(t, map[string]string{key.ID: svcauth.OutcomeDone, second.ID: svcauth.OutcomeDone}, ended)
			for id := range ended {
				_, err := f.Store.Read().Credentials(t.Context(), id)
				require.ErrorIs(t, err, store.ErrNotFound)
			}
		})
	}
}

// TestManagersSeeAndEndApplicationKeys: of everybody in their organization, and
// only they do.
