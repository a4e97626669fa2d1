package access_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestCreateServiceAccount(t *testing.T) {
	f := rules.New(t, nil)
	viewer := f.Role("Viewer", rules.View)
	expires := f.Clock.Now().Add(time.Hour + time.Microsecond)
	made, err := f.Access.CreateServiceAccount(f.Admin(),
		svcauth.NewServiceAccount{Name: " ci ", Description: "builds", RoleIDs: []string{viewer.ID, viewer.ID},
			TokenTTLSeconds: 120, SecretExpiresAt: &expires})
	require.NoError(t, err)
	require.Equal(t, "ci", made.Name)
	require.Equal(t, []svcauth.Ref{{ID: viewer.ID, Name: "Viewer"}}, made.Roles)
	require.Equal(t, svcauth.Creator{ID: f.Tenant.AdminID, Email: "admin@example.com"}, made.CreatedBy)
	_, err = svcauth.ParseSecret(made.ClientSecret.Reveal())
	require.NoError(t, err)
	require.Equal(t, made.ClientSecret.Hint(), made.Secrets[0].Hint)

	got, err := f.Access.ServiceAccount(f.Admin(), made.ID)
	require.NoError(t, err)
	require.Empty(t, got.ClientSecret, "the secret is shown once")
	made.ClientSecret = ""
	require.Equal(t, made, got, "what was answered is what is there")
	_, err = f.Access.CreateServiceAccount(f.Admin(), svcauth.NewServiceAccount{Name: "CI"})
	rules.Problem(t, svcauth.CodeConflict, err)

	events := f.Audited(f.OrgID(), "service_account.create")
	require.Len(t, events, 2)
	for _, e := range events {
		require.NotContains(t, string(e.After), "svcs_")
	}
}

// TestCreateServiceAccountWithoutSecret checks that no secret is made, so that
// what Public gives is not handed over yet, but what the roles give is.
func TestCreateServiceAccountWithoutSecret(t *testing.T) {
	f := rules.New(t, nil)
	_, err := f.Access.UpdateRole(f.Admin(), f.System(f.OrgID(), store.RolePublic).ID, 0,
		svcauth.RolePatch{Privileges: &[]string{rules.Edit}})
	require.NoError(t, err)
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage))
	narrow, ok := access.ActorFrom(manager)
	require.True(t, ok)
	narrow.Full, narrow.Privileges = false, []string{svcauth.MembersManage}
	with := access.WithActor(t.Context(), narrow)
	_, err = f.Access.CreateServiceAccount(with, svcauth.NewServiceAccount{Name: "ci"})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)

	made, err := f.Access.CreateServiceAccount(with, svcauth.NewServiceAccount{Name: "ci", Secret: new(false)})
	require.NoError(t, err)
	require.Empty(t, made.ClientSecret)
	require.Equal(t, []svcauth.SecretInfo{}, made.Secrets)
	got, err := f.Access.ServiceAccount(f.Admin(), made.ID)
	require.NoError(t, err)
	require.Equal(t, made, got)

	_, err = f.Access.CreateServiceAccount(with, svcauth.NewServiceAccount{
		Name: "wide", Secret: new(false), RoleIDs: []string{f.Role("Viewer", rules.View).ID},
	})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	end := f.Clock.Now().Add(time.Hour)
	_, err = f.Access.CreateServiceAccount(f.Admin(), svcauth.NewServiceAccount{
		Name: "odd", Secret: new(false), SecretExpiresAt: &end,
	})
	require.Equal(t, "body.secret_expires_at", rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Location)
}

func TestCreateServiceAccountHandsOverOnlyWhatOneHolds(t *testing.T) {
	f := rules.New(t, nil)
	editor := f.Role("Editor", rules.View, rules.Edit)
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage, rules.View))
	_, err := f.Access.CreateServiceAccount(manager,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{editor.ID}})
	p := rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	require.Equal(t, []string{rules.Edit}, p.Missing)
	_, err = f.Access.CreateServiceAccount(manager,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{f.System(f.OrgID(), store.RoleAdministrator).ID}})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	_, err = f.Access.CreateServiceAccount(manager,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{f.System(f.OrgID(), store.RolePublic).ID}})
	rules.Problem(t, svcauth.CodeConflict, err)
	_, err = f.Access.CreateServiceAccount(manager,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{"role_\x00"}})
	rules.Problem(t, svcauth.CodeNotFound, err)
	list, err := f.Access.ServiceAccounts(f.Admin(), svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, list.Items, "a refused creation leaves nothing")

	_, err = f.Access.CreateServiceAccount(manager,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{f.Role("Viewer", rules.View).ID}})
	require.NoError(t, err)
}

