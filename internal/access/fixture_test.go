package access_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const issuer = "http://localhost:8080"

// The privileges of the test's catalogue beside the built-in ones.
const (
	view   = "clusters:view"
	edit   = "clusters:edit"
	create = "clusters:create"
)

// fixture is the rules on a fresh SQLite database with the operator's organization, one administrator and a catalogue of three privileges. Its clock stands still
// until a test moves it.
type fixture struct {
	t       *testing.T
	Service *access.Service
	Store   *store.Store
	Audit   *audit.Log
	Cache   *cache.Cache
	Keyring *keyring.Keyring
	Clock   *clock
	Tenant  access.Tenant
	Live    *verify.RevocationSet // what the change log has said so far; the service sees the same

	mu   sync.Mutex
	seen int64 // up to where of the change log Live is filled

	called func() // after each call to the database; nil: nothing
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newFixture makes one. change, where not nil, may complete the service's configuration.
func newFixture(t *testing.T, change func(*access.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, Live: verify.NewRevocationSet(), Clock: &clock{now: time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)}}
	var err error
	f.Store, err = store.Open(store.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db"),
		OnCall: func(context.Context, string, time.Time, error) {
			if f.called != nil {
				f.called()
			}
		}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Store.Close() })
	f.Store.Listen(f)
	_, err = f.Store.Migrate(t.Context())
	require.NoError(t, err)
	master := make([]byte, 32)
	_, _ = rand.Read(master)
	f.Keyring, err = keyring.New(keyring.Config{Store: f.Store, MasterKey: master, Algorithm: "ES256", RotateEvery: 24 * time.Hour, PublishBefore: time.Hour,
		Clock: f.Clock.Now})
	require.NoError(t, err)
	require.NoError(t, f.Keyring.Load(t.Context()))
	f.Cache, err = cache.New(cache.Config{Clock: f.Clock.Now})
	require.NoError(t, err)
	f.Audit = audit.New(audit.Config{Store: f.Store})
	cfg := access.Config{Store: f.Store, Audit: f.Audit, Keyring: f.Keyring, Cache: f.Cache, Revocations: f.Live, Issuer: issuer, DefaultTokenTTL: time.Hour,
		Clock: f.Clock.Now}
	if change != nil {
		change(&cfg)
	}
	f.Service = access.New(cfg)
	_, err = f.Service.ApplyCatalog(t.Context(), []svcauth.API{{Audience: "https://api.example.com", Name: "Cloud"}},
		[]svcauth.Privilege{{Name: view, API: "https://api.example.com"}, {Name: edit, API: "https://api.example.com"}, {Name: create, API: "https://api.example.com"}}, false)
	require.NoError(t, err)
	f.Tenant, err = f.Service.Bootstrap(t.Context(), access.NewTenant{AdminEmail: "admin@example.com", AdminPassword: "a quiet lighthouse over water"})
	require.NoError(t, err)
	return f
}

// OnCommitted applies what was added to the change log, as a node does.
func (f *fixture) OnCommitted(ctx context.Context, _ []store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	entries, err := f.Store.Read().Changes(ctx, f.seen, 10_000)
	require.NoError(f.t, err)
	for _, e := range entries {
		f.seen = e.Seq
		if e.Kind != store.ChangeRevocation {
			continue
		}
		var r svcauth.Revocation
		require.NoError(f.t, json.Unmarshal([]byte(e.Payload), &r))
		f.Live.Add(r)
	}
}

// OrgID is the operator's organization.
func (f *fixture) OrgID() string { return f.Tenant.Organization.ID }

// Admin is a context of the administrator in the console: it has every privilege.
func (f *fixture) Admin() context.Context {
	return f.as(f.OrgID(), f.Tenant.AdminID, svcauth.KindMember, f.Tenant.AdminEmail, true, f.all(true))
}

// all lists every privilege that an organization can have.
func (f *fixture) all(operator bool) []string {
	catalogue, err := f.Store.Read().Privileges(f.t.Context())
	require.NoError(f.t, err)
	return access.RoleGives(store.RoleAdministrator, nil, catalogue, operator)
}

