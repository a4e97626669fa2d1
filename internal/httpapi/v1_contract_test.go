package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// world is one server with somebody of each kind who calls, and things to be called about.
type world struct {
	t     *testing.T
	s     *svctest.Server
	admin *svcauth.Client // over HTTP always: it prepares and looks, and is not what is tested
	other access.Tenant

	who  map[string]calls
	role map[string]string // id by name
	made int
}

// newWorld makes one. face says how its callers call.
func newWorld(t *testing.T, opts svctest.Options, face func(s *svctest.Server, id string, secret svcauth.Secret) calls) *world {
	s := svctest.New(t, opts)
	t.Cleanup(func() {
		for line := range strings.Lines(s.Log()) {
			if t.Failed() && strings.Contains(line, "\"error\"") {
				t.Log(line)
			}
		}
	})
	w := &world{t: t, s: s, admin: s.Admin(), other: s.NewTenant("other"), who: map[string]calls{}, role: map[string]string{}}
	for name, privileges := range map[string][]string{
		"viewer": {"clusters:view"}, "editor": {"clusters:view", "clusters:edit"},
		"helpdesk": {"members:read", "members:manage", "roles:manage", "clusters:view"}, "nothing": {},
	} {
		made, err := w.admin.CreateRole(t.Context(), svcauth.NewRole{Name: name, Privileges: privileges})
		require.NoError(t, err)
		w.role[name] = made.ID
	}
	roles, err := w.admin.Roles(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	for _, r := range roles.Items {
		w.role[r.Name] = r.ID
	}
	w.who["admin"] = face(s, s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
	w.who["tenant"] = face(s, w.other.ApplicationKey.ClientID, w.other.ApplicationKey.ClientSecret)
	_, key := join(t, s, w.admin, "helpdesk@example.com", w.role["helpdesk"])
	w.who["helpdesk"] = face(s, key.ClientID, key.ClientSecret)
	for _, name := range []string{"helpdesk", "Administrator", "nothing"} {
		machine, err := s.App.Access.CreateServiceAccount(s.System(), svcauth.NewServiceAccount{Name: "machine " + name, RoleIDs: []string{w.role[name]}})
		require.NoError(t, err)
		w.who["machine "+name] = face(s, machine.ClientID, machine.ClientSecret)
	}
	return w
}

func (w *world) name() string {
	w.made++
	return fmt.Sprintf("thing %d", w.made)
}

// account makes a service account that nobody else touches.
func (w *world) account(roles ...string) svcauth.ServiceAccount {
	n := svcauth.NewServiceAccount{Name: w.name()}
	for _, r := range roles {
		n.RoleIDs = append(n.RoleIDs, w.role[r])
	}
	a, err := w.s.App.Access.CreateServiceAccount(w.s.System(), n)
	require.NoError(w.t, err)
	return a
}

func (w *world) newRole(privileges ...string) svcauth.Role {
	r, err := w.s.App.Access.CreateRole(w.s.System(), svcauth.NewRole{Name: w.name(), Privileges: privileges})
	require.NoError(w.t, err)
	return r
}

func (w *world) member(roles ...string) svcauth.Member {
	var ids []string
	for _, r := range roles {
		ids = append(ids, w.role[r])
	}
	m, _ := join(w.t, w.s, w.admin, strings.ReplaceAll(w.name(), " ", "-")+"@example.com", ids...)
	return m
}

// rule is one call by one caller and how it ends. code empty: it succeeds.
type rule struct {
	who, name, code string
	call            func(context.Context, *world, calls) error
	missing         string // with missing_privileges: the one that is named
	at              string // with invalid: the field that is named
}

func second[T any](_ T, err error) error { return err }

func ptr[T any](v T) *T { return &v }

// The rules of contract §3, asked of package access itself and over HTTP, with the same answers.
func TestContractRules(t *testing.T) {
	faces := map[string]func(t *testing.T) func(*svctest.Server, string, svcauth.Secret) calls{
		"direct": func(t *testing.T) func(*svctest.Server, string, svcauth.Secret) calls {
			return func(s *svctest.Server, id string, secret svcauth.Secret) calls { return direct{t, s, id, secret} }
		},
		"http": func(*testing.T) func(*svctest.Server, string, svcauth.Secret) calls {
			return func(s *svctest.Server, id string, secret svcauth.Secret) calls { return s.Client(id, secret) }
		},
	}
	for face, make := range faces {
		t.Run(face, func(t *testing.T) { runRules(t, newWorld(t, svctest.Options{}, make(t))) })
	}
	t.Run("http, PostgreSQL and Redis", func(t *testing.T) {
		runRules(t, newWorld(t, svctest.Options{Postgres: true, RedisURL: redistest.URL(t)}, faces["http"](t)))
	})
}

func runRules(t *testing.T, w *world) {
	for _, r := range slices.Concat(accountRules, secretRules, roleRules, memberRules, operatorRules) {
		t.Run(r.who+" "+r.name, func(t *testing.T) {
			w.t = t
			err := r.call(t.Context(), w, w.who[r.who])
			if r.code == "" {
				require.NoError(t, err)
				return
			}
			var p *svcauth.Problem
			require.True(t, errors.As(err, &p), "got %v", err)
			require.Equal(t, r.code, p.Code, p.Detail)
			require.NotEmpty(t, p.Detail)
			if r.missing != "" {
				require.Contains(t, p.Missing, r.missing)
			}
			if r.at != "" {
				require.NotEmpty(t, p.Errors)
				require.Equal(t, r.at, p.Errors[0].Location)
			}
		})
	}
}

var (
	past   = time.Now().Add(-time.Hour)
	future = time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
)

var accountRules = []rule{
	{who: "admin", name: "creates an account", call: func(ctx context.Context, w *world, c calls) error {
		a, err := c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: " padded name ", Description: "d", RoleIDs: []string{w.role["editor"]}, TokenTTLSeconds: 120, SecretExpiresAt: &future})
		if err != nil {
			return err
		}
		require.Equal(w.t, a.ID, a.ClientID)
		require.Equal(w.t, "padded name", a.Name)
		require.Len(w.t, a.Secrets, 1)
		require.Equal(w.t, a.ClientSecret.Hint(), a.Secrets[0].Hint)
		require.True(w.t, future.Equal(*a.Secrets[0].ExpiresAt))
		got, err := c.ServiceAccount(ctx, a.ID)
		require.NoError(w.t, err)
		require.Empty(w.t, got.ClientSecret, "a secret is shown once")
		a.ClientSecret = ""
		require.Equal(w.t, a, got)
		return nil
	}},
	{who: "admin", name: "gives a name twice", code: svcauth.CodeConflict, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.account().Name}))
	}},
	{who: "admin", name: "gives no name", code: svcauth.CodeInvalid, at: "body.name", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{}))
	}},
	{who: "admin", name: "gives 65 characters", code: svcauth.CodeInvalid, at: "body.name", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: strings.Repeat("ä", 65)}))
	}},
	{who: "admin", name: "gives 64 characters", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: strings.Repeat("ä", 64)}))
	}},
	{who: "admin", name: "wants a token of 59 seconds", code: svcauth.CodeInvalid, at: "body.token_ttl_seconds", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), TokenTTLSeconds: 59}))
	}},
	{who: "admin", name: "wants a secret that has expired", code: svcauth.CodeInvalid, at: "body.secret_expires_at", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), SecretExpiresAt: &past}))
	}},
	{who: "admin", name: "assigns a role that there is not", code: svcauth.CodeNotFound, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{svcauth.NewID("role")}}))
	}},
	{who: "helpdesk", name: "creates an account with more than it has", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["editor"]}}))
	}},
	{who: "helpdesk", name: "creates an account with what it has", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["viewer"]}}))
	}},
	{who: "helpdesk", name: "assigns more than it has", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
		return c.AssignServiceAccountRole(ctx, w.account().ID, w.role["editor"], svcauth.GrantRequest{})
	}},
	{who: "helpdesk", name: "assigns Administrator", code: svcauth.CodeMissingPrivileges, call: func(ctx context.Context, w *world, c calls) error {
		return c.AssignServiceAccountRole(ctx, w.account().ID, w.role[svcauth.RoleAdministrator], svcauth.GrantRequest{})
	}},
	{who: "admin", name: "assigns and unassigns, each twice", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account()
		for range 2 {
			require.NoError(w.t, c.AssignServiceAccountRole(ctx, a.ID, w.role["viewer"], svcauth.GrantRequest{ExpiresAt: &future}))
		}
		held, err := c.ServiceAccountRoles(ctx, a.ID, svcauth.ListOptions{})
		require.NoError(w.t, err)
		require.Len(w.t, held.Items, 1)
		require.Equal(w.t, "viewer", held.Items[0].Name)
		require.True(w.t, future.Equal(*held.Items[0].ExpiresAt))
		for range 2 {
			_, err := c.UnassignServiceAccountRole(ctx, a.ID, w.role["viewer"], 0)
			require.NoError(w.t, err)
		}
		return nil
	}},
	{who: "admin", name: "assigns a grant that has expired", code: svcauth.CodeInvalid, at: "body.expires_at", call: func(ctx context.Context, w *world, c calls) error {
		return c.AssignServiceAccountRole(ctx, w.account().ID, w.role["viewer"], svcauth.GrantRequest{ExpiresAt: &past})
	}},
	{who: "admin", name: "assigns Public", code: svcauth.CodeConflict, call: func(ctx context.Context, w *world, c calls) error {
		return c.AssignServiceAccountRole(ctx, w.account().ID, w.role[svcauth.RolePublic], svcauth.GrantRequest{})
	}},
	{who: "admin", name: "disables: tokens die; enables: they stay dead", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account("viewer")
		token := w.s.Token(a.ClientID, a.ClientSecret, "")
		off, err := c.UpdateServiceAccount(ctx, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: ptr(true)}, 0)
		require.NoError(w.t, err)
		require.True(w.t, off.Disabled)
		on, err := c.UpdateServiceAccount(ctx, a.ID, off.Version, svcauth.ServiceAccountPatch{Disabled: ptr(false)}, 0)
		require.NoError(w.t, err)
		require.Greater(w.t, on.Version, off.Version)
		require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, token))
		return nil
	}},
	{who: "helpdesk", name: "enables an account with more than it has", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account("editor")
		_, err := c.UpdateServiceAccount(ctx, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: ptr(true)}, 0)
		require.NoError(w.t, err, "taking away needs no more than members:manage")
		return second(c.UpdateServiceAccount(ctx, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: ptr(false)}, 0))
	}},
	{who: "admin", name: "changes what somebody changed since", code: svcauth.CodePreconditionFailed, call: func(ctx context.Context, w *world, c calls) error {
		a := w.account()
		_, err := c.UpdateServiceAccount(ctx, a.ID, a.Version, svcauth.ServiceAccountPatch{Description: ptr("mine")}, 0)
		require.NoError(w.t, err)
		return second(c.UpdateServiceAccount(ctx, a.ID, a.Version, svcauth.ServiceAccountPatch{Description: ptr("theirs")}, 0))
	}},
	{who: "admin", name: "removes an account twice", code: svcauth.CodeNotFound, call: func(ctx context.Context, w *world, c calls) error {
		a := w.account("viewer")
		token := w.s.Token(a.ClientID, a.ClientSecret, "")
		_, err := c.DeleteServiceAccount(ctx, a.ID, 0)
		require.NoError(w.t, err)
		require.False(w.t, w.s.Active(w.s.Tenant.ApplicationKey.ClientID, w.s.Tenant.ApplicationKey.ClientSecret, token))
		return second(c.DeleteServiceAccount(ctx, a.ID, 0))
	}},
	{who: "admin", name: "revokes one token; the other lives on", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account("viewer")
		one, two := w.s.Token(a.ClientID, a.ClientSecret, ""), w.s.Token(a.ClientID, a.ClientSecret, "")
		var live svcauth.List[svcauth.LiveToken]
		require.Eventually(w.t, func() bool { // records are written off the path
			var err error
			live, err = c.Tokens(ctx, a.ID, svcauth.ListOptions{})
			return err == nil && len(live.Items) == 2
		}, 30*time.Second, 20*time.Millisecond)
		for _, l := range live.Items {
			require.Equal(w.t, "clusters:view", l.Scope)
			require.Equal(w.t, a.Secrets[0].ID, l.SecretID)
		}
		p, err := w.s.App.Token.VerifyOwn(ctx, one)
		require.Error(w.t, err, "its audience is the API, not this server")
		require.Nil(w.t, p)
		_, err = c.RevokeToken(ctx, a.ID, live.Items[0].JTI, 0)
		require.NoError(w.t, err)
		require.NotEqual(w.t, w.s.Active(a.ClientID, a.ClientSecret, one), w.s.Active(a.ClientID, a.ClientSecret, two))
		_, err = c.RevokeTokens(ctx, a.ID, 0)
		require.NoError(w.t, err)
		require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, one) || w.s.Active(a.ClientID, a.ClientSecret, two))
		return nil
	}},
	{who: "machine Administrator", name: "manages access with the setting off", code: svcauth.CodeForbidden, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name()}))
	}},
	{who: "machine helpdesk", name: "grants a role with the setting off", code: svcauth.CodeForbidden, call: func(ctx context.Context, w *world, c calls) error {
		return c.AssignServiceAccountRole(ctx, w.account().ID, w.role["viewer"], svcauth.GrantRequest{})
	}},
	{who: "machine Administrator", name: "turns the setting on by itself", code: svcauth.CodeForbidden, call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.UpdateOrganization(ctx, 0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: ptr(true)}))
	}},
	{who: "admin", name: "turns the setting on", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.UpdateOrganization(ctx, 0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: ptr(true)}))
	}},
	{who: "machine helpdesk", name: "manages access with the setting on", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["viewer"]}}))
	}},
	{who: "machine helpdesk", name: "gains through another with the setting on", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["editor"]}}))
	}},
	{who: "admin", name: "turns the setting off again", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.UpdateOrganization(ctx, 0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: ptr(false)}))
	}},
	{who: "machine helpdesk", name: "changes an account after that", code: svcauth.CodeForbidden, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.UpdateServiceAccount(ctx, w.account().ID, 0, svcauth.ServiceAccountPatch{Disabled: ptr(true)}, 0))
	}},
}

