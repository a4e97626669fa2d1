package store

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func addRevocation(t *testing.T, s *Store, orgID string, r svcauth.Revocation) (wider Wider) {
	t.Helper()
	must(t, s, func(ctx context.Context, q *Q) (err error) {
		wider, err = q.AddRevocation(ctx, moment0, orgID, r)
		return err
	})
	return wider
}

func live(t *testing.T, s *Store, orgID string) (all []svcauth.Revocation) {
	t.Helper()
	last, err := s.Read().LastChange(t.Context())
	require.NoError(t, err)
	rows, err := s.Read().LiveRevocations(t.Context(), 0, last, 100_000)
	require.NoError(t, err)
	for _, row := range rows {
		var r svcauth.Revocation
		require.NoError(t, json.Unmarshal([]byte(row.Payload), &r))
		if row.OrgID == orgID {
			all = append(all, r)
		}
	}
	return all
}

func token(client, prefix string, i int) svcauth.Revocation {
	return svcauth.Revocation{ClientID: client, JTI: fmt.Sprint(prefix, i), Exp: moment0.Add(time.Hour).Unix()}
}

func TestRevocationsOfOneClientAreBounded(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		addRevocation(t, s, "org_a", svcauth.Revocation{ClientID: "ak_a", JTI: "another client's",
			Exp: moment0.Add(time.Hour).Unix()})
		addRevocation(t, s, "org_b", token("sa_b", "another organization's", 0))
		must(t, s, func(ctx context.Context, q *Q) error {
			for i := range MaxClientRevocations - 1 {
				wider, err := q.AddRevocation(ctx, moment0, "org_a", token("sa_a", "t", i))
				require.Equal(t, WiderNot, wider)
				if err != nil {
					return err
				}
			}
			return nil
		})
		require.Equal(t, WiderNot, addRevocation(t, s, "org_a", svcauth.Revocation{ClientID: "sa_a", Cred: "sec_2a"}))
		require.Len(t, live(t, s, "org_a"), MaxClientRevocations+1)

		head, err := s.Read().LastChange(t.Context())
		require.NoError(t, err)
		must(t, s, func(ctx context.Context, q *Q) error { // the next ones, of one transaction
			for i, want := range []Wider{WiderClient, WiderNot, WiderNot} {
				wider, err := q.AddRevocation(ctx, moment0, "org_a", token("sa_a", "u", i))
				require.NoError(t, err)
				require.Equal(t, want, wider, i)
			}
			return nil
		})
		left := live(t, s, "org_a")
		require.Len(t, left, 2)
		require.Equal(t, "another client's", left[0].JTI)
		require.Equal(t, svcauth.Revocation{ClientID: "sa_a", OrgID: "org_a", MinEpoch: 1, Epoch: 1,
			Exp: left[1].Exp}, left[1])
		require.Len(t, live(t, s, "org_b"), 1)
		credentials, err := s.Read().Credentials(t.Context(), "sa_a")
		require.NoError(t, err)
		require.EqualValues(t, 1, credentials.Epoch, "what it is issued now is live")
		changes, err := s.Read().Changes(t.Context(), head, 10)
		require.NoError(t, err)
		require.True(t, containsChange(changes, ChangeClient, "sa_a"), "every node reads the client afresh")
		require.Equal(t, WiderNot, addRevocation(t, s, "org_a",
			svcauth.Revocation{ClientID: "sa_a", JTI: "younger", Epoch: 1, Exp: 9e9}))
		require.Len(t, live(t, s, "org_a"), 3)
	})
}

func containsChange(all []Change, kind, subject string) bool {
	for _, c := range all {
		if c.Kind == kind && c.Subject == subject {
			return true
		}
	}
	return false
}

