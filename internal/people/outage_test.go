package people_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestWhatCantBeAskedIsNotRefused: whichever query the database leaves
// unanswered, nobody is told that a session, a link or an account is not there,
// is over or may not.
func TestWhatCantBeAskedIsNotRefused(t *testing.T) {
	f := rules.New(t, nil)
	role := f.Role("viewer", rules.View)
	member, _ := f.Member("ann@example.com", role)
	claims := f.Token(f.Account("machine", role).ID)
	maker, asMaker := f.Member("maker@example.com", f.System(f.OrgID(), "administrator"))
	invited, err := f.People.InviteMember(asMaker,
		svcauth.NewMember{Email: "new@example.com", FirstName: "New", LastName: "One", RoleIDs: []string{role.ID}})
	require.NoError(t, err)
	row, err := f.Store.Read().MemberByEmail(t.Context(), f.OrgID(), "new@example.com")
	require.NoError(t, err)
	reset, err := f.People.ResetMember(asMaker, member)
	require.NoError(t, err)
	held, err := f.Store.Read().MemberOfSession(t.Context(), maker)
	require.NoError(t, err)

	for _, c := range []struct {
		name string
		ask  func(ctx context.Context) error
	}{
		{"a session", func(ctx context.Context) error {
			_, _, err := f.People.SessionActor(ctx, people.Identity{MemberID: maker, Epoch: held.SessionEpoch})
			return err
		}},
		{"an account's token", func(ctx context.Context) error {
			_, err := f.Access.TokenActor(ctx, claims)
			return err
		}},
		{"an invitation", func(ctx context.Context) error {
			_, err := f.People.Invitation(ctx, rules.LinkToken(t, invited.InvitationURL))
			return err
		}},
		{"a link to set another password", func(ctx context.Context) error {
			_, err := f.People.Invitation(ctx, rules.LinkToken(t, reset.InvitationURL))
			return err
		}},
		{"single sign-on", func(ctx context.Context) error {
			_, err := f.People.MemberByVerifiedEmail(ctx, "new@example.com")
			return err
		}},
		{"single sign-on, chosen", func(ctx context.Context) error {
			_, err := f.People.SignInVerified(ctx, "maker@example.com",
				people.Identity{MemberID: maker, Epoch: held.SessionEpoch}, rules.Home)
			return err
		}},
		{"who somebody is", func(ctx context.Context) error {
			actor, _ := access.ActorFrom(f.Admin())
			_, err := f.Access.Me(access.WithActor(ctx, actor))
			return err
		}},
		{"the first sign-in", func(ctx context.Context) error {
			_, err := f.People.SignInVerified(ctx, "new@example.com",
				people.Identity{MemberID: row.ID, Epoch: row.SessionEpoch}, rules.Home)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for answered := 0; ; answered++ {
				ctx, hangUp := context.WithCancel(t.Context())
				left := answered
				if left == 0 {
					hangUp()
				}
				f.Called = func() {
					if left--; left == 0 {
						hangUp()
					}
				}
				err := c.ask(ctx)
				f.Called = nil
				hangUp()
				if err == nil {
					require.Positive(t, answered)
					return
				}
				rules.Problem(t, svcauth.CodeUnavailable, err)
			}
		})
	}
}
