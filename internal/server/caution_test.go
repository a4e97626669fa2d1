package server_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// cautious is a write that there is something to warn of. harmless asks for one
// that there is nothing to warn of.
type cautious struct {
	warns string // what the warning has
	do    func(c svcauth.Caution, harmless bool) error
}

// Each write that has warnings takes strict and dry_run: nothing at all is
// changed in the database by one that is warned of, nor by a dry run that is
// not. Without them it is made.
func TestEachWriteIsWarnedOfBeforeItIsMade(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { warnedBefore(t, schema.SQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { warnedBefore(t, schema.Postgres(t)) })
}

func warnedBefore(t *testing.T, database string) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	tornCatalog(t, file, "{}")
	s := svctest.New(t, svctest.Options{DatabaseURL: database, Environ: []string{"SVCAUTH_CATALOG_FILE=" + file}})
	db, err := store.Open(store.Config{URL: database, Patience: schema.Patience})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	all := func() (rows []string) {
		require.NoError(t, db.Dump(t.Context(), func(r store.DumpedRow) error {
			for i, column := range r.Columns {
				// The caller's own use, and the place of an event in the log
				// that is followed, are noted aside, later.
				if strings.HasPrefix(column, "last_used") || r.Table == "audit_event" && column == "seq" {
					r.Values[i] = nil
				}
			}
			rows = append(rows, fmt.Sprint(r.Table, r.Values))
			return nil
		}))
		slices.Sort(rows) // an event whose place is not noted yet comes last
		return rows
	}
	for name, w := range cautiousWrites(t, s) {
		before := all()
		for _, c := range []svcauth.Caution{{Strict: true}, {DryRun: true}, {Strict: true, DryRun: true}} {
			var warned *svcauth.Problem
			require.ErrorAs(t, w.do(c, false), &warned, name)
			require.Equal(t, http.StatusUnprocessableEntity, warned.Status, name)
			require.Len(t, warned.Warnings(), 1, "%s: %s", name, warned.Detail)
			require.Contains(t, warned.Warnings()[0], w.warns, name)
			require.True(t, strings.HasPrefix(warned.Detail, "Nothing was changed. "), warned.Detail)
			require.Equal(t, before, all(), "%s with %+v", name, c)
		}
		require.NoError(t, w.do(svcauth.Caution{DryRun: true}, true), name)
		require.Equal(t, before, all(), "%s, dry", name)
		require.NoError(t, w.do(svcauth.Caution{}, false), name)
		require.NotEqual(t, before, all(), name)
		before = all()
		require.NoError(t, w.do(svcauth.Caution{Strict: true}, true), "%s: there is nothing to warn of", name)
		require.NotEqual(t, before, all(), name)
	}
}

