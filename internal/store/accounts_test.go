package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// onBoth runs a test on SQLite and on PostgreSQL, each with two organizations.
func onBoth(t *testing.T, test func(*testing.T, *tables)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			copied := schema.SQLite
			if kind == "postgres" {
				copied = schema.Postgres
			}
			s, err := store.Open(store.Config{URL: copied(t), Patience: schema.Patience})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			o := &tables{T: t, Store: s, now: time.UnixMilli(1_900_000_000_000).UTC()}
			o.org, o.other = o.organization("one"), o.organization("two")
			test(t, o)
		})
	}
}

// tables is a database with something in it.
type tables struct {
	*testing.T
	*store.Store
	org, other string
	now        time.Time
}

func (o *tables) write(do func(context.Context, *store.Q) error) error {
	return o.Write(o.Context(), func(q *store.Q) error { return do(o.Context(), q) })
}

func (o *tables) organization(name string) string {
	id := typeid.New(svcauth.PrefixOrganization, o.now)
	require.NoError(o, o.write(func(ctx context.Context, q *store.Q) error {
		return q.InsertOrganization(ctx, svcauth.Organization{ID: id, Name: name, CreatedAt: o.now,
			Operator: name == "one"})
	}))
	return id
}

func (o *tables) account(org, name string) string {
	o.now = o.now.Add(time.Millisecond)
	id := typeid.New(svcauth.PrefixServiceAccount, o.now)
	require.NoError(o, o.write(func(ctx context.Context, q *store.Q) error {
		return q.InsertClient(ctx, store.ClientRow{ID: id, OrgID: org, Kind: store.ClientServiceAccount, Name: name,
			CreatedAt: o.now, CreatedByID: "mem_x", CreatedByName: "x@example.com"})
	}))
	return id
}

func (o *tables) secret(org, client string, expires *time.Time) string {
	o.now = o.now.Add(time.Millisecond)
	id := typeid.New(svcauth.PrefixSecret, o.now)
	require.NoError(o, o.write(func(ctx context.Context, q *store.Q) error {
		return q.InsertCredential(ctx, store.CredentialRow{ID: id, ClientID: client, OrgID: org,
			Kind: store.CredentialSecret, Material: "hash of " + id, Hint: "abcd",
			CreatedAt: o.now, ExpiresAt: expires})
	}))
	return id
}

func (o *tables) role(org, name string, privileges ...string) string {
	id := typeid.New(svcauth.PrefixRole, o.now)
	require.NoError(o, o.write(func(ctx context.Context, q *store.Q) error {
		return q.InsertRole(ctx, store.RoleRow{ID: id, OrgID: org, Kind: store.RoleCustom, Name: name,
			CreatedAt: o.now}, privileges)
	}))
	return id
}

func TestServiceAccountRows(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		id := o.account(o.org, "ci")
		o.account(o.org, "taken")
		a, err := o.Read().ServiceAccount(t.Context(), o.org, id)
		require.NoError(t, err)
		require.Equal(t, svcauth.Creator{ID: "mem_x", Email: "x@example.com"}, a.CreatedBy)
		_, err = o.Read().ServiceAccount(t.Context(), o.other, id)
		require.ErrorIs(t, err, store.ErrNotFound)

		a.Name, a.Disabled, a.TokenTTLSeconds = "build", true, 90
		update := func(org string, a svcauth.ServiceAccount) error {
			return o.write(func(ctx context.Context, q *store.Q) error { return q.UpdateServiceAccount(ctx, org, a) })
		}
		require.ErrorIs(t, update(o.other, a), store.ErrStale)
		require.NoError(t, update(o.org, a))
		require.ErrorIs(t, update(o.org, a), store.ErrStale, "the version has gone up")
		a.Version++
		got, err := o.Read().ServiceAccount(t.Context(), o.org, id)
		require.NoError(t, err)
		require.Equal(t, a, got)
		a.Name = "TAKEN"
		require.ErrorIs(t, update(o.org, a), store.ErrConflict)

		secret := o.secret(o.org, id, nil)
		remove := func(org string) error {
			return o.write(func(ctx context.Context, q *store.Q) error { return q.DeleteClient(ctx, org, id) })
		}
		require.ErrorIs(t, remove(o.other), store.ErrNotFound)
		require.NoError(t, remove(o.org))
		_, err = o.Read().Secret(t.Context(), o.org, id, secret)
		require.ErrorIs(t, err, store.ErrNotFound, "its secrets went with it")
	})
}

