package people_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestInvitationToActiveMember(t *testing.T) {
	f := rules.New(t, nil)
	viewers := f.Role("Viewers", rules.View)
	invited, err := f.People.InviteMember(f.Admin(),
		svcauth.NewMember{Email: "ann@example.com", FirstName: "Ann", LastName: "Lee", RoleIDs: []string{viewers.ID}})
	require.NoError(t, err)
	require.Equal(t, svcauth.MemberInvited, invited.Status)
	require.Equal(t, []svcauth.Ref{{ID: viewers.ID, Name: "Viewers"}}, invited.Roles)
	require.Equal(t, f.Tenant.AdminEmail, invited.CreatedBy.Email)
	token := rules.LinkToken(t, invited.InvitationURL)

	about, err := f.People.Invitation(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, people.LinkInfo{Email: "ann@example.com", FirstName: "Ann", LastName: "Lee", Kind: "invite",
		Organization: "default", ExpiresAt: f.Clock.Now().Add(7 * 24 * time.Hour)}, about)
	_, err = f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	rules.Problem(t, svcauth.CodeUnauthenticated, err)

	_, err = f.People.AcceptInvitation(t.Context(), token, "too short")
	rules.Problem(t, svcauth.CodeInvalid, err)
	id, err := f.People.AcceptInvitation(t.Context(), token, rules.Password)
	require.NoError(t, err)
	require.Equal(t, invited.ID, id)
	session := f.InConsole("ANN@example.com") // addresses are compared without regard to case
	actor, _ := access.ActorFrom(session)
	require.Equal(t, []string{rules.View}, actor.Privileges)
	m, err := f.People.Member(f.Admin(), id)
	require.NoError(t, err)
	require.Equal(t, svcauth.MemberActive, m.Status)
	require.Equal(t, f.Clock.Now(), *m.LastSignInAt)
	require.Empty(t, m.InvitationURL)

	require.Len(t, f.Audited(f.OrgID(), "member.invite"), 1)
	require.Len(t, f.Audited(f.OrgID(), "member.activate"), 1)
	outcomes := map[string]int{}
	for _, e := range f.Audited(f.OrgID(), "member.sign_in") {
		outcomes[e.Outcome] += e.Count
	}
	require.Equal(t, map[string]int{svcauth.OutcomeRefused: 1, svcauth.OutcomeDone: 1}, outcomes)
	for _, e := range f.Audited(f.OrgID(), "") {
		require.NotContains(t, string(e.Before)+string(e.After), token.Reveal())
	}
}

// TestInvitingAgain: somebody who has not accepted is invited again, a member
// is not.
func TestInvitingAgain(t *testing.T) {
	f := rules.New(t, nil)
	viewers, editors := f.Role("Viewers", rules.View), f.Role("Editors", rules.Edit)
	first, err := f.People.InviteMember(f.Admin(),
		svcauth.NewMember{Email: "ann@example.com", FirstName: "Ann", LastName: "Lee", RoleIDs: []string{viewers.ID}})
	require.NoError(t, err)
	again, err := f.People.InviteMember(f.Admin(),
		svcauth.NewMember{Email: "Ann@example.com", LastName: "Lovelace", RoleIDs: []string{editors.ID}})
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	require.Equal(t, "Ann Lovelace", again.FirstName+" "+again.LastName, "a name that is not given stays")
	require.Len(t, again.Roles, 2)
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, first.InvitationURL), rules.Password)
	rules.Problem(t, svcauth.CodeNotFound, err)
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, again.InvitationURL), rules.Password)
	require.NoError(t, err)

	_, err = f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "ann@example.com"})
	rules.Problem(t, svcauth.CodeConflict, err)
	yes := true
	_, err = f.People.UpdateMember(f.Admin(), first.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)
	_, err = f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "ann@example.com"})
	rules.Problem(t, svcauth.CodeConflict, err)
}

