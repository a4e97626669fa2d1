package people_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// postbox is a mailer that keeps what it is given.
type postbox struct {
	mu   sync.Mutex
	wait time.Duration // what Admit answers
	all  []people.Letter
}

func (p *postbox) Admit(string, string) time.Duration { return p.wait }

func (p *postbox) Send(l people.Letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, l)
}

func (p *postbox) last(t *testing.T) people.Letter {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.NotEmpty(t, p.all)
	return p.all[len(p.all)-1]
}

// mailedToken takes the token out of a mail.
func mailedToken(t *testing.T, l people.Letter) svcauth.Secret {
	t.Helper()
	_, rest, ok := strings.Cut(l.Text, "?token=")
	require.True(t, ok, l.Text)
	token, _, _ := strings.Cut(rest, "\n")
	return svcauth.Secret(token)
}

// doors tries every way in for somebody who was invited, each on its own, and
// requires of all that they open, or that none does.
func doors(f *rules.Fixture, email string, token svcauth.Secret, open bool, why string) {
	f.T.Helper()
	_, byLink := f.People.Invitation(f.T.Context(), token)
	_, byProvider := f.People.MemberByVerifiedEmail(f.T.Context(), email)
	row, err := f.Store.Read().MemberByEmail(f.T.Context(), f.OrgID(), email)
	require.NoError(f.T, err)
	m, err := f.People.Member(f.Admin(), row.ID)
	require.NoError(f.T, err)
	if open {
		require.NoError(f.T, byLink, why)
		require.NoError(f.T, byProvider, why)
		require.Empty(f.T, m.Invitation.Problem, why)
		return
	}
	rules.Problem(f.T, svcauth.CodeNotFound, byLink)
	require.Contains(f.T, rules.Problem(f.T, svcauth.CodeForbidden, byProvider).Detail, "Ask an administrator", why)
	_, err = f.People.AcceptInvitation(f.T.Context(), token, rules.Password)
	rules.Problem(f.T, svcauth.CodeNotFound, err)
	_, err = f.People.SignInVerified(f.T.Context(), email, people.Identity{MemberID: row.ID, Epoch: row.SessionEpoch},
		rules.Home)
	rules.Problem(f.T, svcauth.CodeForbidden, err)
	if m.Invitation != nil {
		require.Contains(f.T, m.Invitation.Problem, "Make a new link", why)
	}
	row, err = f.Store.Read().MemberByEmail(f.T.Context(), f.OrgID(), email)
	require.NoError(f.T, err)
	require.Nil(f.T, row.ActivatedAt, why)
}

// TestLinkOfNarrowToken: what a narrow request made opens no more than that
// request could hand over, whatever its actor holds.
func TestLinkOfNarrowToken(t *testing.T) {
	f := rules.New(t, nil)
	administrator := f.System(f.OrgID(), store.RoleAdministrator)
	narrow := f.Narrow(f.Admin(), svcauth.MembersManage, svcauth.MembersRead)
	m, err := f.People.InviteMember(narrow, svcauth.NewMember{Email: "ann@example.com"})
	require.NoError(t, err)
	kept := rules.LinkToken(t, m.InvitationURL)
	doors(f, "ann@example.com", kept, true, "without a role")
	require.NoError(t,
		rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, f.Role("Helpers", svcauth.MembersRead).ID,
			svcauth.GrantRequest{})))
	doors(f, "ann@example.com", kept, true, "within what the token carried")
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), m.ID, administrator.ID, svcauth.GrantRequest{})))
	doors(f, "ann@example.com", kept, false, "its keeper would become Administrator")

	// What was given survives: a link by who may give it opens all of it.
	_, err = f.People.ResetMember(narrow, m.ID)
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	again, err := f.People.ResetMember(f.Admin(), m.ID)
	require.NoError(t, err)
	fresh := rules.LinkToken(t, again.InvitationURL)
	doors(f, "ann@example.com", fresh, true, "by an administrator in the console")
	_, err = f.People.AcceptInvitation(t.Context(), fresh, rules.Password)
	require.NoError(t, err)
	actor, _ := access.ActorFrom(f.InConsole("ann@example.com"))
	require.ElementsMatch(t, f.All(true), actor.Privileges)

	// A reset by a narrow token, then the member is promoted.
	bob := f.Join(f.Admin(), "bob@example.com")
	reset, err := f.People.ResetMember(narrow, bob.ID)
	require.NoError(t, err)
	require.NoError(t,
		rules.Last(f.Access.AssignMemberRole(f.Admin(), bob.ID, administrator.ID, svcauth.GrantRequest{})))
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, reset.InvitationURL), rules.Password)
	rules.Problem(t, svcauth.CodeNotFound, err)
}