// A new account holds what everyone holds: a token with a narrow scope must not
// get that through it.
func TestCreateServiceAccountHandsOverPublic(t *testing.T) {
	f := rules.New(t, nil)
	public := f.System(f.OrgID(), store.RolePublic)
	_, err := f.Access.UpdateRole(f.Admin(), public.ID, 0, svcauth.RolePatch{Privileges: &[]string{rules.View}})
	require.NoError(t, err)
	_, err = f.Access.CreateServiceAccount(f.Narrow(f.Admin(), svcauth.MembersManage),
		svcauth.NewServiceAccount{Name: "ci"})
	p := rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	require.Equal(t, []string{rules.View}, p.Missing)
	_, err = f.Access.CreateServiceAccount(f.Narrow(f.Admin(), svcauth.MembersManage, rules.View),
		svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
}

func TestMachinesCreateAccountsOnlyWhereAllowed(t *testing.T) {
	f := rules.New(t, nil)
	machine := f.Machine(f.OrgID(), f.Account("machine", f.Role("Manager", svcauth.MembersManage)))
	_, err := f.Access.CreateServiceAccount(machine, svcauth.NewServiceAccount{Name: "ci"})
	rules.Problem(t, svcauth.CodeForbidden, err)
	f.AllowMachines()
	made, err := f.Access.CreateServiceAccount(machine, svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	require.Equal(t, "machine", made.CreatedBy.Email)
}

func TestServiceAccountValues(t *testing.T) {
	f := rules.New(t, nil)
	past := f.Clock.Now()
	account := f.Account("mine")
	for name, n := range map[string]svcauth.NewServiceAccount{
		"body.name":              {Name: " "},
		"body.name ":             {Name: strings.Repeat("é", 65)},
		"body.name  ":            {Name: "a\nb"},
		"body.description":       {Name: "x", Description: strings.Repeat("x", 257)},
		"body.token_ttl_seconds": {Name: "x", TokenTTLSeconds: 59},
		"body.secret_expires_at": {Name: "x", SecretExpiresAt: &past},
		"body.role_ids":          {Name: "x", RoleIDs: manyIDs(101)},
	} {
		_, err := f.Access.CreateServiceAccount(f.Admin(), n)
		require.Equal(t, strings.TrimSpace(name), rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Location)
		if n.SecretExpiresAt != nil || n.RoleIDs != nil {
			continue
		}
		_, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0,
			svcauth.ServiceAccountPatch{Name: &n.Name, Description: &n.Description,
				TokenTTLSeconds: &n.TokenTTLSeconds})
		require.Equal(t, strings.TrimSpace(name), rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Location)
	}
	_, err := f.Access.CreateServiceAccount(f.Admin(),
		svcauth.NewServiceAccount{Name: strings.Repeat("é", 64), TokenTTLSeconds: 86400})
	require.NoError(t, err)
}

func manyIDs(n int) (ids []string) {
	for range n {
		ids = append(ids, svcauth.NewID(svcauth.PrefixRole))
	}
	return ids
}

func TestUpdateServiceAccount(t *testing.T) {
	f := rules.New(t, nil)
	account, other := f.Account("ci", f.Role("Viewer", rules.View)), f.Account("other")
	token := f.Token(account.ID)
	name, ttl := "build", 90
	changed, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 1,
		svcauth.ServiceAccountPatch{Name: &name, TokenTTLSeconds: &ttl})
	require.NoError(t, err)
	require.EqualValues(t, 2, changed.Version)
	got, err := f.Access.ServiceAccount(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Equal(t, got, changed)
	require.Equal(t, "build", got.Name)
	require.Equal(t, 90, got.TokenTTLSeconds)
	f.Lives(token)

	_, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 1, svcauth.ServiceAccountPatch{Name: &name})
	rules.Problem(t, svcauth.CodePreconditionFailed, err)
	_, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, svcauth.ServiceAccountPatch{Name: &other.Name})
	rules.Problem(t, svcauth.CodeConflict, err)
	upper := "BUILD" // its own name in another case is free
	changed, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, svcauth.ServiceAccountPatch{Name: &upper})
	require.NoError(t, err)
	require.Equal(t, "BUILD", changed.Name)

	zero := 0
	changed, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0,
		svcauth.ServiceAccountPatch{TokenTTLSeconds: &zero})
	require.NoError(t, err)
	require.Equal(t, 3600, changed.TokenTTLSeconds, "0 is the server's default")

	before := len(f.Audited(f.OrgID(), "service_account.update"))
	same, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, svcauth.ServiceAccountPatch{Name: &upper})
	require.NoError(t, err)
	require.Equal(t, changed, same, "what changes nothing raises no version")
	require.Len(t, f.Audited(f.OrgID(), "service_account.update"), before, "and is no event")
}

func TestDisableKillsAndEnableNeedsAll(t *testing.T) {
	f := rules.New(t, nil)
	account, other := f.Account("ci", f.Role("Editor", rules.View, rules.Edit)), f.Account("other")
	yes, no := true, false
	// One who holds nothing of it may take it away …
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage))
	token, others := f.Token(account.ID), f.Token(other.ID)
	changed, err := f.Access.UpdateServiceAccount(manager, account.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes})
	require.NoError(t, err)
	require.True(t, changed.Disabled)
	f.Dies(token)
	f.Lives(others)
	// … but not give it back.
	_, err = f.Access.UpdateServiceAccount(manager, account.ID, 0, svcauth.ServiceAccountPatch{Disabled: &no})
	require.Equal(t, []string{rules.Edit, rules.View}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	changed, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, svcauth.ServiceAccountPatch{Disabled: &no})
	require.NoError(t, err)
	require.False(t, changed.Disabled)
	f.Dies(token)
	f.Lives(f.Token(account.ID))
}