func TestInvitationLinkWorksOnceAndExpires(t *testing.T) {
	f := rules.New(t, nil)
	invite := func(email string) svcauth.Secret {
		m, err := f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: email})
		require.NoError(t, err)
		return rules.LinkToken(t, m.InvitationURL)
	}
	used, old, replaced := invite("a@example.com"), invite("b@example.com"), invite("c@example.com")
	_, err := f.People.AcceptInvitation(t.Context(), used, rules.Password)
	require.NoError(t, err)
	again := invite("c@example.com")
	dan, err := f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "d@example.com"})
	require.NoError(t, err)
	suspended, yes := rules.LinkToken(t, dan.InvitationURL), true
	_, err = f.People.UpdateMember(f.Admin(), dan.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)

	var answers []string
	refused := func(token svcauth.Secret) {
		t.Helper()
		_, err := f.People.Invitation(t.Context(), token)
		answers = append(answers, rules.Problem(t, svcauth.CodeNotFound, err).Detail)
		_, err = f.People.AcceptInvitation(t.Context(), token, rules.Password)
		answers = append(answers, rules.Problem(t, svcauth.CodeNotFound, err).Detail)
	}
	refused(used)
	refused(replaced)
	refused(suspended)
	refused("")
	refused("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Clock.Advance(7 * 24 * time.Hour)
	refused(old)
	refused(again)
	for _, a := range answers {
		require.Equal(t, answers[0], a, "nobody learns why a link does not work")
	}
	fresh := invite("b@example.com")
	_, err = f.People.AcceptInvitation(t.Context(), fresh, rules.Password)
	require.NoError(t, err)
}

func TestInvitingNeedsMembersManageAndHandsOverRoles(t *testing.T) {
	f := rules.New(t, nil)
	viewers, editors := f.Role("Viewers", rules.View), f.Role("Editors", rules.Edit)
	manager := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage, rules.View)
	_, boss := f.Member("boss@example.com", manager)
	_, reader := f.Member("reader@example.com", f.Role("Readers", svcauth.MembersRead))

	_, err := f.People.InviteMember(reader, svcauth.NewMember{Email: "x@example.com"})
	require.Equal(t, []string{svcauth.MembersManage}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.People.InviteMember(boss,
		svcauth.NewMember{Email: "x@example.com", RoleIDs: []string{viewers.ID, editors.ID}})
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	list, err := f.People.Members(f.Admin(), svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 3, "a refused invitation leaves no member")
	refused := f.Audited(f.OrgID(), "member.invite")
	require.Len(t, refused, 2)
	require.Equal(t, svcauth.OutcomeRefused, refused[0].Outcome)

	_, err = f.People.InviteMember(boss, svcauth.NewMember{Email: "x@example.com", RoleIDs: []string{viewers.ID}})
	require.NoError(t, err)

	// To invite again somebody who was given more is to get at what that one
	// holds.
	_, err = f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "y@example.com", RoleIDs: []string{editors.ID}})
	require.NoError(t, err)
	_, err = f.People.InviteMember(boss, svcauth.NewMember{Email: "y@example.com"})
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.People.InviteMember(f.Narrow(f.Admin(), svcauth.MembersManage),
		svcauth.NewMember{Email: "z@example.com", RoleIDs: []string{viewers.ID}})
	require.Equal(t, []string{rules.View}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "boss@example.com"})
	rules.Problem(t, svcauth.CodeConflict, err)
	for _, bad := range []string{"", "x", "Ann <ann@example.com>", "ann@example.com\r\nBcc: all@example.com",
		strings.Repeat("a", 250) + "@example.com"} {
		_, err = f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: bad})
		rules.Problem(t, svcauth.CodeInvalid, err)
	}
}

