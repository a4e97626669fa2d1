package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/smtptest"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const chosenPassword = "seven tall ships at noon"

// door is a server with single sign-on, mail, and a clock that jumps.
type door struct {
	*svctest.Server
	t        *testing.T
	provider *openID
	mail     *smtptest.Server
	ahead    atomic.Int64
	roles    map[string]string
}

func newDoor(t *testing.T, environ ...string) *door {
	d := &door{
		t:        t,
		provider: newOpenID(t, true),
		mail:     smtptest.Start(t, &smtptest.Server{STARTTLS: true}),
		roles:    map[string]string{},
	}
	environ = append(environ, "SVCAUTH_SMTP_URL=smtp://"+d.mail.Address,
		"SVCAUTH_SMTP_FROM=svcauth <no-reply@auth.example>", "SVCAUTH_SMTP_CA_FILE="+d.mail.CAFile)
	d.Server = svctest.New(t, svctest.Options{
		Environ: append(environ, d.provider.environ()...),
		Clock:   func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) },
	})
	list, err := d.Admin().Roles(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	for _, r := range list.Items {
		d.roles[r.Name] = r.ID
	}
	return d
}

// join makes an active member, and an application key of it.
func (d *door) join(email string, roles ...string) (svcauth.Member, *svcauth.Client) {
	d.t.Helper()
	var ids []string
	for _, r := range roles {
		ids = append(ids, d.roles[r])
	}
	m, err := d.Admin().InviteMember(d.t.Context(), svcauth.NewMember{Email: email, RoleIDs: ids})
	require.NoError(d.t, err)
	require.Equal(d.t, http.StatusSeeOther, d.accept(m.InvitationURL).status)
	p := visit(d.t, d.Server)
	require.Equal(d.t, http.StatusSeeOther, p.signIn(email, chosenPassword).status)
	req, err := http.NewRequest(http.MethodPost, d.URL+"/v1/application-keys", strings.NewReader("{}"))
	require.NoError(d.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	a := p.do(req)
	require.Equal(d.t, http.StatusCreated, a.status, a.body)
	var key svcauth.ApplicationKey
	require.NoError(d.t, json.Unmarshal([]byte(a.body), &key))
	return m, d.Client(key.ClientID, key.ClientSecret)
}

func (d *door) accept(link string) answer {
	d.t.Helper()
	u, err := url.Parse(link)
	require.NoError(d.t, err)
	return visit(d.t, d.Server).post("/console/invitation", url.Values{
		"token":    {u.Query().Get("token")},
		"password": {chosenPassword},
		"repeat":   {chosenPassword},
	})
}

// signOn goes through the provider as an address.
func (d *door) signOn(email string) answer {
	d.t.Helper()
	d.provider.honest(email)
	p := visit(d.t, d.Server)
	return p.get(throughProvider(p, d.provider, "/console").RequestURI())
}

// shut requires that neither the link nor single sign-on lets anybody in, and
// that both say what to do.
func (d *door) shut(email, link string) {
	d.t.Helper()
	a := d.accept(link)
	require.Equal(d.t, http.StatusNotFound, a.status, a.body)
	require.Contains(d.t, a.body, "Ask an administrator of your organization for a new one")
	a = d.signOn(email)
	require.Equal(d.t, http.StatusForbidden, a.status, a.body)
	require.Contains(d.t, a.body, "Ask an administrator of your organization for a new one")
}

// mailedLink takes the link out of the next mail.
func (d *door) mailedLink() string {
	d.t.Helper()
	select {
	case text := <-d.mail.Sent:
		text = strings.ReplaceAll(strings.ReplaceAll(text, "=\r\n", ""), "=3D", "=") // quoted-printable
		at := strings.Index(text, d.Issuer+"/console/invitation?token=")
		require.Positive(d.t, at, text)
		link, _, _ := strings.Cut(text[at:], "\r\n")
		return link
	case <-time.After(20 * time.Second):
		d.t.Fatal("no mail came")
		return ""
	}
}

// narrow is a client of the management API whose tokens carry only a scope.
func (d *door) narrow(scope string) *svcauth.Client {
	d.t.Helper()
	key := d.Tenant.ApplicationKey
	tokens, err := tokensource.New(tokensource.Config{
		TokenURL:     d.URL + "/oauth2/token",
		ClientID:     key.ClientID,
		ClientSecret: key.ClientSecret,
		HTTPClient:   d.HTTP,
		Resource:     []string{d.Issuer},
		Scopes:       strings.Fields(scope),
	})
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = tokens.Close() })
	client, err := svcauth.NewClient(svcauth.ClientConfig{
		URL:        d.URL,
		HTTPClient: &http.Client{Transport: tokens.Transport(d.HTTP.Transport)},
	})
	require.NoError(d.t, err)
	return client
}

// TestKeptLinkOfANarrowTokenMakesNobodyAdministrator: an Administrator's token
// with two privileges keeps a link, then somebody makes the invited one
// Administrator.
func TestKeptLinkOfANarrowTokenMakesNobodyAdministrator(t *testing.T) {
	d := newDoor(t)
	narrow := d.narrow("members:manage members:read")
	m, err := narrow.InviteMember(t.Context(), svcauth.NewMember{Email: "ann@example.com"})
	require.NoError(t, err)
	require.NoError(t,
		second(
			d.Admin().AssignMemberRole(t.Context(), m.ID, d.roles[svcauth.RoleAdministrator], svcauth.GrantRequest{})))
	d.shut("ann@example.com", m.InvitationURL)
	seen, err := d.Admin().Member(t.Context(), m.ID)
	require.NoError(t, err)
	require.Contains(t, seen.Invitation.Problem, "Make a new link")
	require.Contains(t, admin(t, d.Server).get("/console/members/"+m.ID).body, "does not open")
	again, err := d.Admin().ResetMember(t.Context(), m.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, d.accept(m.InvitationURL).status)
	require.Equal(t, http.StatusSeeOther, d.accept(again.InvitationURL).status)
}