func (f *fixture) as(orgID, id, kind, name string, operator bool, privileges []string) context.Context {
	return access.WithActor(f.t.Context(), access.Actor{ID: id, Kind: kind, Name: name, OrgID: orgID, Operator: operator, Privileges: privileges,
		IP: "192.0.2.1", RequestID: "test"})
}

// Member adds an active member of the operator's organization that holds the roles, and gives its id and its context in the console.
func (f *fixture) Member(email string, roles ...svcauth.Role) (string, context.Context) {
	return f.MemberOf(f.OrgID(), email, roles...)
}

// MemberOf is [fixture.Member] for any organization.
func (f *fixture) MemberOf(orgID, email string, roles ...svcauth.Role) (string, context.Context) {
	f.t.Helper()
	id := svcauth.NewIDAt(svcauth.PrefixMember, f.Clock.Now())
	now := f.Clock.Now()
	require.NoError(f.t, f.Store.Write(f.t.Context(), func(q *store.Q) error {
		if err := q.InsertMember(f.t.Context(), store.MemberRow{ID: id, OrgID: orgID, Email: email, CreatedAt: now, CreatedByID: "system", ActivatedAt: &now}); err != nil {
			return err
		}
		for _, r := range roles {
			if err := q.PutGrant(f.t.Context(), store.GrantRow{OrgID: orgID, PrincipalID: id, RoleID: r.ID, GrantedAt: now}); err != nil {
				return err
			}
		}
		return nil
	}))
	return id, f.Console(orgID, id, email)
}

// Console is a context of a member with what it holds at this moment.
func (f *fixture) Console(orgID, memberID, email string) context.Context {
	return f.as(orgID, memberID, svcauth.KindMember, email, orgID == f.OrgID(), f.held(orgID, memberID))
}

// Machine is a context of a service account with what it holds at this moment.
func (f *fixture) Machine(orgID string, account svcauth.ServiceAccount) context.Context {
	return f.as(orgID, account.ID, svcauth.KindServiceAccount, account.Name, orgID == f.OrgID(), f.held(orgID, account.ID))
}

func (f *fixture) held(orgID, principal string) []string {
	roles, err := f.Store.Read().HeldRoles(f.t.Context(), orgID, principal)
	require.NoError(f.t, err)
	catalogue, err := f.Store.Read().Privileges(f.t.Context())
	require.NoError(f.t, err)
	return access.Hold(roles, catalogue, orgID == f.OrgID(), f.Clock.Now()).Privileges
}

// Narrow is the same actor with a token that carries only these privileges.
func (f *fixture) Narrow(ctx context.Context, privileges ...string) context.Context {
	actor, ok := access.ActorFrom(ctx)
	require.True(f.t, ok)
	actor.Privileges, actor.ClientID = privileges, svcauth.NewID(svcauth.PrefixApplicationKey)
	return access.WithActor(ctx, actor)
}

// Tenants makes a further organization and gives it with its administrator's context.
func (f *fixture) Tenants(name string) (access.Tenant, context.Context) {
	f.t.Helper()
	tenant, err := f.Service.AddOrganization(f.t.Context(), access.NewTenant{Name: name, AdminEmail: "admin@" + name + ".example.com", AdminPassword: "a quiet lighthouse over water"})
	require.NoError(f.t, err)
	return tenant, f.as(tenant.Organization.ID, tenant.AdminID, svcauth.KindMember, tenant.AdminEmail, false, f.all(false))
}

// Role makes a custom role of the operator's organization.
func (f *fixture) Role(name string, privileges ...string) svcauth.Role {
	f.t.Helper()
	role, err := f.Service.CreateRole(f.Admin(), svcauth.NewRole{Name: name, Privileges: privileges})
	require.NoError(f.t, err)
	return role
}

// System finds a system role of an organization.
func (f *fixture) System(orgID, kind string) svcauth.Role {
	f.t.Helper()
	row, err := f.Store.Read().SystemRole(f.t.Context(), orgID, kind)
	require.NoError(f.t, err)
	return svcauth.Role{ID: row.ID, Name: row.Name, Version: row.Version}
}

