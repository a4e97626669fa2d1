// Package rules runs the rules of access and people on a fresh SQLite database,
// for the tests of both.
package rules

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Issuer is the server's own address.
const Issuer = "http://localhost:8080"

// The privileges of the test's catalogue beside the built-in ones.
const (
	View   = "clusters:view"
	Edit   = "clusters:edit"
	Create = "clusters:create"
)

// Password is what members choose who accept an invitation.
const Password = svcauth.Secret("seven tall ships at noon")

// Home is the address from which members sign in.
var Home = netip.MustParseAddr("198.51.100.7")

// Config configures the services of a [Fixture].
type Config struct {
	Access access.Config
	People people.Config
}

// Fixture is the rules on a fresh database with the operator's organization,
// one administrator and a catalogue of three privileges. Its clock stands still
// until a test moves it.
type Fixture struct {
	T       *testing.T
	Access  *access.Service
	People  *people.Service
	Store   *store.Store
	Audit   *audit.Log
	Cache   *cache.Cache
	Keyring *keyring.Keyring
	Clock   *clock.Clock
	Tenant  people.Tenant
	// Live is what the change log has said so far; the services see the same.
	Live *verify.RevocationSet
	// Called is called after each call to the database, if it is not nil.
	Called func()

	mu   sync.Mutex
	seen int64 // up to where of the change log Live is filled
}

// New makes a Fixture. If change is not nil it completes the configuration.
func New(t *testing.T, change func(*Config)) *Fixture {
	t.Helper()
	f := &Fixture{T: t, Live: verify.NewRevocationSet(),
		Clock: clock.New(time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC))}
	var err error
	f.Store, err = store.Open(store.Config{URL: schema.SQLite(t), Observer: databaseObserver{f},
		Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Store.Close() })
	f.Store.Listen(f)
	master := make([]byte, 32)
	_, _ = rand.Read(master)
	f.Keyring, err = keyring.New(keyring.Config{Store: f.Store, MasterKey: master, Algorithm: "ES256",
		RotateEvery: 24 * time.Hour, PublishBefore: time.Hour, Clock: f.Clock.Now})
	require.NoError(t, err)
	require.NoError(t, f.Keyring.Load(t.Context()))
	f.Cache, err = cache.New(cache.Config{Clock: f.Clock.Now})
	require.NoError(t, err)
	f.Audit = audit.New(audit.Config{Store: f.Store})
	cfg := Config{
		Access: access.Config{
			Store: f.Store, Audit: f.Audit, Keyring: f.Keyring, Cache: f.Cache, Revocations: f.Live,
			Issuer: Issuer, DefaultTokenTTL: time.Hour, Clock: f.Clock.Now, Patience: schema.Patience,
		},
		People: people.Config{Store: f.Store, Audit: f.Audit, Issuer: Issuer, Clock: f.Clock.Now},
	}
	if change != nil {
		change(&cfg)
	}
	f.Access = access.New(cfg.Access)
	cfg.People.Access = f.Access
	f.People = people.New(cfg.People)
	_, err = f.Access.ApplyCatalog(t.Context(), []svcauth.API{{Audience: "https://api.example.com", Name: "Cloud"}},
		[]svcauth.Privilege{{Name: View, API: "https://api.example.com"}, {Name: Edit, API: "https://api.example.com"},
			{Name: Create, API: "https://api.example.com"}}, false)
	require.NoError(t, err)
	f.Tenant, err = f.People.Bootstrap(t.Context(),
		people.NewTenant{AdminEmail: "admin@example.com", AdminPassword: "a quiet lighthouse over water"})
	require.NoError(t, err)
	return f
}

// OnCommitted applies what was added to the change log, as a node does.
func (f *Fixture) OnCommitted(ctx context.Context, _ []store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	entries, err := f.Store.Read().Changes(ctx, f.seen, 10_000)
	require.NoError(f.T, err)
	for _, e := range entries {
		f.seen = e.Seq
		if e.Kind != store.ChangeRevocation {
			continue
		}
		var r svcauth.Revocation
		require.NoError(f.T, json.Unmarshal([]byte(e.Payload), &r))
		f.Live.Add(r)
	}
}

// OrgID is the operator's organization.
func (f *Fixture) OrgID() string { return f.Tenant.Organization.ID }

// Admin returns a context of the administrator in the console, who has every
// privilege.
func (f *Fixture) Admin() context.Context {
	return f.As(f.OrgID(), f.Tenant.AdminID, svcauth.KindMember, f.Tenant.AdminEmail, true, f.All(true))
}

// All lists every privilege that an organization can have.
func (f *Fixture) All(operator bool) []string {
	catalogue, err := f.Store.Read().Privileges(f.T.Context())
	require.NoError(f.T, err)
	return access.RoleGives(store.RoleAdministrator, nil, catalogue, operator)
}