func TestDeleteServiceAccount(t *testing.T) {
	f := rules.New(t, nil)
	viewer := f.Role("Viewer", rules.View)
	account, other := f.Account("ci", viewer), f.Account("other", viewer)
	token, others := f.Token(account.ID), f.Token(other.ID)
	_, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage))
	require.NoError(t, f.Access.DeleteServiceAccount(manager, account.ID))
	f.Dies(token)
	f.Lives(others)
	_, err := f.Access.ServiceAccount(f.Admin(), account.ID)
	rules.Problem(t, svcauth.CodeNotFound, err)
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteServiceAccount(f.Admin(), account.ID))
	q := f.Store.Read()
	secrets, err := q.Secrets(t.Context(), f.OrgID(), account.ID)
	require.NoError(t, err)
	require.Empty(t, secrets)
	grants, err := q.Grants(t.Context(), f.OrgID(), account.ID)
	require.NoError(t, err)
	require.Empty(t, grants)
	_, err = q.Credentials(t.Context(), account.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	f.Account("ci") // the name is free again
}

func TestServiceAccountPages(t *testing.T) {
	f := rules.New(t, nil)
	var want []string
	for i := range 7 {
		f.Clock.Advance(time.Millisecond)
		want = append([]string{f.Account(fmt.Sprintf("acc-%d", i)).ID}, want...)
	}
	f.Tenants("stranger")
	walk := func(o svcauth.ListOptions, between func()) (got []string) {
		page := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.ServiceAccount], error) {
			if o.Cursor != "" {
				between()
			}
			return f.Access.ServiceAccounts(ctx, o)
		}
		for account, err := range svcauth.All(f.Admin(), page, o) {
			require.NoError(t, err)
			got = append(got, account.ID)
		}
		return got
	}
	n := 0
	insert := func() { n++; f.Clock.Advance(time.Millisecond); f.Account(fmt.Sprintf("new-%d", n)) }
	require.Equal(t, want, walk(svcauth.ListOptions{Limit: 3}, insert),
		"nothing missed, nothing twice, while others insert")
	require.Equal(t, want, walk(svcauth.ListOptions{Limit: 2, Name: "ACC"}, insert))
	require.Equal(t, want[:1], walk(svcauth.ListOptions{Name: "acc-6"}, insert))
	require.Empty(t, walk(svcauth.ListOptions{Name: "acc_"}, insert), "no character is a wildcard")
	require.Empty(t, walk(svcauth.ListOptions{Name: "%"}, insert))
}

func TestListOptions(t *testing.T) {
	f := rules.New(t, nil)
	account := newThings(f).account
	keys := f.Tenant.ApplicationKey
	lists := map[string]func(o svcauth.ListOptions) error{
		"accounts": func(o svcauth.ListOptions) error { _, err := f.Access.ServiceAccounts(f.Admin(), o); return err },
		"roles":    func(o svcauth.ListOptions) error { _, err := f.Access.Roles(f.Admin(), o); return err },
		"grants": func(o svcauth.ListOptions) error {
			_, err := f.Access.ServiceAccountRoles(f.Admin(), account.ID, o)
			return err
		},
		"tokens": func(o svcauth.ListOptions) error { _, err := f.Access.Tokens(f.Admin(), account.ID, o); return err },
		"keys":   func(o svcauth.ListOptions) error { _, err := f.Access.ApplicationKeys(f.Admin(), o); return err },
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{-1, 201} {
				require.Equal(t, "query.limit",
					rules.Problem(t, svcauth.CodeInvalid, list(svcauth.ListOptions{Limit: limit})).Errors[0].Location)
			}
			for _, cursor := range []string{"!", "bm90YWN1cnNvcg", keys.ID, "AA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5IHg"} {
				require.Equal(t, "query.cursor",
					rules.Problem(t, svcauth.CodeInvalid, list(svcauth.ListOptions{Cursor: cursor})).Errors[0].Location)
			}
			require.NoError(t, list(svcauth.ListOptions{Limit: 200}))
		})
	}
	_, err := f.Access.ServiceAccounts(f.Admin(), svcauth.ListOptions{Name: "\x00"})
	require.Equal(t, "query.name", rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Location)
}

// created_by keeps its text after that member is gone.
func TestCreatorOutlivesMember(t *testing.T) {
	f := rules.New(t, nil)
	id, manager := f.Member("manager@example.com", f.Role("Manager", svcauth.MembersManage))
	made, err := f.Access.CreateServiceAccount(manager, svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	token := f.Token(made.ID)
	require.NoError(t, f.People.DeleteMember(f.Admin(), id))
	got, err := f.Access.ServiceAccount(f.Admin(), made.ID)
	require.NoError(t, err)
	require.Equal(t, svcauth.Creator{ID: id, Email: "manager@example.com"}, got.CreatedBy)
	f.Lives(token)
}