func TestServiceAccountRowsNamed(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		var want []string
		for i := range 5 {
			want = append([]string{o.account(o.org, fmt.Sprintf("Größe-%d", i))}, want...)
		}
		o.account(o.org, "gros")
		o.account(o.other, "größe-9")
		named := func(prefix, before string, limit int) (ids []string) {
			all, err := o.Read().ServiceAccountsNamed(t.Context(), o.org, prefix, before, limit)
			require.NoError(t, err)
			for _, a := range all {
				ids = append(ids, a.ID)
			}
			return ids
		}
		require.Equal(t, want, named("größe", "", 10))
		require.Equal(t, want[:2], named("größe", "", 2))
		require.Equal(t, want[2:4], named("größe", want[1], 2))
		require.Empty(t, named("größe", want[4], 2))
		for _, none := range []string{"größe_", "%", "größe-%", `\`, "'"} {
			require.Empty(t, named(none, "", 10), none)
		}
		all, err := o.Read().ServiceAccounts(t.Context(), o.org, "", 3)
		require.NoError(t, err)
		require.Len(t, all, 3)
		require.Equal(t, want[0], all[1].ID)
	})
}

// More accounts with a prefix than are sorted: they are looked for among the
// newest, with the same result.
func TestServiceAccountRowsNamedAlike(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		var want []string
		const portion = 501 // of a transaction, whose time is bounded
		for begin := 0; begin < 5010; begin += portion {
			require.NoError(t, o.write(func(ctx context.Context, q *store.Q) error {
				for i := begin; i < begin+portion; i++ {
					o.now = o.now.Add(time.Millisecond)
					id := typeid.New(svcauth.PrefixServiceAccount, o.now)
					want = append([]string{id}, want...)
					row := store.ClientRow{ID: id, OrgID: o.org, Kind: store.ClientServiceAccount,
						Name: fmt.Sprint("many-", i), CreatedAt: o.now}
					if err := q.InsertClient(ctx, row); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		o.account(o.org, "newest")
		for prefix, skip := range map[string]int{"many": 0, "many-100": 0} {
			all, err := o.Read().ServiceAccountsNamed(t.Context(), o.org, prefix, "", 3)
			require.NoError(t, err)
			if prefix == "many" {
				for i, a := range all {
					require.Equal(t, want[skip+i], a.ID)
				}
			}
			require.Len(t, all, 3)
		}
		next, err := o.Read().ServiceAccountsNamed(t.Context(), o.org, "many", want[4], 2)
		require.NoError(t, err)
		require.Equal(t, []string{want[5], want[6]}, []string{next[0].ID, next[1].ID})
	})
}

func TestSecretRows(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		one, two := o.account(o.org, "one"), o.account(o.org, "two")
		expires := o.now.Add(time.Hour)
		first, second, third := o.secret(o.org, one, &expires), o.secret(o.org, one, nil), o.secret(o.org, two, nil)
		q, ctx := o.Read(), t.Context()
		all, err := q.Secrets(ctx, o.org, one)
		require.NoError(t, err)
		require.Equal(t, []string{second, first}, []string{all[0].ID, all[1].ID})
		require.Equal(t, &expires, all[1].ExpiresAt)
		require.Nil(t, all[0].ExpiresAt)
		of, err := q.SecretsOf(ctx, o.org, []string{one, two, "sa_none"})
		require.NoError(t, err)
		require.Len(t, of, 2)
		require.Equal(t, all, of[one])
		require.Equal(t, third, of[two][0].ID)
		for _, none := range [][]string{nil, {}} {
			of, err = q.SecretsOf(ctx, o.org, none)
			require.NoError(t, err)
			require.Empty(t, of)
		}
		of, err = q.SecretsOf(ctx, o.other, []string{one})
		require.NoError(t, err)
		require.Empty(t, of)

		found, err := q.SecretWithMaterial(ctx, o.org, one, "hash of "+first)
		require.NoError(t, err)
		require.Equal(t, first, found.ID)
		_, err = q.SecretWithMaterial(ctx, o.org, two, "hash of "+first)
		require.ErrorIs(t, err, store.ErrNotFound)

		changed := all[1]
		changed.ExpiresAt, changed.Description = nil, "for ever"
		require.ErrorIs(t, o.write(func(ctx context.Context,
			q *store.Q) error {
			return q.UpdateSecret(ctx, o.org, two, changed)
		}), store.ErrNotFound)
		require.ErrorIs(t, o.write(func(ctx context.Context,
			q *store.Q) error {
			return q.UpdateSecret(ctx, o.other, one, changed)
		}), store.ErrNotFound)
		require.NoError(t, o.write(func(ctx context.Context,
			q *store.Q) error {
			return q.UpdateSecret(ctx, o.org, one, changed)
		}))
		got, err := q.Secret(ctx, o.org, one, first)
		require.NoError(t, err)
		require.Equal(t, changed, got)
		require.ErrorIs(t, o.write(func(ctx context.Context,
			q *store.Q) error {
			return q.DeleteCredential(ctx, o.org, two, store.CredentialSecret, first)
		}), store.ErrNotFound)
		require.ErrorIs(t, o.write(func(ctx context.Context,
			q *store.Q) error {
			return q.DeleteCredential(ctx, o.other, one, store.CredentialSecret, first)
		}), store.ErrNotFound)
		require.NoError(t, o.write(func(ctx context.Context,
			q *store.Q) error {
			return q.DeleteCredential(ctx, o.org, one, store.CredentialSecret, first)
		}))
	})
}

func TestApplicationKeyRows(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		member, other := svcauth.NewID(svcauth.PrefixMember), svcauth.NewID(svcauth.PrefixMember)
		var keys []string
		require.NoError(t, o.write(func(ctx context.Context, q *store.Q) error {
			for i, id := range []string{member, other} {
				if err := q.InsertMember(ctx, store.MemberRow{ID: id, OrgID: o.org,
					Email: fmt.Sprint(i, "@example.com"), CreatedAt: o.now}); err != nil {
					return err
				}
				for range 3 {
					o.now = o.now.Add(time.Millisecond)
					key := typeid.New(svcauth.PrefixApplicationKey, o.now)
					keys = append(keys, key)
					if err := q.InsertClient(ctx, store.ClientRow{ID: key, OrgID: o.org,
						Kind: store.ClientApplicationKey, MemberID: &id, CreatedAt: o.now,
						CreatedByID: id}); err != nil {
						return err
					}
				}
			}
			return nil
		}))
		q, ctx := o.Read(), t.Context()
		page, err := q.ApplicationKeys(ctx, o.org, member, "", 2)
		require.NoError(t, err)
		require.Equal(t, []string{keys[2], keys[1]}, []string{page[0].ID, page[1].ID})
		page, err = q.ApplicationKeys(ctx, o.org, member, keys[1], 2)
		require.NoError(t, err)
		require.Len(t, page, 1)
		n, err := q.CountApplicationKeys(ctx, o.org, member)
		require.NoError(t, err)
		require.EqualValues(t, 3, n)
		key, err := q.ApplicationKey(ctx, o.org, keys[0])
		require.NoError(t, err)
		require.Equal(t, member, key.Member.ID)
		_, err = q.ApplicationKey(ctx, o.other, keys[0])
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = q.ServiceAccount(ctx, o.org, keys[0])
		require.ErrorIs(t, err, store.ErrNotFound, "a key is no service account")
		all, err := q.ServiceAccounts(ctx, o.org, "", 10)
		require.NoError(t, err)
		require.Empty(t, all)
	})
}

func TestGrantRows(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		account, role, second := o.account(o.org, "ci"), o.role(o.org, "A", "p:one"), o.role(o.org, "B", "p:two",
			"p:one")
		put := func(role string, expires *time.Time) {
			require.NoError(t, o.write(func(ctx context.Context, q *store.Q) error {
				return q.PutGrant(ctx, store.GrantRow{OrgID: o.org, PrincipalID: account, RoleID: role,
					GrantedAt: o.now, ExpiresAt: expires})
			}))
		}
		expires := o.now.Add(time.Hour)
		put(role, nil)
		o.now = o.now.Add(time.Minute)
		put(second, nil)
		put(role, &expires)
		q, ctx := o.Read(), t.Context()
		g, err := q.Grant(ctx, o.org, account, role)
		require.NoError(t, err)
		require.Equal(t, &expires, g.ExpiresAt)
		require.Equal(t, o.now.Add(-time.Minute), g.GrantedAt, "as it was given first")
		n, err := q.CountGrants(ctx, o.org, account)
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		all, err := q.Grants(ctx, o.org, account)
		require.NoError(t, err)
		require.Equal(t, []string{"B", "A"}, []string{all[0].Name, all[1].Name})
		of, err := q.GrantsOf(ctx, o.org, []string{account, "x", "y"})
		require.NoError(t, err)
		require.Equal(t, map[string][]svcauth.Ref{account: {{ID: role, Name: "A"}, {ID: second, Name: "B"}}}, of)
		of, err = q.GrantsOf(ctx, o.other, []string{account})
		require.NoError(t, err)
		require.Empty(t, of)

		privileges, err := q.RolePrivilegesOf(ctx, []string{role, second, "none"})
		require.NoError(t, err)
		require.Equal(t, map[string][]string{role: {"p:one"}, second: {"p:one", "p:two"}}, privileges)
		third := o.role(o.org, "C")
		require.NoError(t, o.write(func(ctx context.Context, q *store.Q) error {
			return q.PutGrant(ctx, store.GrantRow{OrgID: o.org, PrincipalID: svcauth.NewID(svcauth.PrefixMember),
				RoleID: second, GrantedAt: o.now})
		}))
		holders, err := q.HoldersOf(ctx, []string{role, second, third, "none"})
		require.NoError(t, err)
		require.Equal(t, map[string]store.Holders{role: {ServiceAccounts: 1},
			second: {Members: 1, ServiceAccounts: 1}, third: {}}, holders)
		require.NoError(t, o.write(func(ctx context.Context,
			q *store.Q) error {
			return q.DeleteRole(ctx, o.org, role)
		}))
		n, err = q.CountGrants(ctx, o.org, account)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	})
}