// Of equal rules the newest stays, and one that denies more takes the place of
// what it covers.
func TestARevocationReplacesWhatItCovers(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		policy := func(role, privilege string, pol int64) svcauth.Revocation {
			return svcauth.Revocation{OrgID: "org_a", Role: role, Privilege: privilege, MinPol: pol}
		}
		for i := range int64(3) {
			addRevocation(t, s, "org_a", policy("R", "p:one", 1+2*i))
			addRevocation(t, s, "org_a", policy("R", "p:two", 2+2*i))
		}
		require.Len(t, live(t, s, "org_a"), 2)
		addRevocation(t, s, "org_a", policy("Other", "", 7))
		addRevocation(t, s, "org_a", policy("R", "", 8))
		require.Len(t, live(t, s, "org_a"), 2)
		for i := range int64(3) {
			addRevocation(t, s, "org_a", svcauth.Revocation{ClientID: "sa_a", Role: "R", MinEpoch: i + 1})
		}
		addRevocation(t, s, "org_a", token("sa_a", "t", 0))
		require.Len(t, live(t, s, "org_a"), 4)
		addRevocation(t, s, "org_a", svcauth.Revocation{ClientID: "sa_a", MinEpoch: 4})
		require.Len(t, live(t, s, "org_a"), 3)
		addRevocation(t, s, "org_a", svcauth.Revocation{OrgID: "org_a", MinPol: 9})
		require.Len(t, live(t, s, "org_a"), 1)
	})
}

func TestRevocationsOfOneOrganizationAreBounded(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		addRevocation(t, s, "org_b", token("sa_b", "t", 0))
		must(t, s, func(ctx context.Context, q *Q) error {
			for i := range MaxPolicyRevocations {
				pol, err := q.RaisePolicy(ctx, "org_a")
				require.NoError(t, err)
				wider, err := q.AddRevocation(ctx, moment0, "org_a",
					svcauth.Revocation{OrgID: "org_a", Role: fmt.Sprint("name", i), MinPol: pol})
				require.NoError(t, err)
				require.Equal(t, WiderNot, wider, i)
			}
			return nil
		})
		require.Equal(t, WiderOrganization, addRevocation(t, s, "org_a",
			svcauth.Revocation{OrgID: "org_a", Role: "one more", MinPol: 1000}))
		left := live(t, s, "org_a")
		require.Len(t, left, 1)
		require.Equal(t, svcauth.Revocation{OrgID: "org_a", MinPol: MaxPolicyRevocations + 1, Exp: left[0].Exp},
			left[0])

		// Entries about clients, each within its own bound, count too.
		_, err := s.write.ExecContext(t.Context(),
			`INSERT INTO change (seq, org_id, kind, subject, payload, expires_at_ms, at_ms)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			SELECT i + 1000000, 'org_a', 'revocation', 'client', '{}', $2, 0 FROM n`, MaxOrgRevocations-2,
			moment0.Add(time.Hour).UnixMilli())
		require.NoError(t, err)
		_, err = s.write.ExecContext(t.Context(), `UPDATE change_counter SET seq = 2000000`)
		require.NoError(t, err)
		require.Equal(t, WiderNot, addRevocation(t, s, "org_a", token("sa_a", "t", 0)))
		require.Equal(t, WiderOrganization, addRevocation(t, s, "org_a", token("sa_a", "t", 1)))
		require.Len(t, live(t, s, "org_a"), 1)
		require.Len(t, live(t, s, "org_b"), 1)
	})
}

// A transaction that was rolled back, and entries of other nodes, don't make
// the count wrong: it is done again where the log could have come to the bound.
func TestTheBoundHoldsAcrossNodesAndRollbacks(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		other := s
		if s.Postgres() {
			other = open(t, s.cfg.URL)
		}
		failed := fmt.Errorf("rolled back on purpose")
		for i := 0; i < MaxClientRevocations; {
			for _, node := range []*Store{s, other} {
				_ = node.Write(t.Context(), func(q *Q) error {
					for k := range 20 {
						_, err := q.AddRevocation(t.Context(), moment0, "org_a", token("sa_a", "rolled back", k))
						require.NoError(t, err)
					}
					return failed
				})
				require.NoError(t, node.Write(t.Context(), func(q *Q) error {
					for range 20 {
						wider, err := q.AddRevocation(t.Context(), moment0, "org_a", token("sa_a", "t", i))
						require.NoError(t, err)
						require.Equal(t, WiderNot, wider, i)
						i++
					}
					return nil
				}))
			}
		}
		require.Len(t, live(t, s, "org_a"), MaxClientRevocations)
		require.Equal(t, WiderClient, addRevocation(t, other, "org_a", token("sa_a", "t", -1)))
	})
}