func TestServiceAccountManagesMembersOnlyWhereAllowed(t *testing.T) {
	f := rules.New(t, func(c *rules.Config) { c.People.Mail = &postbox{} })
	role := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage, svcauth.SettingsManage)
	machine := f.Machine(f.OrgID(), f.Account("robot", role))
	id, _ := f.Member("ann@example.com", role)
	yes := true
	attempts := map[string]func() error{
		"invite": func() error {
			_, err := f.People.InviteMember(machine, svcauth.NewMember{Email: "x@example.com"})
			return err
		},
		"assign": func() error {
			return rules.Last(f.Access.AssignMemberRole(machine, id, role.ID,
				svcauth.GrantRequest{}))
		},
		"unassign": func() error { return f.Access.UnassignMemberRole(machine, id, role.ID, "") },
		"update": func() error {
			_, err := f.People.UpdateMember(machine, id, 0, svcauth.MemberPatch{Suspended: &yes})
			return err
		},
		"reset":  func() error { _, err := f.People.ResetMember(machine, id); return err },
		"delete": func() error { return f.People.DeleteMember(machine, id) },
		"allow itself": func() error {
			_, err := f.Access.UpdateOrganization(machine, 0,
				svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: &yes})
			return err
		},
	}
	for name, try := range attempts {
		p := rules.Problem(t, svcauth.CodeForbidden, try())
		require.Contains(t, p.Detail, "service account", name)
	}
	f.AllowMachines()
	for _, name := range []string{"invite", "assign", "reset", "unassign", "update", "delete"} {
		require.NoError(t, attempts[name](), name)
	}
}

func TestLastAdministratorStays(t *testing.T) {
	f := rules.New(t, nil)
	admin, administrator := f.Tenant.AdminID, f.System(f.OrgID(), store.RoleAdministrator)
	yes, no := true, false
	takeAway := func() []error {
		_, suspend := f.People.UpdateMember(f.Admin(), admin, 0, svcauth.MemberPatch{Suspended: &yes})
		return []error{suspend, f.Access.UnassignMemberRole(f.Admin(), admin, administrator.ID, ""),
			f.People.DeleteMember(f.Admin(), admin)}
	}
	refused := func(why string) {
		t.Helper()
		for _, err := range takeAway() {
			require.Contains(t, rules.Problem(t, svcauth.CodeConflict, err).Detail, "last Administrator", why)
		}
	}
	refused("alone")
	machine := f.Account("robot", administrator)
	refused("a service account does not count")
	_, err := f.People.InviteMember(f.Admin(),
		svcauth.NewMember{Email: "invited@example.com", RoleIDs: []string{administrator.ID}})
	require.NoError(t, err)
	refused("who has not accepted does not count")
	second := f.Join(f.Admin(), "second@example.com", administrator)
	_, err = f.People.UpdateMember(f.Admin(), second.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)
	refused("who is suspended does not count")
	_, err = f.People.UpdateMember(f.Admin(), second.ID, 0, svcauth.MemberPatch{Suspended: &no})
	require.NoError(t, err)
	hold := func(id string, rest time.Duration) {
		t.Helper()
		end := f.Clock.Now().Add(rest)
		require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error {
			return q.PutGrant(t.Context(), store.GrantRow{OrgID: f.OrgID(), PrincipalID: id, RoleID: administrator.ID,
				GrantedAt: f.Clock.Now(), ExpiresAt: &end})
		}))
	}
	hold(second.ID, -time.Second)
	refused("whose grant has expired does not count")
	hold(second.ID, 365*24*time.Hour)
	refused("whose grant will expire does not count: time alone would leave nobody")
	shorten := func(id string, r svcauth.GrantRequest, rest time.Duration) error {
		r.ExpiresAt = new(f.Clock.Now().Add(rest))
		return rules.Last(f.Access.AssignMemberRole(f.Admin(), id, administrator.ID, r))
	}
	for _, r := range []svcauth.GrantRequest{{}, {ID: svcauth.NewID(svcauth.PrefixGrant)}} {
		p := rules.Problem(t, svcauth.CodeConflict, shorten(admin, r, 10*365*24*time.Hour))
		require.Contains(t, p.Detail, "last Administrator", "nor may it be given an end")
	}
	require.NoError(t,
		rules.Last(f.Access.AssignMemberRole(f.Admin(), second.ID, administrator.ID, svcauth.GrantRequest{})))
	require.NoError(t, shorten(admin, svcauth.GrantRequest{}, time.Hour), "another one holds it for good")
	rules.Problem(t, svcauth.CodeConflict, shorten(second.ID, svcauth.GrantRequest{}, time.Hour))
	forGood := f.Console(f.OrgID(), second.ID, "second@example.com")
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(forGood, admin, administrator.ID, svcauth.GrantRequest{})))
	require.NoError(t, shorten(second.ID, svcauth.GrantRequest{}, time.Hour))
	require.NoError(t, f.Access.UnassignMemberRole(f.Admin(), second.ID, administrator.ID, ""),
		"who holds it for a time may lose it")
	_, elsewhere := f.Tenants("other")
	_ = elsewhere
	refused("another organization's does not count")
	require.NoError(t,
		rules.Last(f.Access.AssignMemberRole(f.Admin(), second.ID, administrator.ID, svcauth.GrantRequest{})))
	require.NoError(t, f.Access.UnassignMemberRole(f.Admin(), admin, administrator.ID, ""))
	_ = machine

	// Nobody holds it for good: then the one who holds it longest is the last.
	hold(admin, time.Hour)
	hold(second.ID, 2*time.Hour)
	rules.Problem(t, svcauth.CodeConflict, shorten(second.ID, svcauth.GrantRequest{}, 90*time.Minute))
	require.NoError(t, shorten(admin, svcauth.GrantRequest{}, 30*time.Minute), "another one holds it longer")
	err = f.People.DeleteMember(f.Admin(), second.ID)
	require.Contains(t, rules.Problem(t, svcauth.CodeConflict, err).Detail, "last Administrator")
	hold(admin, 2*time.Hour)
	require.NoError(t, f.People.DeleteMember(f.Admin(), second.ID), "another holds it for as long")
}