var secretRules = []rule{
	{who: "admin", name: "rotates a secret with no downtime", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account("viewer")
		next, err := c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{Description: "next", ExpiresAt: &future})
		require.NoError(w.t, err)
		old, fresh := w.s.Token(a.ClientID, a.ClientSecret, ""), w.s.Token(a.ClientID, next.ClientSecret, "")
		_, err = c.DeleteSecret(ctx, a.ID, a.Secrets[0].ID, true, 0)
		require.NoError(w.t, err)
		require.False(w.t, w.s.Active(a.ClientID, next.ClientSecret, old))
		require.True(w.t, w.s.Active(a.ClientID, next.ClientSecret, fresh))
		left, err := c.Secrets(ctx, a.ID)
		require.NoError(w.t, err)
		require.Len(w.t, left.Items, 1)
		require.Empty(w.t, left.Items[0].ClientSecret)
		require.Equal(w.t, "next", left.Items[0].Description)
		return nil
	}},
	{who: "admin", name: "removes a secret, its tokens live on", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account("viewer")
		next, err := c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{})
		require.NoError(w.t, err)
		old := w.s.Token(a.ClientID, a.ClientSecret, "")
		_, err = c.DeleteSecret(ctx, a.ID, a.Secrets[0].ID, false, 0)
		require.NoError(w.t, err)
		require.True(w.t, w.s.Active(a.ClientID, next.ClientSecret, old))
		return nil
	}},
	{who: "admin", name: "brings its own secret", call: func(ctx context.Context, w *world, c calls) error {
		a, own := w.account("viewer"), svcauth.NewSecret()
		made, err := c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{ClientSecret: own})
		require.NoError(w.t, err)
		require.Empty(w.t, made.ClientSecret, "it need not travel back")
		require.Equal(w.t, own.Hint(), made.Hint)
		w.s.Token(a.ClientID, own, "")
		return nil
	}},
	{who: "admin", name: "brings a secret that is none", code: svcauth.CodeInvalid, at: "body.client_secret", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateSecret(ctx, w.account().ID, svcauth.NewSecretRequest{ClientSecret: "hunter2"}))
	}},
	{who: "admin", name: "brings a mistyped secret", code: svcauth.CodeInvalid, at: "body.client_secret", call: func(ctx context.Context, w *world, c calls) error {
		own := svcauth.NewSecret().Reveal()
		own = own[:10] + string(rune('0'+(own[10]-'0'+1)%10)) + own[11:]
		return second(c.CreateSecret(ctx, w.account().ID, svcauth.NewSecretRequest{ClientSecret: svcauth.Secret(own)}))
	}},
	{who: "admin", name: "makes a sixth secret", code: svcauth.CodeConflict, call: func(ctx context.Context, w *world, c calls) error {
		a := w.account()
		for range 4 {
			require.NoError(w.t, second(c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{})))
		}
		return second(c.CreateSecret(ctx, a.ID, svcauth.NewSecretRequest{}))
	}},
	{who: "helpdesk", name: "makes a secret of an account with more than it has", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateSecret(ctx, w.account("editor").ID, svcauth.NewSecretRequest{}))
	}},
	{who: "admin", name: "sets and clears an expiry", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account()
		set, err := c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{ExpiresAt: &future, Description: ptr("x")})
		require.NoError(w.t, err)
		require.True(w.t, future.Equal(*set.ExpiresAt))
		kept, err := c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{Description: ptr("y")})
		require.NoError(w.t, err)
		require.True(w.t, future.Equal(*kept.ExpiresAt), "what is absent stays")
		cleared, err := c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{ClearExpiresAt: true})
		require.NoError(w.t, err)
		require.Nil(w.t, cleared.ExpiresAt)
		require.Equal(w.t, "y", cleared.Description)
		return nil
	}},
	{who: "admin", name: "sets an expiry in the past", code: svcauth.CodeInvalid, at: "body.expires_at", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account()
		return second(c.UpdateSecret(ctx, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{ExpiresAt: &past}))
	}},
	{who: "admin", name: "names another account's secret", code: svcauth.CodeNotFound, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.DeleteSecret(ctx, w.account().ID, w.account().Secrets[0].ID, true, 0))
	}},
	{who: "admin", name: "makes, gets and removes an application key of its own", call: func(ctx context.Context, w *world, c calls) error {
		key, err := c.CreateApplicationKey(ctx, svcauth.NewApplicationKey{Description: "laptop"})
		require.NoError(w.t, err)
		require.NotEmpty(w.t, key.ClientSecret)
		require.Equal(w.t, svctest.AdminEmail, key.Member.Email)
		got, err := c.ApplicationKey(ctx, key.ID)
		require.NoError(w.t, err)
		require.Empty(w.t, got.ClientSecret)
		token := w.s.Token(key.ClientID, key.ClientSecret, "members:read")
		_, err = c.DeleteApplicationKey(ctx, key.ID, 0)
		require.NoError(w.t, err)
		require.Equal(w.t, 401, w.s.Get("/v1/me", token).Status)
		return nil
	}},
	{who: "helpdesk", name: "reaches for another member's application key", code: svcauth.CodeNotFound, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.DeleteApplicationKey(ctx, w.s.Tenant.ApplicationKey.ID, 0))
	}},
	{who: "machine Administrator", name: "makes an application key", code: svcauth.CodeForbidden, call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.CreateApplicationKey(ctx, svcauth.NewApplicationKey{}))
	}},
}

