package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// person adds a member to an organization; active: with a password.
func person(t *testing.T, s *Store, id, orgID, email string, active bool) MemberRow {
	t.Helper()
	m := MemberRow{ID: id, OrgID: orgID, Email: email, FirstName: "Ann", LastName: "Lee", CreatedAt: moment0,
		CreatedByID: "mem_x", CreatedByName: "x@example.com", Version: 1}
	if active {
		m.PasswordHash, m.ActivatedAt = "hash", &moment0
	}
	must(t, s, func(ctx context.Context, q *Q) error { return q.InsertMember(ctx, m) })
	return m
}

func TestMembers(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		must(t, s, func(ctx context.Context, q *Q) error {
			if err := q.InsertOrganization(ctx, orgA); err != nil {
				return err
			}
			return q.InsertOrganization(ctx, orgB)
		})
		ctx, q := t.Context(), s.Read()
		ann := person(t, s, "mem_1", "org_a", "Ann@Example.com", true)
		bob := person(t, s, "mem_2", "org_a", "bob@example.com", false)
		there := person(t, s, "mem_3", "org_b", "ann@example.com", true)
		require.ErrorIs(t, s.Write(ctx, func(q *Q) error {
			return q.InsertMember(ctx, MemberRow{ID: "mem_9", OrgID: "org_a", Email: "ANN@example.com",
				CreatedAt: moment0})
		}), ErrConflict)

		got, err := q.Member(ctx, "org_a", ann.ID)
		require.NoError(t, err)
		require.Equal(t, ann, got)
		_, err = q.Member(ctx, "org_b", ann.ID)
		require.ErrorIs(t, err, ErrNotFound)
		got, err = q.MemberByEmail(ctx, "org_a", "ann@EXAMPLE.com")
		require.NoError(t, err)
		require.Equal(t, ann, got)
		got, err = q.MemberOfSession(ctx, bob.ID)
		require.NoError(t, err)
		require.Equal(t, bob, got)
		page, err := q.Members(ctx, "org_a", "", 10)
		require.NoError(t, err)
		require.Equal(t, []MemberRow{bob, ann}, page)
		page, err = q.Members(ctx, "org_a", bob.ID, 10)
		require.NoError(t, err)
		require.Equal(t, []MemberRow{ann}, page)

		later := moment0.Add(time.Hour)
		must(t, s, func(ctx context.Context, q *Q) error {
			changed := bob
			changed.FirstName, changed.Suspended = "Bobby", true
			require.NoError(t, q.UpdateMember(ctx, changed))
			require.ErrorIs(t, q.UpdateMember(ctx, changed), ErrStale)
			require.NoError(t, q.SetPassword(ctx, "org_a", bob.ID, "other"))
			require.NoError(t, q.ActivateMember(ctx, "org_a", bob.ID, later))
			require.NoError(t, q.ActivateMember(ctx, "org_a", ann.ID, later))
			require.NoError(t, q.EndSessions(ctx, "org_a", bob.ID))
			require.NoError(t, q.NoteSignIn(ctx, "org_b", there.ID, "", later))
			for _, foreign := range []error{q.SetPassword(ctx, "org_b", bob.ID, "x"),
				q.EndSessions(ctx, "org_b", bob.ID), q.NoteSignIn(ctx, "org_b", bob.ID, "", later),
				q.ActivateMember(ctx, "org_b", bob.ID, later), q.DeleteMember(ctx, "org_b", bob.ID)} {
				require.ErrorIs(t, foreign, ErrNotFound)
			}
			return nil
		})
		got, err = q.Member(ctx, "org_a", bob.ID)
		require.NoError(t, err)
		want := bob
		want.FirstName, want.Suspended, want.PasswordHash, want.ActivatedAt, want.SessionEpoch,
			want.Version = "Bobby", true, "other", &later, 1, 3
		require.Equal(t, want, got)
		got, err = q.Member(ctx, "org_a", ann.ID)
		require.NoError(t, err)
		require.Equal(t, moment0, *got.ActivatedAt, "who was active stays so since then")
		both, err := q.MembersByEmail(ctx, "ann@example.com", 10)
		require.NoError(t, err)
		require.Len(t, both, 2)
		require.Equal(t, there.ID, both[0].ID, "who signed in last comes first")
	})
}