// As returns a context of an actor.
func (f *Fixture) As(orgID, id, kind, name string, operator bool, privileges []string) context.Context {
	return access.WithActor(f.T.Context(), access.Actor{ID: id, Kind: kind, Name: name, OrgID: orgID,
		Operator: operator, Privileges: privileges, IP: "192.0.2.1", RequestID: "test"})
}

// Member adds an active member of the operator's organization that holds the
// roles, and returns its ID and its context in the console.
func (f *Fixture) Member(email string, roles ...svcauth.Role) (string, context.Context) {
	return f.MemberOf(f.OrgID(), email, roles...)
}

// MemberOf is [Fixture.Member] for any organization.
func (f *Fixture) MemberOf(orgID, email string, roles ...svcauth.Role) (string, context.Context) {
	f.T.Helper()
	id := typeid.New(svcauth.PrefixMember, f.Clock.Now())
	now := f.Clock.Now()
	require.NoError(f.T, f.Store.Write(f.T.Context(), func(q *store.Q) error {
		if err := q.InsertMember(f.T.Context(), store.MemberRow{ID: id, OrgID: orgID, Email: email,
			CreatedAt: now, CreatedByID: "system", ActivatedAt: &now}); err != nil {
			return err
		}
		for _, r := range roles {
			if err := q.PutGrant(f.T.Context(), store.GrantRow{OrgID: orgID, PrincipalID: id,
				RoleID: r.ID, GrantedAt: now}); err != nil {
				return err
			}
		}
		return nil
	}))
	return id, f.Console(orgID, id, email)
}

// Console returns a context of a member with what it holds at this moment.
func (f *Fixture) Console(orgID, memberID, email string) context.Context {
	return f.As(orgID, memberID, svcauth.KindMember, email, orgID == f.OrgID(), f.Held(orgID, memberID))
}

// Machine returns a context of a service account with what it holds now.
func (f *Fixture) Machine(orgID string, account svcauth.ServiceAccount) context.Context {
	return f.As(orgID, account.ID, svcauth.KindServiceAccount, account.Name,
		orgID == f.OrgID(), f.Held(orgID, account.ID))
}

// Held lists what a principal may do at this moment.
func (f *Fixture) Held(orgID, principal string) []string {
	roles, err := f.Store.Read().HeldRoles(f.T.Context(), orgID, principal)
	require.NoError(f.T, err)
	catalogue, err := f.Store.Read().Privileges(f.T.Context())
	require.NoError(f.T, err)
	return access.Effective(roles, catalogue, orgID == f.OrgID(), f.Clock.Now()).Privileges
}

// Narrow returns the same actor with a token that carries only these
// privileges.
func (f *Fixture) Narrow(ctx context.Context, privileges ...string) context.Context {
	actor, ok := access.ActorFrom(ctx)
	require.True(f.T, ok)
	actor.Privileges, actor.ClientID = privileges, svcauth.NewID(svcauth.PrefixApplicationKey)
	return access.WithActor(ctx, actor)
}

// Tenants makes a further organization, and returns it with its administrator's
// context.
func (f *Fixture) Tenants(name string) (people.Tenant, context.Context) {
	f.T.Helper()
	tenant, err := f.People.AddOrganization(f.T.Context(), people.NewTenant{Name: name,
		AdminEmail: "admin@" + name + ".example.com", AdminPassword: "a quiet lighthouse over water"})
	require.NoError(f.T, err)
	return tenant, f.As(tenant.Organization.ID, tenant.AdminID, svcauth.KindMember, tenant.AdminEmail,
		false, f.All(false))
}

// Role makes a custom role of the operator's organization.
func (f *Fixture) Role(name string, privileges ...string) svcauth.Role {
	f.T.Helper()
	role, err := f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: name, Privileges: privileges})
	require.NoError(f.T, err)
	return role
}

// System finds a system role of an organization.
func (f *Fixture) System(orgID, kind string) svcauth.Role {
	f.T.Helper()
	row, err := f.Store.Read().SystemRole(f.T.Context(), orgID, kind)
	require.NoError(f.T, err)
	return svcauth.Role{ID: row.ID, Name: row.Name, Version: row.Version}
}

// Account makes a service account of the operator's organization.
func (f *Fixture) Account(name string, roles ...svcauth.Role) svcauth.ServiceAccount {
	f.T.Helper()
	n := svcauth.NewServiceAccount{Name: name}
	for _, r := range roles {
		n.RoleIDs = append(n.RoleIDs, r.ID)
	}
	account, err := f.Access.CreateServiceAccount(f.Admin(), n)
	require.NoError(f.T, err)
	return account
}

// AllowMachines turns on service_accounts_may_manage_access of the operator's
// organization.
func (f *Fixture) AllowMachines() {
	f.T.Helper()
	require.NoError(f.T, f.Store.Write(f.T.Context(), func(q *store.Q) error {
		org, err := q.Organization(f.T.Context(), f.OrgID())
		if err != nil {
			return err
		}
		org.ServiceAccountsMayManageAccess = true
		return q.UpdateOrganization(f.T.Context(), org)
	}))
}