// TestNarrowTokenHandsOverNoPublic: a new member holds what Public gives, too.
func TestNarrowTokenHandsOverNoPublic(t *testing.T) {
	f := rules.New(t, nil)
	public := f.System(f.OrgID(), store.RolePublic)
	_, err := f.Access.UpdateRole(f.Admin(), public.ID, 0, svcauth.RolePatch{Privileges: &[]string{rules.View}})
	require.NoError(t, err)
	_, err = f.People.InviteMember(f.Narrow(f.Admin(), svcauth.MembersManage),
		svcauth.NewMember{Email: "ann@example.com"})
	require.Equal(t, []string{rules.View}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
}

// TestLinkOpensOnlyWhileItsMakerMayMakeOne goes through how a maker loses that.
func TestLinkOpensOnlyWhileItsMakerMayMakeOne(t *testing.T) {
	f := rules.New(t, nil)
	viewers, managers := f.Role("Viewers", rules.View), f.Role("Managers", svcauth.MembersManage)
	bossID, _ := f.Member("boss@example.com", viewers, managers)
	boss := f.Console(f.OrgID(), bossID, "boss@example.com")
	m, err := f.People.InviteMember(boss, svcauth.NewMember{Email: "ann@example.com", RoleIDs: []string{viewers.ID}})
	require.NoError(t, err)
	token, yes, no := rules.LinkToken(t, m.InvitationURL), true, false
	for _, step := range []struct {
		why  string
		do   func() error
		open bool
	}{
		{"nothing has changed", func() error { return nil }, true},
		{"the maker lost members:manage",
			func() error { return f.Access.UnassignMemberRole(f.Admin(), bossID, managers.ID, "") }, false},
		{"it has it again", func() error {
			return rules.Last(f.Access.AssignMemberRole(f.Admin(), bossID, managers.ID, svcauth.GrantRequest{}))
		}, true},
		{"the maker lost what the link opens",
			func() error { return f.Access.UnassignMemberRole(f.Admin(), bossID, viewers.ID, "") }, false},
		{"it has it again", func() error {
			return rules.Last(f.Access.AssignMemberRole(f.Admin(), bossID, viewers.ID, svcauth.GrantRequest{}))
		}, true},
		{"the maker is suspended", func() error {
			_, err := f.People.UpdateMember(f.Admin(), bossID, 0, svcauth.MemberPatch{Suspended: &yes})
			return err
		}, false},
		{"it is back", func() error {
			_, err := f.People.UpdateMember(f.Admin(), bossID, 0, svcauth.MemberPatch{Suspended: &no})
			return err
		}, true},
		{"seven days are nearly over", func() error { f.Clock.Advance(7*24*time.Hour - time.Second); return nil },
			true},
		{"seven days are over", func() error { f.Clock.Advance(time.Second); return nil }, false},
	} {
		require.NoError(t, step.do(), step.why)
		doors(f, "ann@example.com", token, step.open, step.why)
	}
	m, err = f.People.ResetMember(boss, m.ID)
	require.NoError(t, err)
	token = rules.LinkToken(t, m.InvitationURL)
	doors(f, "ann@example.com", token, true, "invited again")
	require.NoError(t, f.People.DeleteMember(f.Admin(), bossID))
	doors(f, "ann@example.com", token, false, "the maker is removed")
}

// TestServiceAccountGetsNoLink: only the mail goes, and it opens only while
// the organization lets service accounts manage access.
func TestServiceAccountGetsNoLink(t *testing.T) {
	box := &postbox{}
	f := rules.New(t, func(c *rules.Config) { c.People.Mail = box })
	f.AllowMachines()
	machine := f.Machine(f.OrgID(),
		f.Account("robot", f.Role("Managers", svcauth.MembersManage, svcauth.MembersRead, svcauth.SettingsManage)))
	m, err := f.People.InviteMember(machine, svcauth.NewMember{Email: "ann@example.com"})
	require.NoError(t, err)
	require.Empty(t, m.InvitationURL)
	require.Equal(t, svcauth.MailQueued, m.Invitation.Mail)
	token := mailedToken(t, box.last(t))
	doors(f, "ann@example.com", token, true, "as it was allowed")
	allow := func(yes bool) {
		_, err := f.Access.UpdateOrganization(f.Admin(),
			0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: &yes})
		require.NoError(t, err)
	}
	allow(false)
	doors(f, "ann@example.com", token, false, "the setting is off")
	allow(true)
	doors(f, "ann@example.com", token, true, "the setting is on")
	reset, err := f.People.ResetMember(machine, m.ID)
	require.NoError(t, err)
	require.Empty(t, reset.InvitationURL)
	token = mailedToken(t, box.last(t))
	yes := true
	actor, _ := access.ActorFrom(machine)
	_, err = f.Access.UpdateServiceAccount(f.Admin(), actor.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes})
	require.NoError(t, err)
	doors(f, "ann@example.com", token, false, "the account is disabled")

	box.wait = time.Minute
	before := len(box.all)
	p := rules.Problem(t, svcauth.CodeTooMany,
		second(f.People.InviteMember(machine, svcauth.NewMember{Email: "bob@example.com"})))
	require.Equal(t, time.Minute, p.RetryAfter)
	_, err = f.Store.Read().MemberByEmail(t.Context(), f.OrgID(), "bob@example.com")
	require.ErrorIs(t, err, store.ErrNotFound, "nothing was changed")
	invited, err := f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "bob@example.com"})
	require.NoError(t, err, "a member has the link")
	require.Equal(t, svcauth.MailFailed, invited.Invitation.Mail)
	require.Contains(t, invited.Invitation.MailProblem, "too many mails")
	require.Len(t, box.all, before)
}