// TestInvitationDiesWithWhatItsMakerMay: its maker loses members:manage, or is
// removed; then seven days pass.
func TestInvitationDiesWithWhatItsMakerMay(t *testing.T) {
	d := newDoor(t)
	boss, bosses := d.join("boss@example.com", svcauth.RoleAdministrator)
	m, err := bosses.InviteMember(t.Context(), svcauth.NewMember{Email: "ann@example.com"})
	require.NoError(t, err)
	require.NoError(t,
		second(d.Admin().UnassignMemberRole(t.Context(), boss.ID, d.roles[svcauth.RoleAdministrator], "", 0)))
	d.shut("ann@example.com", m.InvitationURL)
	require.NoError(t,
		second(
			d.Admin().AssignMemberRole(t.Context(), boss.ID, d.roles[svcauth.RoleAdministrator],
				svcauth.GrantRequest{})))
	require.Equal(t, http.StatusSeeOther, d.signOn("ann@example.com").status, "it may again")

	m, err = bosses.InviteMember(t.Context(), svcauth.NewMember{Email: "bob@example.com"})
	require.NoError(t, err)
	require.NoError(t, second(d.Admin().DeleteMember(t.Context(), boss.ID, 0)))
	d.shut("bob@example.com", m.InvitationURL)

	m, err = d.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: "eve@example.com"})
	require.NoError(t, err)
	d.ahead.Store(int64(7*24*time.Hour + time.Second))
	d.shut("eve@example.com", m.InvitationURL)
	require.Equal(t, http.StatusSeeOther, d.signOn("ann@example.com").status, "who has accepted needs no invitation")
}

// TestServiceAccountInvitesByMailAlone, and what it mailed dies with the
// organization's setting.
func TestServiceAccountInvitesByMailAlone(t *testing.T) {
	d := newDoor(t)
	allow := func(yes bool) {
		require.NoError(t,
			second(
				d.Admin().UpdateOrganization(t.Context(), 0, svcauth.OrganizationPatch{
					ServiceAccountsMayManageAccess: &yes,
				})))
	}
	allow(true)
	account, err := d.Admin().CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{
		Name:    "robot",
		RoleIDs: []string{d.roles[svcauth.RoleAdministrator]},
	})
	require.NoError(t, err)
	robot := d.Client(account.ClientID, account.ClientSecret)
	m, err := robot.InviteMember(t.Context(), svcauth.NewMember{Email: "ann@example.com"})
	require.NoError(t, err)
	require.Empty(t, m.InvitationURL)
	link := d.mailedLink()
	require.Eventually(t, func() bool {
		m, err = robot.Member(t.Context(), m.ID)
		require.NoError(t, err)
		return m.Invitation.Mail == svcauth.MailSent
	}, 20*time.Second, 10*time.Millisecond)
	allow(false)
	d.shut("ann@example.com", link)
	allow(true)
	require.Equal(t, http.StatusSeeOther, d.accept(link).status)

	reset, err := robot.ResetMember(t.Context(), m.ID)
	require.NoError(t, err)
	require.Empty(t, reset.InvitationURL)
	link = d.mailedLink()
	allow(false)
	require.Equal(t, http.StatusNotFound, d.accept(link).status)
}

// TestMailThatFailedIsShownAndSentAgain: what, when, why, and a way on.
func TestMailThatFailedIsShownAndSentAgain(t *testing.T) {
	d := newDoor(t)
	d.mail.RefuseWith("550 no such user:")
	m, err := d.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: "ann@example.com"})
	require.NoError(t, err)
	require.NotEmpty(t, m.InvitationURL)
	require.Eventually(t, func() bool {
		m, err = d.Admin().Member(t.Context(), m.ID)
		require.NoError(t, err)
		return m.Invitation.Mail == svcauth.MailFailed
	}, 20*time.Second, 10*time.Millisecond)
	require.Contains(t, m.Invitation.MailProblem, "code 550")
	require.NotContains(t, m.Invitation.MailProblem, "token=")
	require.NotContains(t, d.Log(), "token=")
	p := admin(t, d.Server)
	require.Contains(t, p.get("/console/members").body, "Mail failed")
	page := p.get("/console/members/" + m.ID).body
	require.Contains(t, page, "code 550")
	require.Contains(t, page, `href="/console/members/`+m.ID+`/reset">Send another one`)
	d.mail.RefuseWith("")
	a := p.post("/console/members/"+m.ID+"/reset", url.Values{
		"once": {p.field("/console/members/"+m.ID+"/reset", onceField)},
	})
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, "on its way to ann@example.com")
	require.Equal(t, http.StatusSeeOther, d.accept(d.mailedLink()).status)
}

// TestOneOrganizationsMailsAreBounded: beyond its rate a member still has the
// link, and is told.
func TestOneOrganizationsMailsAreBounded(t *testing.T) {
	d := newDoor(t, "SVCAUTH_LIMITS_MAILS_PER_HOUR=3")
	for i := range 5 {
		m, err := d.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: string(rune('a'+i)) + "@example.com"})
		require.NoError(t, err)
		require.NotEmpty(t, m.InvitationURL)
		if i < 3 {
			require.Equal(t, svcauth.MailQueued, m.Invitation.Mail)
			d.mailedLink()
		} else {
			require.Equal(t, svcauth.MailFailed, m.Invitation.Mail)
			require.Contains(t, m.Invitation.MailProblem, "too many mails")
		}
	}
	require.Empty(t, d.mail.Sent)
}

func second[T any](_ T, err error) error { return err }