// cautiousWrites returns all writes that have warnings.
func cautiousWrites(t *testing.T, s *svctest.Server) map[string]cautious {
	ctx, admin := t.Context(), s.Admin()
	a, b, c := s.Account("a", "a:see"), s.Account("b", "b:see"), s.Account("c", "c:see")
	roleOf := func(a svcauth.ServiceAccount) string { return a.Roles[0].ID }
	either := func(harmless bool, yes, no string) string {
		if harmless {
			return yes
		}
		return no
	}
	account := func(name string) svcauth.ServiceAccount {
		made, err := admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{
			Name: name, RoleIDs: []string{roleOf(a), roleOf(b)}, DefaultResource: tornA,
		})
		require.NoError(t, err)
		return made
	}
	member, role := newCaller(t, s, roleOf(a)), s.Account("of a role", "a:see")
	resource, enabled, weak := account("resource"), account("enabled"), account("weak")
	_, err := admin.UpdateServiceAccount(ctx, enabled.ID, 0, svcauth.ServiceAccountPatch{
		Disabled: new(true), DefaultResource: new(""),
	}, 0)
	require.NoError(t, err)
	federated, err := admin.CreateFederatedCredential(ctx, weak.ID, svcauth.NewFederatedCredential{
		Name: "there", Preset: svcauth.PresetGoogle, Subject: "1234",
	})
	require.NoError(t, err)
	n := 0
	return map[string]cautious{
		"a grant of an account": {"The service account a gets no token", func(c2 svcauth.Caution, harmless bool) error {
			_, err := admin.AssignServiceAccountRole(ctx, a.ID, either(harmless, roleOf(c), roleOf(b)),
				svcauth.GrantRequest{Caution: c2})
			return err
		}},
		"a grant of a member": {"The application keys of ann@example.com get no token", func(
			c2 svcauth.Caution, harmless bool,
		) error {
			_, err := admin.AssignMemberRole(ctx, member, either(harmless, roleOf(c), roleOf(b)),
				svcauth.GrantRequest{Caution: c2})
			return err
		}},
		"a change of a role": {"The service account of a role gets no token", func(
			c svcauth.Caution, harmless bool,
		) error {
			privileges := []string{"a:see", either(harmless, "c:see", "b:see")}
			_, err := admin.UpdateRole(ctx, roleOf(role), 0, svcauth.RolePatch{
				Privileges: &privileges, RequiresBinding: new(harmless), Caution: c,
			}, 0)
			return err
		}},
		"a change of an account": {"The service account resource gets no token", func(
			c svcauth.Caution, harmless bool,
		) error {
			_, err := admin.UpdateServiceAccount(ctx, resource.ID, 0, svcauth.ServiceAccountPatch{
				DefaultResource: new(either(harmless, tornB, "")), TokenBinding: new(either(harmless, "any", "dpop")),
				Caution: c,
			}, 0)
			return err
		}},
		"enabling an account": {"The service account enabled gets no token", func(
			c svcauth.Caution, harmless bool,
		) error {
			if harmless {
				_, err := admin.UpdateServiceAccount(ctx, enabled.ID, 0, svcauth.ServiceAccountPatch{
					Disabled: new(true), Caution: c,
				}, 0)
				return err
			}
			_, err := admin.UpdateServiceAccount(ctx, enabled.ID, 0, svcauth.ServiceAccountPatch{
				Disabled: new(false), Caution: c,
			}, 0)
			return err
		}},
		"a new account": {"The service account new gets no token", func(c svcauth.Caution, harmless bool) error {
			_, err := admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{
				Name: either(harmless, "newer", "new"), RoleIDs: []string{roleOf(a), roleOf(b)},
				DefaultResource: either(harmless, tornA, ""), Caution: c,
			})
			return err
		}},
		"a new federated credential": {"repository_id", func(c svcauth.Caution, harmless bool) error {
			n++
			subject := either(harmless, "repo:acme@77/app@1234:environment:production", "repo:acme/app:environment:p")
			_, err := admin.CreateFederatedCredential(ctx, weak.ID, svcauth.NewFederatedCredential{
				Name: fmt.Sprint(n), Preset: svcauth.PresetGitHub, Subject: subject,
				Claims: map[string]string{"repository_owner_id": "65"}, Caution: c,
			})
			return err
		}},
		"a change of a federated credential": {"this one is a name", func(c svcauth.Caution, harmless bool) error {
			patch := svcauth.FederatedCredentialPatch{Subject: new("me@example.com"), Caution: c}
			if harmless {
				n++
				patch = svcauth.FederatedCredentialPatch{Description: new(fmt.Sprint(n)), MaxAge: new(60), Caution: c}
			}
			_, err := admin.UpdateFederatedCredential(ctx, weak.ID, federated.ID, patch)
			return err
		}},
	}
}