func second[T any](_ T, err error) error { return err }

// TestServiceAccountWithoutMail: nobody would ever get its link.
func TestServiceAccountWithoutMail(t *testing.T) {
	f := rules.New(t, nil)
	f.AllowMachines()
	ann := f.Join(f.Admin(), "ann@example.com")
	machine := f.Machine(f.OrgID(), f.Account("robot", f.System(f.OrgID(), store.RoleAdministrator)))
	for name, err := range map[string]error{
		"invite": second(f.People.InviteMember(machine, svcauth.NewMember{Email: "x@example.com"})),
		"reset":  second(f.People.ResetMember(machine, ann.ID)),
		"organization": second(f.People.CreateOrganization(machine,
			svcauth.NewOrganization{Name: "acme", AdminEmail: "x@example.com"})),
	} {
		require.Contains(t, rules.Problem(t, svcauth.CodeInvalid, err).Detail, "only sent by mail", name)
	}
	f.InConsole("ann@example.com") // her password was not taken away
}

// TestLinkToTenantDiesWithItsMaker: the operator's member who made a tenant
// may have kept the link to its first Administrator.
func TestLinkToTenantDiesWithItsMaker(t *testing.T) {
	f := rules.New(t, nil)
	operators := f.Role("Operators", svcauth.OrganizationsManage)
	id, operator := f.Member("op@example.com", operators)
	made, err := f.People.CreateOrganization(operator,
		svcauth.NewOrganization{Name: "acme", AdminEmail: "boss@acme.example"})
	require.NoError(t, err)
	token := rules.LinkToken(t, made.InvitationURL)
	_, err = f.People.Invitation(t.Context(), token)
	require.NoError(t, err)
	require.NoError(t, f.Access.UnassignMemberRole(f.Admin(), id, operators.ID, ""))
	_, err = f.People.Invitation(t.Context(), token)
	rules.Problem(t, svcauth.CodeNotFound, err)
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), id, operators.ID, svcauth.GrantRequest{})))
	_, err = f.People.AcceptInvitation(t.Context(), token, rules.Password)
	require.NoError(t, err)
}

