package bench_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// organization is a database with one organization in it and many service
// accounts that all hold one role.
type organization struct {
	store        *store.Store
	service      *access.Service
	admin        context.Context
	org          string
	accounts     []string
	secrets      []svcauth.Secret // of the accounts, in their order
	hash         func(svcauth.Secret) string
	middle       string // a cursor
	role, second string
}

func (o *organization) list(options svcauth.ListOptions) error {
	list, err := o.service.ServiceAccounts(o.admin, options)
	if err == nil && len(list.Items) == 0 {
		err = fmt.Errorf("an empty page for %+v", options)
	}
	return err
}

const scaleIssuer = "http://localhost:8080"

var scaleMaster = []byte("0123456789abcdef0123456789abcdef")

func (o *organization) open(b *testing.B, url string) {
	var err error
	o.store, err = store.Open(store.Config{URL: url})
	require.NoError(b, err)
	b.Cleanup(func() { _ = o.store.Close() })
	_, err = o.store.Migrate(b.Context())
	require.NoError(b, err)
}

// serve puts the rules on the database.
func (o *organization) serve(b *testing.B) {
	keys, err := keyring.New(keyring.Config{Store: o.store, MasterKey: scaleMaster, Algorithm: "ES256",
		RotateEvery: 24 * time.Hour, PublishBefore: time.Hour})
	require.NoError(b, err)
	require.NoError(b, keys.Load(b.Context()))
	o.hash = keys.HashSecret
	memory, err := cache.New(cache.Config{})
	require.NoError(b, err)
	o.service = access.New(access.Config{Store: o.store, Keyring: keys, Cache: memory, Issuer: scaleIssuer,
		DefaultTokenTTL: time.Hour})
}

// base is a small database as the rules make it, written out.
type base struct {
	*organization
	actor  access.Actor
	tables []string
	rows   map[string][]store.DumpedRow
}

func newBase(b *testing.B) base {
	b.Helper()
	small := new(organization)
	small.open(b, "sqlite://"+filepath.Join(b.TempDir(), "small.db"))
	small.serve(b)
	example, err := config.LoadCatalog("", scaleIssuer)
	require.NoError(b, err)
	_, err = small.service.ApplyCatalog(b.Context(), example.APIs, example.Privileges, false)
	require.NoError(b, err)
	members := people.New(people.Config{Access: small.service, Store: small.store, Issuer: scaleIssuer})
	tenant, err := members.Bootstrap(b.Context(), people.NewTenant{AdminEmail: "admin@example.com"})
	require.NoError(b, err)
	catalogue, err := small.store.Read().Privileges(b.Context())
	require.NoError(b, err)
	admin := access.Actor{ID: tenant.AdminID, Kind: svcauth.KindMember, Name: tenant.AdminEmail,
		OrgID: tenant.Organization.ID, Operator: true,
		Privileges: access.RoleGives(store.RoleAdministrator, nil, catalogue, true)}

	o := &organization{admin: access.WithActor(b.Context(), admin), org: tenant.Organization.ID, hash: small.hash}
	made := base{organization: o, actor: admin, rows: map[string][]store.DumpedRow{}}
	held, err := small.service.CreateRole(access.WithActor(b.Context(), admin),
		svcauth.NewRole{Name: "Held by all", Privileges: []string{"clusters:view"}})
	require.NoError(b, err)
	second, err := small.service.CreateRole(access.WithActor(b.Context(), admin),
		svcauth.NewRole{Name: "Second", Privileges: []string{"clusters:edit"}})
	require.NoError(b, err)
	o.role, o.second = held.ID, second.ID

	require.NoError(b, small.store.Dump(b.Context(), func(r store.DumpedRow) error {
		if made.rows[r.Table] == nil {
			made.tables = append(made.tables, r.Table)
		}
		made.rows[r.Table] = append(made.rows[r.Table], r)
		return nil
	}))
	return made
}

