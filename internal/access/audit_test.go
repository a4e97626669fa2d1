package access_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// step is something that changes what is so, or tries to, and the action of the
// event that it leaves.
type step struct {
	action, outcome string // outcome: done if empty
	alsoTenant      bool   // it stands in a tenant's log too
	do              func(*subjects) error
}

// subjects is what the steps work on.
type subjects struct {
	*rules.Fixture
	admin   context.Context
	account svcauth.ServiceAccount
	secret  svcauth.SecretInfo
	role    svcauth.Role
	key     svcauth.ApplicationKey
	member  string
	self    context.Context
	tenant  svcauth.Organization
}

// steps go one after the other: what one makes the next changes.
var steps = []step{
	{action: "role.create", do: func(s *subjects) (err error) {
		s.role, err = s.Access.CreateRole(s.admin,
			svcauth.NewRole{Name: "R", Privileges: []string{rules.View, rules.Edit}})
		return err
	}},
	{action: "role.update", do: func(s *subjects) error {
		return rules.Last(s.Access.UpdateRole(s.admin, s.role.ID, 0, svcauth.RolePatch{Description: new("other")}))
	}},
	{action: "service_account.create", do: func(s *subjects) (err error) {
		s.account, err = s.Access.CreateServiceAccount(s.admin, svcauth.NewServiceAccount{Name: "ci"})
		return err
	}},
	{action: "service_account.update", do: func(s *subjects) error {
		return rules.Last(s.Access.UpdateServiceAccount(s.admin, s.account.ID, 0,
			svcauth.ServiceAccountPatch{Disabled: new(true)}))
	}},
	{action: "service_account.assign_role", do: func(s *subjects) error {
		return rules.Last(s.Access.AssignServiceAccountRole(s.admin, s.account.ID, s.role.ID,
			svcauth.GrantRequest{ExpiresAt: new(s.Clock.Now().Add(time.Hour))}))
	}},
	{action: "service_account.role_expired", do: func(s *subjects) error {
		s.Clock.Advance(2 * time.Hour)
		return rules.Last(s.Access.ExpireGrants(s.T.Context()))
	}},
	{action: "service_account.unassign_role", do: func(s *subjects) error {
		if _, err := s.Access.AssignServiceAccountRole(s.admin, s.account.ID, s.role.ID,
			svcauth.GrantRequest{}); err != nil {
			return err
		}
		return s.Access.UnassignServiceAccountRole(s.admin, s.account.ID, s.role.ID, "")
	}},
	{action: "service_account.revoke_tokens",
		do: func(s *subjects) error { return s.Access.RevokeTokens(s.admin, s.account.ID) }},
	{action: "token.revoke", outcome: svcauth.OutcomeRefused, do: func(s *subjects) error {
		return refused(s.Access.RevokeToken(s.admin, s.account.ID, "unknown"))
	}},
	{action: "secret.create", do: func(s *subjects) (err error) {
		s.secret, err = s.Access.CreateSecret(s.admin, s.account.ID, svcauth.NewSecretRequest{})
		return err
	}},
	{action: "secret.update", do: func(s *subjects) error {
		return rules.Last(s.Access.UpdateSecret(s.admin, s.account.ID, s.secret.ID,
			svcauth.SecretPatch{Description: new("other")}))
	}},
	{action: "secret.delete",
		do: func(s *subjects) error { return s.Access.DeleteSecret(s.admin, s.account.ID, s.secret.ID, true) }},
	{action: "service_account.delete",
		do: func(s *subjects) error { return s.Access.DeleteServiceAccount(s.admin, s.account.ID) }},
	{action: "application_key.create", do: func(s *subjects) (err error) {
		s.key, err = s.Access.CreateApplicationKey(s.admin, svcauth.NewApplicationKey{})
		return err
	}},
	{action: "application_key.delete",
		do: func(s *subjects) error { return s.Access.DeleteApplicationKey(s.admin, s.key.ID) }},
	{action: "member.invite", do: func(s *subjects) error {
		return rules.Last(s.People.InviteMember(s.admin, svcauth.NewMember{Email: "bob@example.com"}))
	}},
	{action: "member.activate",
		do: func(s *subjects) error { s.member = s.Join(s.admin, "ann@example.com").ID; return nil }},
	{action: "member.sign_in", do: func(s *subjects) error { s.self = s.InConsole("ann@example.com"); return nil }},
	{action: "member.sign_in", outcome: svcauth.OutcomeRefused, do: func(s *subjects) error {
		return refused(rules.Last(s.SignIn("ann@example.com", "a wrong one", rules.Home)))
	}},
	{action: "member.sign_out", do: func(s *subjects) error {
		if err := s.Store.Sessions().Commit("a session", []byte("x"), time.Now().Add(time.Hour)); err != nil {
			return err
		}
		return s.People.SignOut(s.self, "a session")
	}},
	{action: "member.sign_out", do: func(s *subjects) error { return s.People.SignOutEverywhere(s.self) }},
	{action: "member.set_password", outcome: svcauth.OutcomeRefused, do: func(s *subjects) error {
		return refused(s.People.ChangePassword(s.self, "a wrong one", "another lighthouse over water"))
	}},
	{action: "member.set_password", do: func(s *subjects) error {
		return s.People.ChangePassword(s.self, rules.Password, "another lighthouse over water")
	}},
	{action: "member.update", do: func(s *subjects) error {
		return rules.Last(s.People.UpdateMember(s.admin, s.member, 0, svcauth.MemberPatch{FirstName: new("Anna")}))
	}},
	{action: "member.assign_role", do: func(s *subjects) error {
		return rules.Last(s.Access.AssignMemberRole(s.admin, s.member, s.role.ID, svcauth.GrantRequest{}))
	}},
	{action: "member.unassign_role",
		do: func(s *subjects) error { return s.Access.UnassignMemberRole(s.admin, s.member, s.role.ID, "") }},
	{action: "member.reset",
		do: func(s *subjects) error { return rules.Last(s.People.ResetMember(s.admin, s.member)) }},
	{action: "member.delete", do: func(s *subjects) error { return s.People.DeleteMember(s.admin, s.member) }},
	{action: "role.privileges_removed", do: func(s *subjects) error {
		apis, privileges := fewer()
		return rules.Last(s.Access.ApplyCatalog(s.T.Context(), apis, privileges, true))
	}},
	{action: "catalog.update", do: func(s *subjects) error {
		apis, privileges := fewer()
		privileges = append(privileges, svcauth.Privilege{Name: "clusters:paint", API: apis[0].Audience})
		return rules.Last(s.Access.ApplyCatalog(s.T.Context(), apis, privileges, false))
	}},
	{action: "role.delete", do: func(s *subjects) error { return s.Access.DeleteRole(s.admin, s.role.ID) }},
	{action: "signing_key.rotate",
		do: func(s *subjects) error { return rules.Last(s.Access.RotateSigningKeys(s.admin, svcauth.KeyRotation{})) }},
	{action: "signing_key.rotate", do: func(s *subjects) error {
		s.Clock.Advance(48 * time.Hour)
		return s.Keyring.Advance(s.T.Context())
	}},
	{action: "signing_key.delete", do: func(s *subjects) error {
		s.Clock.Advance(72 * time.Hour)
		return s.Keyring.Advance(s.T.Context())
	}},
	{action: "signing_key.revoke", do: func(s *subjects) error {
		keys, err := s.Keyring.List(s.T.Context())
		if err != nil {
			return err
		}
		return rules.Last(s.Access.RevokeSigningKey(s.admin, keys[0].KID))
	}},
	{action: "organization.bootstrap", alsoTenant: true, do: func(s *subjects) error {
		made, err := s.People.AddOrganization(s.T.Context(),
			people.NewTenant{Name: "offline", AdminEmail: "boss@offline.example"})
		s.tenant = made.Organization
		return err
	}},
	{action: "member.recover", alsoTenant: true, do: func(s *subjects) error {
		return rules.Last(s.People.Recover(s.T.Context(), people.RecoveryRequest{Email: "boss@offline.example"}))
	}},
	{action: "organization.create", alsoTenant: true, do: func(s *subjects) error {
		made, err := s.People.CreateOrganization(s.admin,
			svcauth.NewOrganization{Name: "tenant", AdminEmail: "boss@tenant.example"})
		s.tenant = made.Organization
		return err
	}},
	{action: "organization.update", alsoTenant: true, do: func(s *subjects) error {
		return rules.Last(s.Access.UpdateOrganizationByID(s.admin, s.tenant.ID,
			0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: new(true)}))
	}},
	{action: "organization.delete", alsoTenant: true,
		do: func(s *subjects) error { return s.Access.DeleteOrganization(s.admin, s.tenant.ID) }},
}