func TestRemovedMemberIsOutAndItsAccountsLiveOn(t *testing.T) {
	f := rules.New(t, nil)
	administrator := f.System(f.OrgID(), store.RoleAdministrator)
	m := f.Join(f.Admin(), "ann@example.com", administrator)
	ann := f.InConsole("ann@example.com")
	in, err := f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	require.NoError(t, err)
	account, err := f.Access.CreateServiceAccount(ann,
		svcauth.NewServiceAccount{Name: "hers", RoleIDs: []string{administrator.ID}})
	require.NoError(t, err)
	key, token := f.Key(ann)
	machine := f.Token(account.ID)
	f.Lives(token, machine)

	require.NoError(t, f.People.DeleteMember(f.Admin(), m.ID))
	f.Dies(token)
	f.Lives(machine)
	_, _, err = f.People.SessionActor(t.Context(), in)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	_, err = f.Store.Read().Credentials(t.Context(), key.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = f.Access.TokenActor(t.Context(), &verify.Claims{Subject: m.ID, ClientID: key.ID, OrgID: f.OrgID()})
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	_, err = f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	kept, err := f.Access.ServiceAccount(f.Admin(), account.ID)
	require.NoError(t, err)
	require.Equal(t, svcauth.Creator{ID: m.ID, Email: "ann@example.com"}, kept.CreatedBy)
	events, err := f.Access.AuditEvents(f.Admin(), svcauth.AuditFilter{Actor: m.ID, Action: "service_account.create"})
	require.NoError(t, err)
	require.Equal(t, "ann@example.com", events.Items[0].Actor.Name)
	rules.Problem(t, svcauth.CodeNotFound, f.People.DeleteMember(f.Admin(), m.ID))
}

func TestSuspensionIsReversible(t *testing.T) {
	f := rules.New(t, nil)
	viewers := f.Role("Viewers", rules.View)
	m := f.Join(f.Admin(), "ann@example.com", viewers)
	in, err := f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	require.NoError(t, err)
	key, token := f.Key(f.InConsole("ann@example.com"))
	yes, no := true, false
	changed, err := f.People.UpdateMember(f.Admin(), m.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)
	require.Equal(t, svcauth.MemberSuspended, changed.Status)
	f.Dies(token)
	_, _, err = f.People.SessionActor(t.Context(), in)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	_, err = f.Store.Read().Credentials(t.Context(), key.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "its key has ended for good")
	_, err = f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	rules.Problem(t, svcauth.CodeForbidden, err)
	_, err = f.People.ResetMember(f.Admin(), m.ID)
	rules.Problem(t, svcauth.CodeConflict, err)

	_, boss := f.Member("boss@example.com", f.Role("Managers", svcauth.MembersManage))
	_, err = f.People.UpdateMember(boss, m.ID, 0, svcauth.MemberPatch{Suspended: &no})
	require.Equal(t, []string{rules.View}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.People.UpdateMember(f.Admin(), m.ID, changed.Version, svcauth.MemberPatch{Suspended: &no})
	require.NoError(t, err)
	f.Dies(token)
	_, again := f.Key(f.InConsole("ann@example.com"))
	f.Lives(again)
}

func TestUnassigningKillsOnlyTokensWithThatRole(t *testing.T) {
	f := rules.New(t, nil)
	viewers, editors := f.Role("Viewers", rules.View), f.Role("Editors", rules.Edit)
	m := f.Join(f.Admin(), "ann@example.com", viewers)
	ann := f.InConsole("ann@example.com")
	key, before := f.Key(ann)
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, editors.ID, svcauth.GrantRequest{})))
	f.Lives(before)
	both := f.Token(key.ID)
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, editors.ID, svcauth.GrantRequest{})),
		"twice is no error")
	require.Len(t, f.Audited(f.OrgID(), "member.assign_role"), 1)
	require.NoError(t, f.Access.UnassignMemberRole(f.Admin(), m.ID, editors.ID, ""))
	f.Dies(both)
	f.Lives(before, f.Token(key.ID))
	require.NoError(t, f.Access.UnassignMemberRole(f.Admin(), m.ID, editors.ID, ""), "it is idempotent")
	grants, err := f.Access.MemberRoles(f.Admin(), m.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, grants.Items, 1)

	_, boss := f.Member("boss@example.com", f.Role("Managers", svcauth.MembersManage))
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges,
		rules.Last(f.Access.AssignMemberRole(boss, m.ID, editors.ID, svcauth.GrantRequest{}))).Missing)
	rules.Problem(t, svcauth.CodeConflict,
		rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, f.System(f.OrgID(), store.RolePublic).ID,
			svcauth.GrantRequest{})))
}

