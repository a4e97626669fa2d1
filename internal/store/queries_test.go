package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestCredentialsAreReadInOneQuery(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		c, err := s.Read().Credentials(t.Context(), "sa_a")
		require.NoError(t, err)
		later := moment0.Add(time.Hour).UnixMilli()
		require.Equal(t, Credentials{ClientID: "sa_a", Kind: ClientServiceAccount, OrgID: "org_a", Name: "CI",
			Operator: true, TTLSeconds: 60},
			Credentials{ClientID: c.ClientID, Kind: c.Kind, OrgID: c.OrgID, Name: c.Name, Operator: c.Operator,
				TTLSeconds: c.TTLSeconds, Epoch: c.Epoch, Policy: c.Policy,
				Disabled: c.Disabled, Suspended: c.Suspended, MemberID: c.MemberID})
		require.ElementsMatch(t, []StoredCredential{{"sec_1a", "$s$0001ff", later},
			{"sec_2a", "$s$02", 0}}, c.Secrets)
		require.Equal(t, []HeldGrant{{"role_a", later}}, c.Grants)
		roles, err := s.Read().HeldRoles(t.Context(), "org_a", c.Principal())
		require.NoError(t, err)
		require.Len(t, roles, 2)
		for _, r := range roles {
			if r.ID == "role_a" {
				require.ElementsMatch(t, []string{"p:one", "p:two"}, r.Privileges)
				require.Equal(t, later, r.ExpiresAtMS)
			} else {
				require.Equal(t, HeldRole{ID: "role_public_a", Name: "Public", Kind: RolePublic,
					Privileges: []string{"p:public"}}, r)
			}
		}
		key, err := s.Read().Credentials(t.Context(), "ak_b")
		require.NoError(t, err)
		require.Equal(t, "mem_b", key.MemberID)
		require.False(t, key.Operator)
		require.Equal(t, "mem_b", key.Principal(), "an application key has its member's roles")
		require.Equal(t, []HeldGrant{{"role_b", 0}}, key.Grants)
		_, err = s.Read().Credentials(t.Context(), "sa_none")
		require.ErrorIs(t, err, ErrNotFound)

		must(t, s, func(ctx context.Context, q *Q) error {
			epoch, err := q.RaiseEpoch(ctx, "org_a", "sa_a")
			require.EqualValues(t, 1, epoch)
			require.NoError(t, err)
			pol, err := q.RaisePolicy(ctx, "org_a")
			require.EqualValues(t, 1, pol)
			require.NoError(t, err)
			_, err = q.RaiseEpoch(ctx, "org_b", "sa_a")
			require.ErrorIs(t, err, ErrNotFound, "another organization's client")
			return nil
		})
		c, err = s.Read().Credentials(t.Context(), "sa_a")
		require.NoError(t, err)
		require.Equal(t, []int64{1, 1}, []int64{c.Epoch, c.Policy})
		held, err := s.Read().HeldRoles(t.Context(), "org_a", "mem_a")
		require.NoError(t, err)
		require.Len(t, held, 2)
		held, err = s.Read().HeldRoles(t.Context(), "org_b", "mem_a")
		require.NoError(t, err)
		require.Len(t, held, 1, "only Public of the organization that was asked for")
	})
}

// Several clients are read at once, each whole, however many credentials and
// grants the others have.
func TestCredentialsOfSeveralClients(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		must(t, s, func(ctx context.Context, q *Q) error {
			for i := range 5 {
				role := fmt.Sprint("role_more_", i)
				if err := q.InsertRole(ctx, RoleRow{ID: role, OrgID: "org_b", Kind: RoleCustom, Name: role,
					CreatedAt: moment0}, nil); err != nil {
					return err
				}
				if err := q.PutGrant(ctx, GrantRow{OrgID: "org_b", PrincipalID: "sa_b", RoleID: role,
					GrantedAt: moment0}); err != nil {
					return err
				}
			}
			return nil
		})
		for _, ids := range [][]string{{"sa_b"}, {"sa_a", "sa_b"}, {"ak_b", "sa_b", "sa_none", "sa_a", "ak_"}} {
			found, err := s.Read().CredentialsOfClients(t.Context(), ids)
			require.NoError(t, err)
			for _, id := range ids {
				alone, err := s.Read().Credentials(t.Context(), id)
				if err != nil {
					require.ErrorIs(t, err, ErrNotFound)
					require.Nil(t, found[id])
					continue
				}
				require.Equal(t, alone, found[id])
			}
			require.Len(t, found["sa_b"].Grants, 6)
			require.Len(t, found["sa_b"].Secrets, 2)
		}
	})
}