// seeded fills a database with a small one and with accounts, each with a
// secret, a role and the event of its creation.
func seeded(b *testing.B, url string, accounts int) *organization {
	b.Helper()
	o := newBase(b)
	at := time.Now().Add(-time.Duration(accounts) * time.Millisecond)
	for i := range accounts {
		o.accounts = append(o.accounts,
			typeid.New(svcauth.PrefixServiceAccount, at.Add(time.Duration(i)*time.Millisecond)))
	}
	o.open(b, url)
	o.fill(b, accounts, func(table string, n int) map[string]any { return o.row(o.actor, table, n) })
	o.serve(b)

	page, err := o.service.ServiceAccounts(o.admin, svcauth.ListOptions{Limit: 1})
	require.NoError(b, err)
	require.Equal(b, o.accounts[accounts-1], page.Items[0].ID)
	o.middle = base64.RawURLEncoding.EncodeToString([]byte(o.accounts[accounts/2]))
	return o.organization
}

// fill writes the rows, and after those of a table up to count more of it. row
// returns the columns of the nth by their names, or nil if the table gets none.
func (o *base) fill(b *testing.B, count int, row func(table string, n int) map[string]any) {
	b.Helper()
	table, i := 0, 0
	next := func() (store.DumpedRow, bool, error) {
		for table < len(o.tables) {
			name := o.tables[table]
			rows := o.rows[name]
			switch {
			case i < len(rows):
				i++
				return rows[i-1], true, nil
			case i < len(rows)+count:
				if values := row(name, i-len(rows)); values != nil {
					one := store.DumpedRow{Table: name, Columns: rows[0].Columns}
					for at, column := range one.Columns {
						value, ok := values[column]
						if !ok {
							value = usual(rows, at)
						}
						one.Values = append(one.Values, value)
					}
					i++
					return one, true, nil
				}
			}
			table, i = table+1, 0
		}
		return store.DumpedRow{}, false, nil
	}
	require.NoError(b, o.store.Fill(context.WithoutCancel(b.Context()), next, func(*store.Q) error { return nil }))
}

// usual is what a column has that does not matter here: nothing if it may have
// nothing.
func usual(rows []store.DumpedRow, column int) (value any) {
	for _, r := range rows {
		if value = r.Values[column]; value == nil {
			break
		}
	}
	return value
}

// row is what the nth account has in a table: its columns by name, but for
// those that do not matter; nil: nothing.
func (o *organization) row(admin access.Actor, table string, n int) map[string]any {
	id, at := o.accounts[n], time.Now().UnixMilli()
	name := fmt.Sprintf("Account-%09d", n)
	switch table {
	case "client":
		return map[string]any{"id": id, "org_id": admin.OrgID, "kind": store.ClientServiceAccount, "name": name,
			"member_id": nil,
			"name_key":  store.NameKey(name), "description": "seeded",
			"disabled": false, "ttl_s": int64(0), "epoch": int64(0), "created_at_ms": at, "created_by_id": admin.ID,
			"created_by_name": admin.Name, "version": int64(1)}
	case "credential":
		secret := svcauth.NewSecret()
		o.secrets = append(o.secrets, secret)
		return map[string]any{"id": svcauth.NewID(svcauth.PrefixSecret), "client_id": id, "org_id": admin.OrgID,
			"kind": store.CredentialSecret, "material": o.hash(secret), "created_by_id": admin.ID,
			"created_by_name": admin.Name,
			"hint":            "abcd", "description": "", "created_at_ms": at, "expires_at_ms": nil,
			"last_used_ms": nil}
	case "role_grant":
		return map[string]any{"id": svcauth.NewID(svcauth.PrefixGrant), "principal_id": id, "role_id": o.role,
			"org_id": admin.OrgID, "granted_at_ms": at, "expires_at_ms": nil}
	case "audit_event":
		return map[string]any{"id": svcauth.NewID(svcauth.PrefixEvent), "org_id": admin.OrgID, "at_ms": at,
			"actor_id": admin.ID, "actor_kind": admin.Kind,
			"actor_name": admin.Name, "actor_client": "", "action": "service_account.create", "target_id": id,
			"target_kind": "service_account",
			"target_name": name, "outcome": svcauth.OutcomeDone, "reason": "", "before_json": "", "after_json": "{}",
			"ip": "192.0.2.1", "request_id": "", "count": 1, "seq": int64(1000 + n)}
	}
	return nil
}