var roleRules = []rule{
	{who: "admin", name: "makes, changes and deletes a role", call: func(ctx context.Context, w *world, c calls) error {
		r, err := c.CreateRole(ctx, svcauth.NewRole{Name: w.name(), Privileges: []string{"clusters:view", "alarms:view", "alarms:view"}})
		require.NoError(w.t, err)
		require.Equal(w.t, []string{"alarms:view", "clusters:view"}, r.Privileges)
		r, err = c.UpdateRole(ctx, r.ID, r.Version, svcauth.RolePatch{Description: ptr("d"), Privileges: &[]string{}}, 0)
		require.NoError(w.t, err)
		require.Empty(w.t, r.Privileges)
		got, err := c.Role(ctx, r.ID)
		require.NoError(w.t, err)
		require.Equal(w.t, r, got)
		return second(c.DeleteRole(ctx, r.ID, 0))
	}},
	{who: "admin", name: "takes a privilege off a role: tokens with it die, others live", call: func(ctx context.Context, w *world, c calls) error {
		r := w.newRole("clusters:view", "alarms:view")
		a, err := w.s.App.Access.CreateServiceAccount(w.s.System(), svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{r.ID}})
		require.NoError(w.t, err)
		with, without := w.s.Token(a.ClientID, a.ClientSecret, ""), w.s.Token(a.ClientID, a.ClientSecret, "clusters:view")
		_, err = c.UpdateRole(ctx, r.ID, 0, svcauth.RolePatch{Privileges: &[]string{"clusters:view"}}, 0)
		require.NoError(w.t, err)
		require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, with))
		require.True(w.t, w.s.Active(a.ClientID, a.ClientSecret, without))
		_, err = c.DeleteRole(ctx, r.ID, 0)
		require.NoError(w.t, err)
		require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, without))
		return nil
	}},
	{who: "admin", name: "adds a privilege: no token dies", call: func(ctx context.Context, w *world, c calls) error {
		r := w.newRole("clusters:view")
		a, err := w.s.App.Access.CreateServiceAccount(w.s.System(), svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{r.ID}})
		require.NoError(w.t, err)
		token := w.s.Token(a.ClientID, a.ClientSecret, "")
		_, err = c.UpdateRole(ctx, r.ID, 0, svcauth.RolePatch{Privileges: &[]string{"clusters:view", "alarms:view"}}, 0)
		require.NoError(w.t, err)
		require.True(w.t, w.s.Active(a.ClientID, a.ClientSecret, token))
		return nil
	}},
	{who: "helpdesk", name: "makes a role with more than it has", code: svcauth.CodeMissingPrivileges, missing: "billing:manage", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateRole(ctx, svcauth.NewRole{Name: w.name(), Privileges: []string{"billing:manage"}}))
	}},
	{who: "helpdesk", name: "edits the role that it holds", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.UpdateRole(ctx, w.role["helpdesk"], 0, svcauth.RolePatch{Privileges: &[]string{"members:read", "members:manage", "roles:manage", "clusters:view", "clusters:edit"}}, 0))
	}},
	{who: "admin", name: "puts an unknown privilege on a role", code: svcauth.CodeInvalid, at: "body.privileges", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateRole(ctx, svcauth.NewRole{Name: w.name(), Privileges: []string{"clusters:explode"}}))
	}},
	{who: "admin", name: "gives a role's name twice", code: svcauth.CodeConflict, call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.CreateRole(ctx, svcauth.NewRole{Name: "viewer"}))
	}},
	{who: "admin", name: "edits Administrator", code: svcauth.CodeForbidden, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.UpdateRole(ctx, w.role[svcauth.RoleAdministrator], 0, svcauth.RolePatch{Privileges: &[]string{}}, 0))
	}},
	{who: "admin", name: "deletes Public", code: svcauth.CodeForbidden, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.DeleteRole(ctx, w.role[svcauth.RolePublic], 0))
	}},
	{who: "machine nothing", name: "reads roles", code: svcauth.CodeMissingPrivileges, missing: "members:read", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.Roles(ctx, svcauth.ListOptions{}))
	}},
	{who: "machine nothing", name: "reads the catalogue", call: func(ctx context.Context, w *world, c calls) error {
		apis, err := c.APIs(ctx, svcauth.ListOptions{})
		require.NoError(w.t, err)
		require.GreaterOrEqual(w.t, len(apis.Items), 3)
		privileges, err := c.Privileges(ctx, svcauth.ListOptions{Limit: 200})
		require.NoError(w.t, err)
		require.True(w.t, slices.ContainsFunc(privileges.Items, func(p svcauth.Privilege) bool { return p.Name == "clusters:view" }))
		return nil
	}},
	{who: "machine nothing", name: "asks who it is", call: func(ctx context.Context, w *world, c calls) error {
		me, err := c.Me(ctx)
		require.NoError(w.t, err)
		require.Equal(w.t, svcauth.KindServiceAccount, me.Kind)
		require.Equal(w.t, "machine nothing", me.Name)
		require.Equal(w.t, w.s.Tenant.Organization.ID, me.Organization.ID)
		require.Empty(w.t, me.Privileges)
		require.Equal(w.t, []string{"nothing"}, me.Roles)
		return nil
	}},
}