// The roles of an organization come with its pol at that moment, Public always,
// and Administrator with what the catalogue has.
func TestOrganizationRoles(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		must(t, s, func(ctx context.Context, q *Q) error {
			_, err := q.RaisePolicy(ctx, "org_a")
			return errors.Join(err,
				q.ReplaceCatalog(ctx, []svcauth.API{{Audience: "a"}}, []svcauth.Privilege{{Name: "p:one", API: "a"}}),
				q.InsertRole(ctx, RoleRow{ID: "role_all", OrgID: "org_a", Kind: RoleAdministrator, Name: "All",
					CreatedAt: moment0}, nil))
		})
		read := func(org string, ids ...string) (int64, []HeldRole) {
			pol, roles, err := s.Read().OrganizationRoles(t.Context(), org, ids)
			require.NoError(t, err)
			for _, r := range roles {
				slices.Sort(r.Privileges)
			}
			return pol, roles
		}
		public := HeldRole{"role_public_a", "Public", RolePublic, 0, []string{"p:public"}, false}
		pol, roles := read("org_a")
		require.EqualValues(t, 1, pol)
		require.Equal(t, []HeldRole{public}, roles)
		_, roles = read("org_a", "role_b", "role_none")
		require.Equal(t, []HeldRole{public}, roles, "another organization's role is not there")
		_, roles = read("org_a", "role_a", "role_all", "role_public_a")
		require.ElementsMatch(t, []HeldRole{public,
			{"role_a", "Role", RoleCustom, 0, []string{"p:one", "p:two"}, false},
			{"role_all", "All", RoleAdministrator, 0, []string{"p:one"}, false}}, roles)
		_, _, err := s.Read().OrganizationRoles(t.Context(), "org_none", nil)
		require.ErrorIs(t, err, ErrNotFound)
	})
}

// TestConflictsAreToldByTheDriversCodes, not by the text of a message, which
// depends on the server's language.
func TestConflictsAreToldByTheDriversCodes(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		for name, c := range map[string]struct {
			want error
			do   func(context.Context, *Q) error
		}{
			"a name that is taken, in other case": {ErrConflict, func(ctx context.Context, q *Q) error {
				return q.InsertClient(ctx, ClientRow{ID: "sa_x", OrgID: "org_a", Kind: ClientServiceAccount,
					Name: " ci "})
			}},
			"the name in another organization": {nil, func(ctx context.Context, q *Q) error {
				return q.InsertRole(ctx, RoleRow{ID: "role_x", OrgID: "org_b", Kind: RoleCustom, Name: "X"}, nil)
			}},
			"an id twice": {ErrConflict, func(ctx context.Context, q *Q) error {
				return q.InsertCredential(ctx, CredentialRow{ID: "sec_1a", ClientID: "sa_a", OrgID: "org_a"})
			}},
			"an organization's name": {ErrConflict, func(ctx context.Context, q *Q) error {
				return q.InsertOrganization(ctx, svcauth.Organization{ID: "org_x", Name: "a"})
			}},
			"a member's address": {ErrConflict, func(ctx context.Context, q *Q) error {
				return q.InsertMember(ctx, MemberRow{ID: "mem_x", OrgID: "org_a", Email: "m@example.com"})
			}},
			"a role that does not exist": {ErrReferenced, func(ctx context.Context, q *Q) error {
				return q.PutGrant(ctx, GrantRow{OrgID: "org_a", PrincipalID: "sa_a", RoleID: "role_none"})
			}},
			"a client that does not exist": {ErrReferenced, func(ctx context.Context, q *Q) error {
				return q.InsertCredential(ctx, CredentialRow{ID: "sec_x", ClientID: "sa_none", OrgID: "org_a"})
			}},
			"a version that has passed": {ErrStale, func(ctx context.Context, q *Q) error {
				return q.UpdateRole(ctx, RoleRow{ID: "role_a", OrgID: "org_a", Name: "N", Version: 7}, nil)
			}},
			"another organization's role": {ErrNotFound,
				func(ctx context.Context, q *Q) error { return q.DeleteRole(ctx, "org_b", "role_a") }},
			"another organization's grant": {ErrNotFound,
				func(ctx context.Context, q *Q) error { return q.DeleteGrant(ctx, "org_b", "sa_a", "role_a") }},
		} {
			err := s.Write(t.Context(), func(q *Q) error { return c.do(t.Context(), q) })
			if c.want == nil {
				require.NoError(t, err, name)
				continue
			}
			require.ErrorIs(t, err, c.want, name)
			for _, other := range []error{ErrConflict, ErrReferenced, ErrStale, ErrNotFound, ErrUnavailable,
				ErrUncertain} {
				require.Equal(t, other == c.want, strings.Contains(fmt.Sprint(err), other.Error()), "%s: %v", name, err)
			}
			require.NotContains(t, err.Error(), "m@example.com", "values stay out of messages")
		}
		// A failed transaction left nothing behind, and the store goes on.
		_, err := s.Read().Credentials(t.Context(), "sa_x")
		require.ErrorIs(t, err, ErrNotFound)
	})
}