// newCaller returns the id of a member that has an application key.
func newCaller(t *testing.T, s *svctest.Server, roleIDs ...string) string {
	invited, err := s.Admin().InviteMember(t.Context(), svcauth.NewMember{
		Email: "ann@example.com", FirstName: "Ann", LastName: "Lee", RoleIDs: roleIDs,
	})
	require.NoError(t, err)
	_, token, _ := strings.Cut(invited.InvitationURL, "token=")
	_, err = s.App.People.AcceptInvitation(t.Context(), svcauth.Secret(token), "seven tall ships at noon")
	require.NoError(t, err)
	_, err = s.App.Access.CreateApplicationKey(access.WithActor(t.Context(), access.Actor{
		ID: invited.ID, Kind: svcauth.KindMember, Name: invited.Email, OrgID: s.Tenant.Organization.ID,
		Privileges: []string{"a:see"},
	}), svcauth.NewApplicationKey{})
	require.NoError(t, err)
	return invited.ID
}

// A dry run asks for what the write asks for, in the same order, and is refused
// with the same words; the refusal stands in the audit log. A new application
// key, whose member gets no token by default, is warned of.
func TestADryRunIsRefusedAsTheWriteIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	tornCatalog(t, file, "{}")
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_CATALOG_FILE=" + file}})
	var warned *svcauth.Problem
	_, err := s.Admin().CreateApplicationKey(t.Context(), svcauth.NewApplicationKey{
		Caution: svcauth.Caution{DryRun: true},
	})
	require.ErrorAs(t, err, &warned)
	require.Contains(t, warned.Detail, "The application keys of "+svctest.AdminEmail+" get no token")
	keys, err := s.Admin().ApplicationKeys(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, keys.Items, 1)

	a, b := s.Account("a", "a:see"), s.Account("b", "b:see")
	machine := s.Account("machine", svcauth.MembersManage, svcauth.RolesManage)
	client := s.Client(machine.ClientID, machine.ClientSecret)
	refused := func(c svcauth.Caution) (all []string) {
		privileges := []string{"a:see", "b:see"}
		_, grant := client.AssignServiceAccountRole(t.Context(), a.ID, b.Roles[0].ID, svcauth.GrantRequest{Caution: c})
		_, role := client.UpdateRole(t.Context(), a.Roles[0].ID, 0, svcauth.RolePatch{
			Privileges: &privileges, Caution: c,
		}, 0)
		_, stale := client.UpdateRole(t.Context(), a.Roles[0].ID, 7, svcauth.RolePatch{
			Privileges: &privileges, Caution: c,
		}, 0)
		_, account := client.UpdateServiceAccount(t.Context(), a.ID, 0, svcauth.ServiceAccountPatch{
			Name: new("other"), Caution: c,
		}, 0)
		_, gone := client.UpdateServiceAccount(t.Context(), svcauth.NewID(svcauth.PrefixServiceAccount), 0,
			svcauth.ServiceAccountPatch{Name: new("other"), Caution: c}, 0)
		_, federated := client.CreateFederatedCredential(t.Context(), a.ID, svcauth.NewFederatedCredential{
			Name: "any", Preset: svcauth.PresetGitHub, Subject: "repo:acme/app:ref:refs/heads/main", Caution: c,
		})
		for _, err := range []error{grant, role, stale, account, gone, federated} {
			var p *svcauth.Problem
			require.ErrorAs(t, err, &p)
			require.Empty(t, p.Warnings(), "who may not do it learns nothing: %s", p.Detail)
			all = append(all, fmt.Sprint(p.Status, p.Code, p.Detail, p.Missing))
		}
		return all
	}
	audited := func() (n int) {
		events, err := s.Admin().AuditEvents(t.Context(), svcauth.AuditFilter{Actor: machine.ID})
		require.NoError(t, err)
		for _, e := range events.Items {
			require.NotEqual(t, svcauth.OutcomeDone, e.Outcome)
			n += max(e.Count, 1)
		}
		return n
	}
	want := refused(svcauth.Caution{})
	require.NotEmpty(t, want)
	require.Equal(t, want, refused(svcauth.Caution{DryRun: true}))
	require.Equal(t, want, refused(svcauth.Caution{Strict: true}))
	require.Eventually(t, func() bool { return audited() == 3*len(want) }, patience, tick, "%d", len(want))
}