// Whoever wrote it and whatever it names, an entry is kept for as long as a
// token that it denies may be taken for live by somebody whose clock differs.
func TestARevocationOutlivesItsTokensByTheDifferenceOfClocks(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		for _, r := range []svcauth.Revocation{token("sa_a", "t", 0), {ClientID: "sa_a", Cred: "sec_2a"},
			{ClientID: "sa_a", MinEpoch: 1},
			{OrgID: "org_a", Role: "R", MinPol: 1}, {OrgID: "org_a", MinPol: 1}} {
			addRevocation(t, s, "org_a", r)
			last, err := s.Read().LastChange(t.Context())
			require.NoError(t, err)
			rows, err := s.Read().LiveRevocations(t.Context(), last-1, last, 1)
			require.NoError(t, err)
			ends := moment0.Add(26 * time.Hour)
			if r.Exp != 0 {
				ends = moment0.Add(time.Hour)
			}
			require.Equal(t, ends.Truncate(time.Second).Add(time.Hour+5*time.Minute),
				rows[0].ExpiresAt.Truncate(time.Second))
		}
	})
}

// What spares tokens that are bound takes the place of what spares more of
// them, and never of what spares fewer, however much older that is.
func TestARevocationThatSparesTokensHidesNoStrongerOne(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		for _, of := range []func(unless string, least int64) svcauth.Revocation{
			func(unless string, least int64) svcauth.Revocation {
				return svcauth.Revocation{ClientID: "sa_a", MinEpoch: least, UnlessBound: unless}
			},
			func(unless string, least int64) svcauth.Revocation {
				return svcauth.Revocation{OrgID: "org_a", Role: "R", MinPol: least, UnlessBound: unless}
			},
		} {
			least := int64(0)
			add := func(unless string) {
				least++
				addRevocation(t, s, "org_a", of(unless, least))
			}
			left := func() (unless []string) {
				for _, r := range live(t, s, "org_a") {
					unless = append(unless, r.UnlessBound)
				}
				return unless
			}
			add("")
			for _, step := range []struct {
				unless string
				left   []string
			}{
				{"any", []string{"", "any"}},
				{"any", []string{"", "any"}},
				{"dpop", []string{"", "dpop"}},
				{"mtls", []string{"", "dpop", "mtls"}},
				{"any", []string{"", "dpop", "mtls", "any"}},
				{"dpop", []string{"", "mtls", "dpop"}},
				{"of a later release", []string{"of a later release"}}, // spares none
				{"mtls", []string{"of a later release", "mtls"}},
				{"", []string{""}},
			} {
				add(step.unless)
				require.Equal(t, step.left, left())
			}
			add("dpop")
			addRevocation(t, s, "org_a", svcauth.Revocation{OrgID: "org_a", Role: "R", Privilege: "p:q", MinPol: 99})
			addRevocation(t, s, "org_a", token("sa_a", "t", int(least)))
			require.Equal(t, []string{"", "dpop", "", ""}, left())
			addRevocation(t, s, "org_a", svcauth.Revocation{OrgID: "org_a", MinPol: 100})
			require.Len(t, left(), 1)
			must(t, s, func(ctx context.Context, q *Q) error {
				_, err := q.exec(ctx, `DELETE FROM change WHERE kind = 'revocation'`)
				return err
			})
		}
	})
}
