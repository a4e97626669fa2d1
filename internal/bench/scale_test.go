package bench_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// scaleVariable says how many service accounts PostgreSQL is filled with; without it there are 100,000, as in SQLite.
const scaleVariable = "BENCH_SCALE"

const fewAccounts = 1000

// BenchmarkScale compares what calls cost in an organization of 1,000 service accounts and in a large one, in turn, and prints the ratio of the medians: none
// may be above 3. -benchtime 1x is enough: each call is made 200 times by itself.
//
//	SVCAUTH_TEST_SERVICES=1 BENCH_SCALE=1000000 go test -run '^$' -bench Scale -benchtime 1x -timeout 60m -v ./internal/bench/
func BenchmarkScale(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		compare(b, 100_000, func(b *testing.B) string { return "sqlite://" + filepath.Join(b.TempDir(), "svcauth.db") })
	})
	b.Run("postgresql", func(b *testing.B) {
		many := 100_000
		if text := os.Getenv(scaleVariable); text != "" {
			var err error
			many, err = strconv.Atoi(text)
			require.NoError(b, err)
		}
		compare(b, many, func(b *testing.B) string { return pgtest.URL(b) })
	})
}

func compare(b *testing.B, many int, url func(*testing.B) string) {
	small, large := seeded(b, url(b), fewAccounts), seeded(b, url(b), many)
	for _, call := range scaleCalls {
		b.Run(call.name, func(b *testing.B) {
			for b.Loop() {
				few, lots := medians(b, small, large, call)
				b.ReportMetric(float64(lots)/float64(few), "ratio")
				b.ReportMetric(float64(few.Microseconds()), "µs-at-1000")
				b.ReportMetric(float64(lots.Microseconds()), "µs-at-"+strconv.Itoa(many))
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

func medians(b *testing.B, small, large *organization, call scaleCall) (few, lots time.Duration) {
	const rounds = 200
	var ofSmall, ofLarge []time.Duration
	for i := range rounds + 10 {
		for _, o := range []*organization{small, large} {
			prepared := ""
			if call.prepare != nil {
				prepared = call.prepare(b, o)
			}
			began := time.Now()
			err := call.do(o, prepared)
			took := time.Since(began)
			require.NoError(b, err, call.name)
			if i < 10 { // caches warm up
				continue
			}
			if o == small {
				ofSmall = append(ofSmall, took)
			} else {
				ofLarge = append(ofLarge, took)
			}
		}
	}
	slices.Sort(ofSmall)
	slices.Sort(ofLarge)
	return ofSmall[rounds/2], ofLarge[rounds/2]
}

// scaleCall is a call that is measured. prepare makes what it is about, outside the measured time; nil: an account that is there, anyhow.
type scaleCall struct {
	name    string
	prepare func(*testing.B, *organization) string
	do      func(*organization, string) error
}

func anyAccount(_ *testing.B, o *organization) string {
	return o.accounts[mathrand.IntN(len(o.accounts))]
}

func freshAccount(b *testing.B, o *organization) string {
	made, err := o.service.CreateServiceAccount(o.admin, svcauth.NewServiceAccount{Name: "fresh-" + rand.Text(), RoleIDs: []string{o.role}})
	require.NoError(b, err)
	return made.ID
}

var scaleCalls = []scaleCall{
	{"create", nil, func(o *organization, _ string) error {
		_, err := o.service.CreateServiceAccount(o.admin, svcauth.NewServiceAccount{Name: "new-" + rand.Text(), RoleIDs: []string{o.role}})
		return err
	}},
	{"get", anyAccount, func(o *organization, id string) error {
		_, err := o.service.ServiceAccount(o.admin, id)
		return err
	}},
	{"list first page", nil, func(o *organization, _ string) error { return o.list(svcauth.ListOptions{}) }},
	{"list a page in the middle", nil, func(o *organization, _ string) error { return o.list(svcauth.ListOptions{Cursor: o.middle}) }},
	{"list by a name that few have", nil, func(o *organization, _ string) error { return o.list(svcauth.ListOptions{Name: "Account-00000012"}) }},
	{"list by a name that all have", nil, func(o *organization, _ string) error { return o.list(svcauth.ListOptions{Name: "account-"}) }},
	{"update", anyAccount, func(o *organization, id string) error {
		text := rand.Text()
		_, err := o.service.UpdateServiceAccount(o.admin, id, 0, svcauth.ServiceAccountPatch{Description: &text})
		return err
	}},
	{"grant a role", freshAccount, func(o *organization, id string) error {
		return o.service.AssignServiceAccountRole(o.admin, id, o.second, svcauth.GrantRequest{})
	}},
	{"take a role away", freshAccount, func(o *organization, id string) error {
		return o.service.UnassignServiceAccountRole(o.admin, id, o.role)
	}},
	{"create a secret", freshAccount, func(o *organization, id string) error {
		_, err := o.service.CreateSecret(o.admin, id, svcauth.NewSecretRequest{})
		return err
	}},
	{"delete", freshAccount, func(o *organization, id string) error { return o.service.DeleteServiceAccount(o.admin, id) }},
	{"read a client for its token", anyAccount, func(o *organization, id string) error {
		_, err := o.store.Read().Credentials(o.admin, id)
		return err
	}},
	{"take a privilege off the role that all hold", nil, func(o *organization, _ string) error {
		for _, privileges := range [][]string{{"clusters:view", "clusters:edit"}, {"clusters:view"}} {
			if _, err := o.service.UpdateRole(o.admin, o.role, 0, svcauth.RolePatch{Privileges: &privileges}); err != nil {
				return err
			}
		}
		return nil
	}},
}

// organization is a database with one organization in it and many service accounts that all hold one role.
type organization struct {
	store        *store.Store
	service      *access.Service
	admin        context.Context
	accounts     []string
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
	keys, err := keyring.New(keyring.Config{Store: o.store, MasterKey: scaleMaster, Algorithm: "ES256", RotateEvery: 24 * time.Hour, PublishBefore: time.Hour, MaxTokenLifetime: time.Hour})
	require.NoError(b, err)
	require.NoError(b, keys.Load(b.Context()))
	memory, err := cache.New(cache.Config{})
	require.NoError(b, err)
	o.service = access.New(access.Config{Store: o.store, Keyring: keys, Cache: memory, Issuer: "http://localhost:8080", DefaultTokenTTL: time.Hour})
}

// seeded fills a database: a small one is made by the rules, written out, and written into the large one with the accounts, each with a secret, a role and the event of its
// creation.
func seeded(b *testing.B, url string, accounts int) *organization {
	b.Helper()
	small := new(organization)
	small.open(b, "sqlite://"+filepath.Join(b.TempDir(), "small.db"))
	small.serve(b)
	const api = "https://api.example.com"
	_, err := small.service.ApplyCatalog(b.Context(), []svcauth.API{{Audience: api, Name: "Cloud"}},
		[]svcauth.Privilege{{Name: "clusters:view", API: api}, {Name: "clusters:edit", API: api}}, false)
	require.NoError(b, err)
	tenant, err := small.service.Bootstrap(b.Context(), access.NewTenant{AdminEmail: "admin@example.com"})
	require.NoError(b, err)
	catalogue, err := small.store.Read().Privileges(b.Context())
	require.NoError(b, err)
	admin := access.Actor{ID: tenant.AdminID, Kind: svcauth.KindMember, Name: tenant.AdminEmail, OrgID: tenant.Organization.ID, Operator: true,
		Privileges: access.RoleGives(store.RoleAdministrator, nil, catalogue, true)}

	o := &organization{admin: access.WithActor(b.Context(), admin)}
	held, err := small.service.CreateRole(access.WithActor(b.Context(), admin), svcauth.NewRole{Name: "Held by all", Privileges: []string{"clusters:view"}})
	require.NoError(b, err)
	second, err := small.service.CreateRole(access.WithActor(b.Context(), admin), svcauth.NewRole{Name: "Second", Privileges: []string{"clusters:edit"}})
	require.NoError(b, err)
	o.role, o.second = held.ID, second.ID

	base := map[string][]store.DumpedRow{}
	var tables []string
	require.NoError(b, small.store.Dump(b.Context(), func(r store.DumpedRow) error {
		if base[r.Table] == nil {
			tables = append(tables, r.Table)
		}
		base[r.Table] = append(base[r.Table], r)
		return nil
	}))
	at := time.Now().Add(-time.Duration(accounts) * time.Millisecond)
	for i := range accounts {
		o.accounts = append(o.accounts, svcauth.NewIDAt(svcauth.PrefixServiceAccount, at.Add(time.Duration(i)*time.Millisecond)))
	}
	o.open(b, url)
	o.fill(b, admin, tables, base)
	o.serve(b)

	page, err := o.service.ServiceAccounts(o.admin, svcauth.ListOptions{Limit: 1})
	require.NoError(b, err)
	require.Equal(b, o.accounts[accounts-1], page.Items[0].ID)
	o.middle = base64.RawURLEncoding.EncodeToString([]byte(o.accounts[accounts/2]))
	return o
}

// fill writes the rows, and after those of a table what each account has in it.
func (o *organization) fill(b *testing.B, admin access.Actor, tables []string, base map[string][]store.DumpedRow) {
	b.Helper()
	table, i := 0, 0
	next := func() (store.DumpedRow, bool, error) {
		for table < len(tables) {
			name := tables[table]
			rows := base[name]
			switch {
			case i < len(rows):
				i++
				return rows[i-1], true, nil
			case i < len(rows)+len(o.accounts):
				if values := o.row(admin, name, i-len(rows)); values != nil {
					row := store.DumpedRow{Table: name, Columns: rows[0].Columns}
					for _, column := range row.Columns {
						row.Values = append(row.Values, values[column])
					}
					i++
					return row, true, nil
				}
			}
			table, i = table+1, 0
		}
		return store.DumpedRow{}, false, nil
	}
	require.NoError(b, o.store.Fill(context.WithoutCancel(b.Context()), next, func(*store.Q) error { return nil }))
}

// row is what the nth account has in a table: its columns by name; nil: nothing.
func (o *organization) row(admin access.Actor, table string, n int) map[string]any {
	id, at := o.accounts[n], time.Now().UnixMilli()
	name := fmt.Sprintf("Account-%09d", n)
	switch table {
	case "client":
		return map[string]any{"id": id, "org_id": admin.OrgID, "kind": store.ClientServiceAccount, "name": name, "name_key": store.NameKey(name), "description": "seeded",
			"disabled": false, "ttl_s": int64(0), "epoch": int64(0), "created_at_ms": at, "created_by_id": admin.ID, "created_by_name": admin.Name, "version": int64(1)}
	case "secret":
		hash := make([]byte, 32)
		_, _ = rand.Read(hash)
		return map[string]any{"id": svcauth.NewID(svcauth.PrefixSecret), "client_id": id, "org_id": admin.OrgID, "scheme": keyring.SchemeHMAC, "hash": hash,
			"hint": "abcd", "description": "", "created_at_ms": at}
	case "role_grant":
		return map[string]any{"principal_id": id, "role_id": o.role, "org_id": admin.OrgID, "granted_at_ms": at}
	case "audit_event":
		return map[string]any{"id": svcauth.NewID(svcauth.PrefixEvent), "org_id": admin.OrgID, "at_ms": at, "actor_id": admin.ID, "actor_kind": admin.Kind,
			"actor_name": admin.Name, "actor_client": "", "action": "service_account.create", "target_id": id, "target_kind": "service_account",
			"target_name": name, "outcome": svcauth.OutcomeDone, "reason": "", "before_json": "", "after_json": "{}", "ip": "192.0.2.1", "request_id": ""}
	}
	return nil
}