func TestHoldersKeysAndPrincipalsOfMembers(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		must(t, s, func(ctx context.Context, q *Q) error { return q.InsertOrganization(ctx, orgA) })
		ctx, q := t.Context(), s.Read()
		ann, invited, gone, robot := "mem_1", "mem_2", "mem_3", "sa_1"
		person(t, s, ann, "org_a", "ann@example.com", true)
		person(t, s, invited, "org_a", "invited@example.com", false)
		person(t, s, gone, "org_a", "gone@example.com", true)
		past, ahead := moment0.Add(-time.Second), moment0.Add(time.Hour)
		_, err := q.NextExpiry(ctx)
		require.ErrorIs(t, err, ErrNotFound)
		must(t, s, func(ctx context.Context, q *Q) error {
			require.NoError(t, q.InsertRole(ctx, RoleRow{ID: "role_1", OrgID: "org_a", Kind: RoleAdministrator,
				Name: "Administrator", CreatedAt: moment0}, nil))
			require.NoError(t, q.InsertClient(ctx,
				ClientRow{ID: robot, OrgID: "org_a", Kind: ClientServiceAccount, Name: "robot", CreatedAt: moment0}))
			require.NoError(t, q.InsertClient(ctx,
				ClientRow{ID: "ak_1", OrgID: "org_a", Kind: ClientApplicationKey, MemberID: &ann, CreatedAt: moment0}))
			for _, g := range []GrantRow{{PrincipalID: ann, ExpiresAt: &ahead}, {PrincipalID: invited},
				{PrincipalID: gone, ExpiresAt: &past}, {PrincipalID: robot}} {
				g.OrgID, g.RoleID, g.GrantedAt = "org_a", "role_1", moment0
				require.NoError(t, q.PutGrant(ctx, g))
			}
			return nil
		})
		later := ahead.Add(time.Millisecond)
		for _, c := range []struct {
			except string
			until  *time.Time
			want   int64
		}{{"", &ahead, 1}, {ann, &ahead, 0}, {gone, &ahead, 1}, {"", &later, 0}, {"", nil, 0}} {
			n, err := q.OtherHolders(ctx, "org_a", "role_1", c.except, "", c.until)
			require.NoError(t, err)
			require.Equal(t, c.want, n, "%+v", c)
		}
		must(t, s, func(ctx context.Context, q *Q) error {
			return q.PutGrant(ctx, GrantRow{OrgID: "org_a", PrincipalID: ann, RoleID: "role_1", GrantedAt: moment0})
		})
		for _, until := range []*time.Time{nil, &later} {
			n, err := q.OtherHolders(ctx, "org_a", "role_1", gone, "", until)
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
		}
		next, err := q.NextExpiry(ctx)
		require.NoError(t, err)
		require.Equal(t, past, next)
		expired, err := q.ExpiredGrants(ctx, moment0, 10)
		require.NoError(t, err)
		require.Len(t, expired, 1)
		administrators, err := q.AdministratorRoles(ctx)
		require.NoError(t, err)
		require.Len(t, administrators, 1)

		keys, err := q.ApplicationKeyIDs(ctx, "org_a", ann)
		require.NoError(t, err)
		require.Equal(t, []string{"ak_1"}, keys)
		p, err := q.MemberPrincipal(ctx, "org_a", ann, "ak_1")
		require.NoError(t, err)
		require.Equal(t, PrincipalRow{Name: "ann@example.com", Operator: true}, p)
		p, err = q.AccountPrincipal(ctx, "org_a", robot)
		require.NoError(t, err)
		require.Equal(t, PrincipalRow{Name: "robot", Operator: true}, p)
		_, err = q.MemberPrincipal(ctx, "org_a", invited, "ak_1")
		require.ErrorIs(t, err, ErrNotFound)
		_, err = q.AccountPrincipal(ctx, "org_a", "ak_1")
		require.ErrorIs(t, err, ErrNotFound)

		must(t, s, func(ctx context.Context, q *Q) error { return q.DeleteMember(ctx, "org_a", ann) })
		_, err = q.Credentials(ctx, "ak_1")
		require.ErrorIs(t, err, ErrNotFound)
		grants, err := q.Grants(ctx, "org_a", ann)
		require.NoError(t, err)
		require.Equal(t, []svcauth.Grant{}, grants)
	})
}

func TestInvitationIsTheOnlyOneOfItsMember(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		must(t, s, func(ctx context.Context, q *Q) error { return q.InsertOrganization(ctx, orgA) })
		person(t, s, "mem_1", "org_a", "ann@example.com", false)
		ctx, q := t.Context(), s.Read()
		put := func(hash string, expires time.Time) {
			must(t, s, func(ctx context.Context, q *Q) error {
				return q.PutInvitation(ctx, InvitationRow{TokenHash: []byte(hash), OrgID: "org_a", MemberID: "mem_1",
					Kind: InvitationInvite, ExpiresAt: expires, MadeByID: "mem_0"})
			})
		}
		later := moment0.Add(time.Hour)
		put("one\x00\xff", later)
		got, err := q.Invitation(ctx, []byte("one\x00\xff"), moment0)
		require.NoError(t, err)
		require.Equal(t, InvitationRow{TokenHash: []byte("one\x00\xff"), OrgID: "org_a", MemberID: "mem_1",
			Kind: InvitationInvite, ExpiresAt: later, MadeByID: "mem_0"}, got)
		put("two", later)
		_, err = q.Invitation(ctx, []byte("one\x00\xff"), moment0)
		require.ErrorIs(t, err, ErrNotFound)
		_, err = q.Invitation(ctx, []byte("two"), later)
		require.ErrorIs(t, err, ErrNotFound, "its time is over")
		must(t, s, func(ctx context.Context, q *Q) error { return q.DeleteInvitations(ctx, "org_a", "mem_1") })
		_, err = q.Invitation(ctx, []byte("two"), moment0)
		require.ErrorIs(t, err, ErrNotFound)
	})
}