// On PostgreSQL a hash leads from a client to its credentials and grants, and to
// what notes of their use write.
func TestAHashLeadsFromAClientToWhatItHas(t *testing.T) {
	s := open(t, withSchema.Postgres(t))
	filled(t, s)
	require.NoError(t, s.WriteAside(t.Context(), func(q *Q) error {
		_, err := q.exec(t.Context(), `SET LOCAL enable_seqscan = off`) // which small tables are best read by
		require.NoError(t, err)
		plan := func(text string, args []any) string {
			lines, err := many(t.Context(), q, scanText, `EXPLAIN `+text, args...)
			require.NoError(t, err)
			return strings.Join(lines, "\n")
		}
		read := plan(q.credentialsQuery([]string{"sa_a", "sa_b"}))
		require.Contains(t, read, "credential_client_hash")
		require.Contains(t, read, "role_grant_principal")
		require.Contains(t, plan(s.useQuery("credential", "client_id", []string{"sec_1a"},
			map[string]Use{"sec_1a": {"sa_a", apart}})), "credential_client_hash")
		return nil
	}))
}

// A stranger learns nothing by the time that a guess takes: the database reads
// as much for an id that nobody has.
func TestAnUnknownClientIsAsMuchWorkAsAKnownOne(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		rows := func(id string) (n int) {
			found := map[string]*Credentials{}
			text, args := s.Read().credentialsQuery([]string{id})
			_, err := many(t.Context(), s.Read(), func(r row) (int, error) { n++; return n, scanCredentials(r, found) },
				text, args...)
			require.NoError(t, err)
			return n
		}
		require.Zero(t, rows("sa_none"), "there is no client at all")
		filled(t, s)
		for _, known := range []string{"ak_a", "ak_b"} {
			require.Equal(t, 1, rows(known), known)
		}
		require.Equal(t, 1, rows("ak_b_none"))
		require.Equal(t, 2, rows("sa_none"), "as many secrets as the one before it")
		require.Equal(t, 1, rows("ak_"), "before the first")
		must(t, s, func(ctx context.Context, q *Q) error { return q.RemoveOrganization(ctx, "org_a") })
		require.Equal(t, 1, rows("ak_a"))
		require.Equal(t, 1, rows("ak_a_none"))
		for _, unknown := range []string{"ak_a", "ak_a_none", "sa_none"} {
			_, err := s.Read().Credentials(t.Context(), unknown)
			require.ErrorIs(t, err, ErrNotFound)
		}
	})
}

func TestDeletionTakesWhatHangsOnIt(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		must(t, s, func(ctx context.Context, q *Q) error { return q.DeleteRole(ctx, "org_a", "role_a") })
		c, err := s.Read().Credentials(t.Context(), "sa_a")
		require.NoError(t, err)
		roles, err := s.Read().HeldRoles(t.Context(), "org_a", c.Principal())
		require.NoError(t, err)
		require.Len(t, roles, 1)
		must(t, s, func(ctx context.Context, q *Q) error { return q.RemoveOrganization(ctx, "org_a") })
		deleteRemoved(t, s)
		for _, id := range []string{"sa_a", "ak_a"} {
			_, err = s.Read().Credentials(t.Context(), id)
			require.ErrorIs(t, err, ErrNotFound)
		}
		c, err = s.Read().Credentials(t.Context(), "sa_b")
		require.NoError(t, err)
		require.Len(t, c.Secrets, 2, "the other organization is whole")
		for _, table := range []string{"credential", "role", "role_grant", "member", "client"} {
			var n int
			require.NoError(t, s.read.QueryRowContext(t.Context(),
				`SELECT COUNT(*) FROM `+table+` WHERE org_id = 'org_a'`).Scan(&n))
			require.Zero(t, n, table)
		}
	})
}