var memberRules = []rule{
	{who: "admin", name: "invites a member", call: func(ctx context.Context, w *world, c calls) error {
		m, err := c.InviteMember(ctx, svcauth.NewMember{Email: "ann@example.com", FirstName: "Ann", LastName: "B", RoleIDs: []string{w.role["viewer"]}})
		require.NoError(w.t, err)
		require.NotEmpty(w.t, m.InvitationURL)
		require.Equal(w.t, svcauth.MemberInvited, m.Status)
		got, err := c.Member(ctx, m.ID)
		require.NoError(w.t, err)
		require.Empty(w.t, got.InvitationURL)
		return nil
	}},
	{who: "admin", name: "invites an address twice", code: svcauth.CodeConflict, call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.InviteMember(ctx, svcauth.NewMember{Email: svctest.AdminEmail, FirstName: "A", LastName: "B"}))
	}},
	{who: "admin", name: "invites what is no address", code: svcauth.CodeInvalid, at: "body.email", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.InviteMember(ctx, svcauth.NewMember{Email: "nobody", FirstName: "A", LastName: "B"}))
	}},
	{who: "helpdesk", name: "invites with more than it has", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.InviteMember(ctx, svcauth.NewMember{Email: "eve@example.com", FirstName: "E", LastName: "V", RoleIDs: []string{w.role["editor"]}}))
	}},
	{who: "helpdesk", name: "makes itself Administrator", code: svcauth.CodeMissingPrivileges, call: func(ctx context.Context, w *world, c calls) error {
		me, err := c.Me(ctx)
		require.NoError(w.t, err)
		return c.AssignMemberRole(ctx, me.ID, w.role[svcauth.RoleAdministrator])
	}},
	{who: "helpdesk", name: "resets an Administrator's password", code: svcauth.CodeMissingPrivileges, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.ResetMember(ctx, w.s.Tenant.AdminID))
	}},
	{who: "admin", name: "resets a member's password", call: func(ctx context.Context, w *world, c calls) error {
		m, err := c.ResetMember(ctx, w.member("viewer").ID)
		require.NoError(w.t, err)
		require.NotEmpty(w.t, m.InvitationURL)
		return nil
	}},
	{who: "admin", name: "removes the last Administrator", code: svcauth.CodeConflict, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.DeleteMember(ctx, w.s.Tenant.AdminID, 0))
	}},
	{who: "admin", name: "suspends the last Administrator", code: svcauth.CodeConflict, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.UpdateMember(ctx, w.s.Tenant.AdminID, 0, svcauth.MemberPatch{Suspended: ptr(true)}, 0))
	}},
	{who: "admin", name: "takes Administrator from the last one", code: svcauth.CodeConflict, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.UnassignMemberRole(ctx, w.s.Tenant.AdminID, w.role[svcauth.RoleAdministrator], 0))
	}},
	{who: "admin", name: "changes a member, then an older version of it", code: svcauth.CodePreconditionFailed, call: func(ctx context.Context, w *world, c calls) error {
		m := w.member()
		changed, err := c.UpdateMember(ctx, m.ID, m.Version, svcauth.MemberPatch{FirstName: ptr("New")}, 0)
		require.NoError(w.t, err)
		require.Equal(w.t, "New", changed.FirstName)
		return second(c.UpdateMember(ctx, m.ID, m.Version, svcauth.MemberPatch{FirstName: ptr("Newer")}, 0))
	}},
	{who: "admin", name: "removes a member: its key's tokens die, the account it made lives", call: func(ctx context.Context, w *world, c calls) error {
		m, key := join(w.t, w.s, w.admin, "leaver@example.com", w.role["helpdesk"])
		left, err := w.s.Client(key.ClientID, key.ClientSecret).CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["viewer"]}})
		require.NoError(w.t, err)
		token := w.s.Token(key.ClientID, key.ClientSecret, "")
		require.Equal(w.t, 200, w.s.Get("/v1/me", token).Status)
		_, err = c.DeleteMember(ctx, m.ID, 0)
		require.NoError(w.t, err)
		require.Equal(w.t, 401, w.s.Get("/v1/me", token).Status)
		got, err := c.ServiceAccount(ctx, left.ID)
		require.NoError(w.t, err)
		require.Equal(w.t, svcauth.Creator{ID: m.ID, Email: "leaver@example.com"}, got.CreatedBy, "it keeps its text")
		w.s.Token(left.ClientID, left.ClientSecret, "")
		return nil
	}},
	{who: "admin", name: "suspends a member: its key's tokens die", call: func(ctx context.Context, w *world, c calls) error {
		m, key := join(w.t, w.s, w.admin, "paused@example.com", w.role["helpdesk"])
		token := w.s.Token(key.ClientID, key.ClientSecret, "")
		changed, err := c.UpdateMember(ctx, m.ID, 0, svcauth.MemberPatch{Suspended: ptr(true)}, 0)
		require.NoError(w.t, err)
		require.Equal(w.t, svcauth.MemberSuspended, changed.Status)
		require.Equal(w.t, 401, w.s.Get("/v1/me", token).Status)
		return nil
	}},
	{who: "admin", name: "takes a role from a member twice", call: func(ctx context.Context, w *world, c calls) error {
		m := w.member("viewer")
		for range 2 {
			require.NoError(w.t, second(c.UnassignMemberRole(ctx, m.ID, w.role["viewer"], 0)))
		}
		return nil
	}},
	{who: "machine helpdesk", name: "invites a member with the setting off", code: svcauth.CodeForbidden, call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.InviteMember(ctx, svcauth.NewMember{Email: "m@example.com", FirstName: "A", LastName: "B"}))
	}},
	{who: "machine nothing", name: "reads members", code: svcauth.CodeMissingPrivileges, missing: "members:read", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.Members(ctx, svcauth.ListOptions{}))
	}},
	{who: "admin", name: "reads what was refused", call: func(ctx context.Context, w *world, c calls) error {
		list, err := c.AuditEvents(ctx, svcauth.AuditFilter{Action: "member.delete", Target: w.s.Tenant.AdminID})
		require.NoError(w.t, err)
		require.Len(w.t, list.Items, 1)
		require.Equal(w.t, svcauth.OutcomeRefused, list.Items[0].Outcome)
		require.NotEmpty(w.t, list.Items[0].Reason)
		require.Equal(w.t, svctest.AdminEmail, list.Items[0].Actor.Name)
		return nil
	}},
	{who: "helpdesk", name: "reads the audit log", code: svcauth.CodeMissingPrivileges, missing: "audit:read", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.AuditEvents(ctx, svcauth.AuditFilter{}))
	}},
	{who: "admin", name: "uses a cursor that is none", code: svcauth.CodeInvalid, at: "query.cursor", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.Members(ctx, svcauth.ListOptions{Cursor: "nonsense"}))
	}},
	{who: "admin", name: "wants a page of 201", code: svcauth.CodeInvalid, at: "query.limit", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.Members(ctx, svcauth.ListOptions{Limit: 201}))
	}},
}