// refused wants an error.
func refused(err error) error {
	if err == nil {
		return fmt.Errorf("it was not refused")
	}
	return nil
}

// Whatever changes leaves an event where those look whom it concerns, and so
// does what was refused.
func TestWhatEachChangeLeavesInTheLog(t *testing.T) {
	f := rules.New(t, nil)
	s := &subjects{Fixture: f, admin: f.Admin()}
	tried := map[string]bool{}
	for _, step := range steps {
		if step.outcome == "" {
			step.outcome = svcauth.OutcomeDone
		}
		tried[step.action] = true
		f.Clock.Advance(2 * time.Minute) // what is joined is joined within a minute
		began := f.Clock.Now()
		require.NoError(t, step.do(s), step.action)
		of := func(org string) (found []svcauth.AuditEvent) {
			for _, e := range f.Audited(org, step.action) {
				if !e.Time.Before(began) && e.Outcome == step.outcome {
					found = append(found, e)
				}
			}
			return found
		}
		own := of(f.OrgID())
		require.NotEmpty(t, own, "%s (%s) leaves nothing in the operator's log", step.action, step.outcome)
		require.NotEmpty(t, own[0].Target.Kind, step.action)
		require.NotEmpty(t, own[0].Actor.Name, step.action)
		if step.alsoTenant {
			theirs := of(s.tenant.ID)
			require.Len(t, theirs, 1, "%s leaves nothing in the tenant's log", step.action)
			require.Equal(t, own[0].Actor, theirs[0].Actor)
			require.Empty(t, theirs[0].IP, "the operator's address is none of the tenant's business")
		}
	}
	for _, action := range access.TakesAway() {
		require.True(t, tried[action], "there is no action %s: nothing goes first by it", action)
	}
}