func TestResettingHandsOverWhatTheMemberHolds(t *testing.T) {
	f := rules.New(t, nil)
	viewers := f.Role("Viewers", rules.View)
	m := f.Join(f.Admin(), "ann@example.com", viewers)
	in, err := f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	require.NoError(t, err)
	_, token := f.Key(f.InConsole("ann@example.com"))
	_, boss := f.Member("boss@example.com", f.Role("Managers", svcauth.MembersManage))
	_, err = f.People.ResetMember(boss, m.ID)
	require.Equal(t, []string{rules.View}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, _, err = f.People.SessionActor(t.Context(), in)
	require.NoError(t, err)

	reset, err := f.People.ResetMember(f.Admin(), m.ID)
	require.NoError(t, err)
	_, _, err = f.People.SessionActor(t.Context(), in)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	f.Dies(token)
	_, err = f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: rules.Password, IP: rules.Home})
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	link := rules.LinkToken(t, reset.InvitationURL)
	about, err := f.People.Invitation(t.Context(), link)
	require.NoError(t, err)
	require.Equal(t, "reset", about.Kind)
	_, err = f.People.AcceptInvitation(t.Context(), link, "another harbour in the fog")
	require.NoError(t, err)
	_, err = f.People.SignIn(t.Context(),
		people.SignInRequest{Email: "ann@example.com", Password: "another harbour in the fog", IP: rules.Home})
	require.NoError(t, err)

	late, err := f.People.ResetMember(f.Admin(), m.ID)
	require.NoError(t, err)
	f.Clock.Advance(24 * time.Hour)
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, late.InvitationURL), rules.Password)
	rules.Problem(t, svcauth.CodeNotFound, err)
}

func TestMemberVersionAndNames(t *testing.T) {
	f := rules.New(t, nil)
	m := f.Join(f.Admin(), "ann@example.com")
	m, err := f.People.Member(f.Admin(), m.ID)
	require.NoError(t, err)
	first, long := "Anna", strings.Repeat("x", 65)
	changed, err := f.People.UpdateMember(f.Admin(), m.ID, m.Version, svcauth.MemberPatch{FirstName: &first})
	require.NoError(t, err)
	require.Equal(t, "Anna", changed.FirstName)
	require.Equal(t, m.Version+1, changed.Version)
	_, err = f.People.UpdateMember(f.Admin(), m.ID, m.Version, svcauth.MemberPatch{FirstName: &long})
	rules.Problem(t, svcauth.CodePreconditionFailed, err)
	_, err = f.People.UpdateMember(f.Admin(), m.ID, 0, svcauth.MemberPatch{FirstName: &long})
	rules.Problem(t, svcauth.CodeInvalid, err)
	again, err := f.People.UpdateMember(f.Admin(), m.ID, 0, svcauth.MemberPatch{FirstName: &first})
	require.NoError(t, err)
	require.Equal(t, changed.Version, again.Version, "nothing changed, nothing is written")
	require.Len(t, f.Audited(f.OrgID(), "member.update"), 2) // the change, and the stale one that was refused
}