func TestCatalogKeepsItsOrder(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		apis := []svcauth.API{{Audience: "https://z", Name: "Z"}, {Audience: "https://a", Name: "A", Description: "d"}}
		privileges := []svcauth.Privilege{{Name: "z:z", API: "https://z", Title: "t"},
			{Name: "a:a", API: "https://a"}, {Name: "m:m", API: "https://z"}}
		for range 2 {
			must(t, s, func(ctx context.Context, q *Q) error { return q.ReplaceCatalog(ctx, apis, privileges) })
			gotAPIs, err := s.Read().APIs(t.Context())
			require.NoError(t, err)
			got, err := s.Read().Privileges(t.Context())
			require.NoError(t, err)
			require.Equal(t, apis, gotAPIs)
			require.Equal(t, privileges, got)
			apis, privileges = apis[:1], privileges[:1]
		}
	})
}

// TestAProfileOfANewerReleaseStopsItsOwnAPIOnly, and not a start, which writes
// the catalogue anew.
func TestAProfileOfANewerReleaseStopsItsOwnAPIOnly(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		must(t, s, func(ctx context.Context, q *Q) error {
			err := q.ReplaceCatalog(ctx, []svcauth.API{{Audience: "a"}, {Audience: "b"}, {Audience: "c"}}, nil)
			return errors.Join(err, second(q.exec(ctx, `UPDATE api SET profile = $1 WHERE audience = 'b'`,
				`{"typ": ["JWT"], "scope_claim": "scp"}`)), second(q.exec(ctx,
				`UPDATE api SET profile = $1 WHERE audience = 'c'`, `{"typ": "JWT", "roles_claim": "groups"}`)))
		})
		apis, err := s.Read().APIs(t.Context())
		require.NoError(t, err)
		require.Equal(t, []svcauth.API{{Audience: "a"},
			{Audience: "b", Profile: &svcauth.Profile{SigningAlgorithm: Unreadable}},
			{Audience: "c", Profile: &svcauth.Profile{SigningAlgorithm: Unreadable}}}, apis)
	})
}

func second(_ int64, err error) error { return err }

func TestSigningKeyStatesAreGuarded(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		key := func(kid, state string) SigningKeyRow {
			return SigningKeyRow{SigningKey: svcauth.SigningKey{KID: kid, Algorithm: "ES256", State: state,
				CreatedAt: moment0}, PublicDER: []byte{1}, Sealed: []byte{2}}
		}
		must(t, s, func(ctx context.Context, q *Q) error {
			require.NoError(t, q.InsertSigningKey(ctx, key("a", svcauth.KeyActive)))
			next := key("n", svcauth.KeyNext)
			next.CreatedAt = moment0.Add(time.Millisecond)
			return q.InsertSigningKey(ctx, next)
		})
		for want, do := range map[error]func(context.Context, *Q) error{
			ErrConflict: func(ctx context.Context,
				q *Q) error {
				return q.InsertSigningKey(ctx, key("a", svcauth.KeyNext))
			},
			ErrStale:    func(ctx context.Context, q *Q) error { return q.ActivateSigningKey(ctx, "a", moment0) },
			ErrNotFound: func(ctx context.Context, q *Q) error { return q.DeleteSigningKey(ctx, "x") },
		} {
			require.ErrorIs(t, s.Write(t.Context(), func(q *Q) error { return do(t.Context(), q) }), want)
		}
		require.ErrorIs(t, s.Write(t.Context(), func(q *Q) error {
			return q.RetireSigningKey(t.Context(), "n",
				moment0, moment0)
		}), ErrStale)
		require.ErrorIs(t, s.Write(t.Context(), func(q *Q) error {
			return q.ResealDataKey(t.Context(), "x",
				[]byte{1})
		}), ErrNotFound)
		later := moment0.Add(time.Hour)
		must(t, s, func(ctx context.Context, q *Q) error {
			require.NoError(t, q.RetireSigningKey(ctx, "a", moment0, later))
			return q.ActivateSigningKey(ctx, "n", moment0)
		})
		all, err := s.Read().SigningKeys(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{svcauth.KeyActive, svcauth.KeyRetired}, []string{all[0].State, all[1].State})
		require.Equal(t, &later, all[1].DeleteAfter)
		require.Equal(t, &moment0, all[1].RetiredAt)
	})
}