// The table of actions has each that the code writes, and no other: what it
// lacks can't be asked for.
func TestTheTableOfActionsIsWhole(t *testing.T) {
	written := map[string]bool{"member.role_expired": true, "service_account.role_expired": true} // put together
	for _, verb := range []string{"create", "delete"} {
		written["certificate."+verb] = true
	}
	for _, noun := range []string{"certificate", "federated_credential", "key"} {
		for _, verb := range []string{"create", "update", "delete"} {
			written[noun+"."+verb] = true
		}
	}
	delete(written, "certificate.update") // they are made anew instead
	literal := regexp.MustCompile(`"([a-z_]+)\.([a-z_]+)"`)
	nouns := map[string]bool{}
	for _, action := range svcauth.AuditActions() {
		noun, _, _ := strings.Cut(action, ".")
		nouns[noun] = true
	}
	for _, dir := range []string{"access", "app", "clientauth", "keyring", "people", "store", "token"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		require.NoError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			for _, found := range literal.FindAllStringSubmatch(string(text), -1) {
				if action := found[1] + "." + found[2]; nouns[found[1]] && action != "database.url" {
					written[action] = true
				}
			}
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(written)), svcauth.AuditActions())
}

// A caller that hangs up as soon as it has asked is in the log all the same.
func TestHangingUpLosesNoRefusal(t *testing.T) {
	f := rules.New(t, nil)
	_, nobody := f.Member("nobody@example.com")
	ctx, cancel := context.WithCancel(nobody)
	cancel()
	for range 40 {
		_, err := f.Access.CreateRole(ctx, svcauth.NewRole{Name: "mine"})
		rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	}
	events := f.Audited(f.OrgID(), "role.create")
	require.Len(t, events, 1)
	require.Equal(t, 40, events[0].Count)
}

// The catalogue's removals stand in the log of each organization whose roles
// had them, Administrator too.
func TestRemovalsFromTheCatalogueStandInEachLog(t *testing.T) {
	f := rules.New(t, nil)
	tenant, boss := f.Tenants("tenant")
	_, err := f.Access.CreateRole(boss,
		svcauth.NewRole{Name: "Editors", Privileges: []string{rules.Edit, rules.Create}})
	require.NoError(t, err)
	apis, privileges := fewer()
	_, err = f.Access.ApplyCatalog(t.Context(), apis, privileges, true)
	require.NoError(t, err)
	lost := map[string]string{}
	for _, e := range f.Audited(tenant.Organization.ID, "role.privileges_removed") {
		lost[e.Target.Name] = string(e.Before)
	}
	require.Len(t, lost, 2)
	for _, role := range []string{"Editors", svcauth.RoleAdministrator} {
		require.True(t, strings.Contains(lost[role], rules.Edit) && strings.Contains(lost[role], rules.Create),
			"%s: %s",
			role, lost[role])
	}
	require.Len(t, f.Audited(f.OrgID(), "catalog.update"), 1,
		"and the operator's says what was removed; the first load was before bootstrap")
}