func TestMailBringsTheLinkAndNothingOfTheTenants(t *testing.T) {
	box := &postbox{}
	f := rules.New(t, func(c *rules.Config) { c.People.Mail = box })
	name := "Pay at https://evil.example/x <b>\u3002now"
	_, err := f.Access.UpdateOrganization(f.Admin(), 0, svcauth.OrganizationPatch{Name: &name})
	require.NoError(t, err)
	m, err := f.People.InviteMember(f.Admin(),
		svcauth.NewMember{Email: "Ann@Example.com", FirstName: "http://evil.example"})
	require.NoError(t, err)
	l := box.last(t)
	require.Equal(t, "ann@example.com", l.To)
	require.Equal(t, "Invitation to localhost:8080", l.Subject)
	require.Contains(t, l.Text, m.InvitationURL)
	require.Contains(t, l.Text, `The organization "Pay at https evil example x b now" invites you`)
	require.NotContains(t, strings.ReplaceAll(l.Text, m.InvitationURL, ""), "//")
	require.NotContains(t, l.Text, "evil.example")

	_, err = f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: f.Tenant.AdminEmail})
	rules.Problem(t, svcauth.CodeConflict, err)
	require.Len(t, box.all, 1, "what is refused is not written about")
	state := func() *svcauth.Invitation {
		t.Helper()
		list, err := f.People.Members(f.Admin(), svcauth.ListOptions{})
		require.NoError(t, err)
		one, err := f.People.Member(f.Admin(), m.ID)
		require.NoError(t, err)
		for _, listed := range list.Items {
			if listed.ID == m.ID {
				require.Equal(t, one.Invitation, listed.Invitation)
			}
		}
		return one.Invitation
	}
	require.Equal(t, svcauth.MailQueued, state().Mail)
	f.Clock.Advance(time.Minute)
	l.Result("It was not sent: the mail server refused the address (code 550). Check it.")
	i := state()
	require.Equal(t, svcauth.MailFailed, i.Mail)
	require.Equal(t, f.Clock.Now(), *i.MailAt)
	require.Contains(t, i.MailProblem, "550")
	again, err := f.People.ResetMember(f.Admin(), m.ID)
	require.NoError(t, err)
	require.Equal(t, svcauth.MailQueued, again.Invitation.Mail)
	l.Result("late") // of the link that was replaced
	require.Equal(t, svcauth.MailQueued, state().Mail)
	box.last(t).Result("")
	require.Equal(t, svcauth.MailSent, state().Mail)
	_, err = f.People.AcceptInvitation(t.Context(), mailedToken(t, box.last(t)), rules.Password)
	require.NoError(t, err)
	one, err := f.People.Member(f.Admin(), m.ID)
	require.NoError(t, err)
	require.Nil(t, one.Invitation)

	_, err = f.People.ResetMember(f.Admin(), m.ID)
	require.NoError(t, err)
	require.Equal(t, "Set a new password at localhost:8080", box.last(t).Subject)
	f.Clock.Advance(time.Hour)
	require.Equal(t, svcauth.MailFailed, state().Mail, "a server that stopped says nothing any more")
}

func TestAddressesThatMailServersReadOtherwise(t *testing.T) {
	f := rules.New(t, nil)
	for _, bad := range []string{"user@[192.0.2.1]", "user@192.0.2.1", "user@[IPv6:2001:db8::1]",
		`"quoted local"@example.com`, `"quoted"@example.com`, "user%evil.example@example.com",
		"evil.example!user@example.com", "|cmd@example.com", "-oX@example.com", "a`b@example.com", "ann@exa_mple.com",
		"@evil.example:ann@example.com"} {
		rules.Problem(t, svcauth.CodeInvalid, second(f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: bad})))
	}
	for _, good := range []string{"ann+tag@example.com", "o'brien@example.co.uk", "Ünal@bücher.example",
		"a_b-c.d=e@xn--bcher-kva.example", "x@localhost"} {
		m, err := f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: good})
		require.NoError(t, err, good)
		require.Equal(t, strings.Replace(good, "E", "e", 1), m.Email)
	}
}

// TestLinkOpensOnlyForAsLongAsItsMakerHolds: it is judged when it is used.
func TestLinkOpensOnlyForAsLongAsItsMakerHolds(t *testing.T) {
	f := rules.New(t, nil)
	managers, editors := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage), f.Role("Editors", rules.Edit)
	maker, ctx := f.Member("maker@example.com", managers, editors)
	m, err := f.People.InviteMember(ctx, svcauth.NewMember{Email: "ann@example.com", RoleIDs: []string{editors.ID}})
	require.NoError(t, err)
	token := rules.LinkToken(t, m.InvitationURL)
	doors(f, "ann@example.com", token, true, "its maker holds it for good")
	f.Until(maker, editors, f.Clock.Now().Add(time.Hour))
	doors(f, "ann@example.com", token, false, "its maker holds it for an hour")
}