// Token returns the claims of a token that the token endpoint would issue to a
// client now, for the first of its secrets. Its record is in the cache.
func (f *Fixture) Token(clientID string) *verify.Claims {
	f.T.Helper()
	c, err := f.Store.Read().Credentials(f.T.Context(), clientID)
	require.NoError(f.T, err)
	require.NotEmpty(f.T, c.Secrets)
	return f.tokenBy(c, c.Secrets[0].ID)
}

// TokenBy is [Fixture.Token] with one of the client's secrets.
func (f *Fixture) TokenBy(clientID, secretID string) *verify.Claims {
	f.T.Helper()
	c, err := f.Store.Read().Credentials(f.T.Context(), clientID)
	require.NoError(f.T, err)
	return f.tokenBy(c, secretID)
}

func (f *Fixture) tokenBy(c *store.Credentials, secretID string) *verify.Claims {
	catalogue, err := f.Store.Read().Privileges(f.T.Context())
	require.NoError(f.T, err)
	roles, err := f.Store.Read().HeldRoles(f.T.Context(), c.OrgID, c.Principal())
	require.NoError(f.T, err)
	held := access.Effective(roles, catalogue, c.Operator, f.Clock.Now())
	token := &verify.Claims{Issuer: Issuer, Subject: c.ClientID, ClientID: c.ClientID, IssuedAt: f.Clock.Now(),
		ExpiresAt: f.Clock.Now().Add(time.Hour), JTI: rand.Text(), Scope: joined(held.Privileges), Roles: held.Roles,
		OrgID: c.OrgID, Epoch: c.Epoch, Policy: c.Policy, Cred: secretID}
	f.Cache.RecordToken(f.T.Context(), cache.TokenRecord{JTI: token.JTI, ClientID: c.ClientID, OrgID: c.OrgID,
		SecretID: secretID, Scope: token.Scope, Roles: token.Roles, Epoch: c.Epoch,
		Pol: c.Policy, IssuedAt: token.IssuedAt, ExpiresAt: token.ExpiresAt})
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

// Lives requires tokens to live.
func (f *Fixture) Lives(tokens ...*verify.Claims) {
	f.T.Helper()
	for i, c := range tokens {
		entry, revoked := f.Live.Revoked(c)
		require.False(f.T, revoked, "token %d is revoked by %+v", i, entry)
	}
}

// Dies requires tokens to be revoked by now.
func (f *Fixture) Dies(tokens ...*verify.Claims) {
	f.T.Helper()
	for i, c := range tokens {
		_, revoked := f.Live.Revoked(c)
		require.True(f.T, revoked, "token %d lives", i)
	}
}

// Problem requires an error to be a problem of that code, and returns it.
func Problem(t *testing.T, code string, err error) *svcauth.Problem {
	t.Helper()
	var p *svcauth.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, code, p.Code, p.Detail)
	return p
}

// Audited returns an organization's audit events of an action, newest first,
// and those of the same millisecond in any order.
func (f *Fixture) Audited(orgID, action string) []svcauth.AuditEvent {
	f.T.Helper()
	require.NoError(f.T, f.Audit.Flush(f.T.Context()))
	page, err := f.Store.Read().AuditEvents(f.T.Context(), orgID, store.AuditFilter{Actions: []string{action}}, 1000)
	require.NoError(f.T, err)
	return page.Events
}

// Key makes an application key of a member, and a token of it.
func (f *Fixture) Key(ctx context.Context) (svcauth.ApplicationKey, *verify.Claims) {
	f.T.Helper()
	key, err := f.Access.CreateApplicationKey(ctx, svcauth.NewApplicationKey{})
	require.NoError(f.T, err)
	return key, f.Token(key.ID)
}

// Until makes a grant of a role that ends, as the server itself would.
func (f *Fixture) Until(principal string, role svcauth.Role, end time.Time) {
	f.T.Helper()
	require.NoError(f.T, f.Store.Write(f.T.Context(), func(q *store.Q) error {
		return q.PutGrant(f.T.Context(), store.GrantRow{OrgID: f.OrgID(), PrincipalID: principal,
			RoleID: role.ID, GrantedAt: f.Clock.Now(), ExpiresAt: &end})
	}))
}

// WorksFor reports whether the token endpoint would take a secret for a client.
func (f *Fixture) WorksFor(clientID string, secret svcauth.Secret) bool {
	c, err := f.Store.Read().Credentials(f.T.Context(), clientID)
	require.NoError(f.T, err)
	for _, s := range c.Secrets {
		if s.Material == f.Keyring.HashSecret(secret) &&
			(s.ExpiresAtMS == 0 || s.ExpiresAtMS > f.Clock.Now().UnixMilli()) {
			return true
		}
	}
	return false
}

// Last returns the error of a call that returns a value beside it.
func Last[T any](_ T, err error) error { return err }