func TestMemberPages(t *testing.T) {
	f := rules.New(t, nil)
	for _, name := range []string{"a", "b", "c", "d"} {
		f.Clock.Advance(time.Second)
		f.Member(name + "@example.com")
	}
	var seen []string
	for cursor := ""; ; {
		list, err := f.People.Members(f.Admin(), svcauth.ListOptions{Limit: 2, Cursor: cursor})
		require.NoError(t, err)
		for _, m := range list.Items {
			seen = append(seen, m.Email)
		}
		f.Clock.Advance(time.Second)
		f.Member("late" + f.Clock.Now().Format("150405") + "@example.com") // others insert meanwhile
		if list.NextCursor == nil {
			break
		}
		cursor = *list.NextCursor
	}
	require.Equal(t, []string{"d@example.com", "c@example.com", "b@example.com", "a@example.com", "admin@example.com"},
		seen)
	for _, bad := range []svcauth.ListOptions{{Limit: -1}, {Limit: 201}, {Cursor: "x"}, {Cursor: "c2FfMDA"}} {
		_, err := f.People.Members(f.Admin(), bad)
		rules.Problem(t, svcauth.CodeInvalid, err)
	}
}

// Whoever makes a link may keep it. It opens no more than its maker could hand
// over when it is used.
func TestLinkOpensOnlyWhatItsMakerHolds(t *testing.T) {
	f := rules.New(t, nil)
	viewers, editors := f.Role("Viewers", rules.View), f.Role("Editors", rules.Edit)
	managers := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage, rules.View)
	bossID, boss := f.Member("boss@example.com", managers)
	invite := func(ctx context.Context, email string, roles ...string) (svcauth.Member, svcauth.Secret) {
		m, err := f.People.InviteMember(ctx, svcauth.NewMember{Email: email, RoleIDs: roles})
		require.NoError(t, err)
		return m, rules.LinkToken(t, m.InvitationURL)
	}
	accept := func(token svcauth.Secret) error {
		_, err := f.People.AcceptInvitation(t.Context(), token, rules.Password)
		return err
	}
	// Somebody else gave the invited one more than the inviter holds.
	m, token := invite(boss, "a@example.com", viewers.ID)
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, editors.ID, svcauth.GrantRequest{})))
	rules.Problem(t, svcauth.CodeNotFound, accept(token))
	_, token = invite(f.Admin(), "a@example.com")
	require.NoError(t, accept(token))
	// The same with the link of a reset.
	reset, err := f.People.ResetMember(boss, f.Join(f.Admin(), "b@example.com", viewers).ID)
	require.NoError(t, err)
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), reset.ID, editors.ID, svcauth.GrantRequest{})))
	rules.Problem(t, svcauth.CodeNotFound, accept(rules.LinkToken(t, reset.InvitationURL)))
	// The inviter's role was given away, the inviter was suspended, or removed.
	_, token = invite(boss, "c@example.com", viewers.ID)
	require.NoError(t, f.Access.UnassignMemberRole(f.Admin(), bossID, managers.ID, ""))
	rules.Problem(t, svcauth.CodeNotFound, accept(token))
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), bossID, managers.ID, svcauth.GrantRequest{})))
	_, err = f.People.Invitation(t.Context(), token)
	require.NoError(t, err)
	yes := true
	_, err = f.People.UpdateMember(f.Admin(), bossID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)
	rules.Problem(t, svcauth.CodeNotFound, accept(token))
	require.NoError(t, f.People.DeleteMember(f.Admin(), bossID))
	rules.Problem(t, svcauth.CodeNotFound, accept(token))
}