var operatorRules = []rule{
	{who: "admin", name: "makes, renames and removes a tenant", call: func(ctx context.Context, w *world, c calls) error {
		made, err := c.CreateOrganization(ctx, svcauth.NewOrganization{Name: w.name(), AdminEmail: "a@tenant.example"})
		require.NoError(w.t, err)
		require.NotEmpty(w.t, made.InvitationURL)
		renamed, err := c.UpdateOrganizationByID(ctx, made.ID, made.Version, svcauth.OrganizationPatch{Name: ptr(w.name())})
		require.NoError(w.t, err)
		got, err := c.OrganizationByID(ctx, made.ID)
		require.NoError(w.t, err)
		require.Equal(w.t, renamed, got)
		_, err = c.DeleteOrganization(ctx, made.ID, 0)
		require.NoError(w.t, err)
		list, err := c.Organizations(ctx, svcauth.ListOptions{})
		require.NoError(w.t, err)
		require.Len(w.t, list.Items, 2)
		return nil
	}},
	{who: "admin", name: "removes the operator's own organization", code: svcauth.CodeConflict, call: func(ctx context.Context, w *world, c calls) error {
		return second(c.DeleteOrganization(ctx, w.s.Tenant.Organization.ID, 0))
	}},
	{who: "tenant", name: "sees its own organization only", call: func(ctx context.Context, w *world, c calls) error {
		own, err := c.Organization(ctx)
		require.NoError(w.t, err)
		require.Equal(w.t, w.other.Organization.ID, own.ID)
		require.False(w.t, own.Operator)
		list, err := c.ServiceAccounts(ctx, svcauth.ListOptions{})
		require.NoError(w.t, err)
		require.Empty(w.t, list.Items)
		privileges, err := c.Privileges(ctx, svcauth.ListOptions{Limit: 200})
		require.NoError(w.t, err)
		require.False(w.t, slices.ContainsFunc(privileges.Items, func(p svcauth.Privilege) bool { return svcauth.OperatorOnly(p.Name) }))
		return nil
	}},
	{who: "tenant", name: "lists organizations", code: svcauth.CodeMissingPrivileges, missing: "organizations:manage", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.Organizations(ctx, svcauth.ListOptions{}))
	}},
	{who: "tenant", name: "reads its own organization as the operator does", code: svcauth.CodeMissingPrivileges, missing: "organizations:manage", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.OrganizationByID(ctx, w.other.Organization.ID))
	}},
	{who: "tenant", name: "makes an organization", code: svcauth.CodeMissingPrivileges, missing: "organizations:manage", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateOrganization(ctx, svcauth.NewOrganization{Name: w.name(), AdminEmail: "a@b.example"}))
	}},
	{who: "tenant", name: "sees signing keys", code: svcauth.CodeMissingPrivileges, missing: "keys:manage", call: func(ctx context.Context, _ *world, c calls) error { return second(c.SigningKeys(ctx)) }},
	{who: "tenant", name: "rotates signing keys", code: svcauth.CodeMissingPrivileges, missing: "keys:manage", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.RotateSigningKeys(ctx))
	}},
	{who: "tenant", name: "puts keys:manage on a role", code: svcauth.CodeInvalid, at: "body.privileges", call: func(ctx context.Context, w *world, c calls) error {
		return second(c.CreateRole(ctx, svcauth.NewRole{Name: w.name(), Privileges: []string{"keys:manage"}}))
	}},
	{who: "admin", name: "rotates signing keys, tokens live on", call: func(ctx context.Context, w *world, c calls) error {
		before, err := c.SigningKeys(ctx)
		require.NoError(w.t, err)
		after, err := c.RotateSigningKeys(ctx)
		require.NoError(w.t, err)
		active := func(list svcauth.List[svcauth.SigningKey]) string {
			i := slices.IndexFunc(list.Items, func(k svcauth.SigningKey) bool { return k.State == svcauth.KeyActive })
			require.GreaterOrEqual(w.t, i, 0)
			return list.Items[i].KID
		}
		require.NotEqual(w.t, active(before), active(after))
		return second(c.Me(ctx))
	}},
	{who: "admin", name: "revokes a signing key that there is not", code: svcauth.CodeNotFound, call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.RevokeSigningKey(ctx, "nope"))
	}},
}