// Account makes a service account of the operator's organization.
func (f *fixture) Account(name string, roles ...svcauth.Role) svcauth.ServiceAccount {
	f.t.Helper()
	n := svcauth.NewServiceAccount{Name: name}
	for _, r := range roles {
		n.RoleIDs = append(n.RoleIDs, r.ID)
	}
	account, err := f.Service.CreateServiceAccount(f.Admin(), n)
	require.NoError(f.t, err)
	return account
}

// AllowMachines turns on the operator's organization's service_accounts_may_manage_access.
func (f *fixture) AllowMachines() {
	f.t.Helper()
	require.NoError(f.t, f.Store.Write(f.t.Context(), func(q *store.Q) error {
		org, err := q.Organization(f.t.Context(), f.OrgID())
		if err != nil {
			return err
		}
		org.ServiceAccountsMayManageAccess = true
		return q.UpdateOrganization(f.t.Context(), org)
	}))
}

// Token is the claims of a token that a client would get now: by the rules of the token endpoint, with the first of its secrets. Its record is in the cache.
func (f *fixture) Token(clientID string) *verify.Claims {
	f.t.Helper()
	c, err := f.Store.Read().Credentials(f.t.Context(), clientID)
	require.NoError(f.t, err)
	require.NotEmpty(f.t, c.Secrets)
	return f.tokenBy(c, c.Secrets[0].ID)
}

// TokenBy is [fixture.Token] with one of the client's secrets.
func (f *fixture) TokenBy(clientID, secretID string) *verify.Claims {
	f.t.Helper()
	c, err := f.Store.Read().Credentials(f.t.Context(), clientID)
	require.NoError(f.t, err)
	return f.tokenBy(c, secretID)
}

func (f *fixture) tokenBy(c *store.Credentials, secretID string) *verify.Claims {
	catalogue, err := f.Store.Read().Privileges(f.t.Context())
	require.NoError(f.t, err)
	roles, err := f.Store.Read().HeldRoles(f.t.Context(), c.OrgID, c.Principal())
	require.NoError(f.t, err)
	held := access.Hold(roles, catalogue, c.Operator, f.Clock.Now())
	token := &verify.Claims{Issuer: issuer, Subject: c.ClientID, ClientID: c.ClientID, IssuedAt: f.Clock.Now(), ExpiresAt: f.Clock.Now().Add(time.Hour),
		JTI: rand.Text(), Scope: joined(held.Privileges), Roles: held.Roles, OrgID: c.OrgID, Epoch: c.Epoch, Policy: c.Policy, Cred: secretID}
	f.Cache.RecordToken(f.t.Context(), cache.TokenRecord{JTI: token.JTI, ClientID: c.ClientID, OrgID: c.OrgID, SecretID: secretID, Scope: token.Scope, Roles: token.Roles,
		Epoch: c.Epoch, Pol: c.Policy, IssuedAt: token.IssuedAt, ExpiresAt: token.ExpiresAt})
	return token
}

func joined(words []string) (text string) {
	for i, w := range words {
		if i > 0 {
			text += " "
		}
		text += w
	}
	return text
}

// lives and dies say what has become of tokens by now.
func (f *fixture) lives(tokens ...*verify.Claims) {
	f.t.Helper()
	for i, c := range tokens {
		entry, revoked := f.Live.Revoked(c)
		require.False(f.t, revoked, "token %d is revoked by %+v", i, entry)
	}
}

func (f *fixture) dies(tokens ...*verify.Claims) {
	f.t.Helper()
	for i, c := range tokens {
		_, revoked := f.Live.Revoked(c)
		require.True(f.t, revoked, "token %d lives", i)
	}
}

// problem requires an error to be a problem of that code, and gives it.
func problem(t *testing.T, code string, err error) *svcauth.Problem {
	t.Helper()
	var p *svcauth.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, code, p.Code, p.Detail)
	return p
}

// Audited gives an organization's audit events of an action, newest first; of the same millisecond in any order.
func (f *fixture) Audited(orgID, action string) []svcauth.AuditEvent {
	f.t.Helper()
	require.NoError(f.t, f.Audit.Flush(f.t.Context()))
	events, err := f.Store.Read().AuditEvents(f.t.Context(), orgID, store.AuditFilter{Action: action}, 1000)
	require.NoError(f.t, err)
	return events
}
