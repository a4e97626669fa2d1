package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountMembers(g *gin.RouterGroup) {
	const one = "/members/:id"
	g.GET("/members", k.signedIn(members))
	g.POST("/members", k.signedIn(inviteMember))
	g.GET("/members/invite", k.signedIn(newMember))
	g.GET(one, k.signedIn(memberTab("details", "")))
	g.GET(one+"/roles", k.signedIn(memberTab("roles", "")))
	g.POST(one+"/roles", k.signedIn(assignMemberRole))
	g.GET(one+"/roles/:role/unassign", k.signedIn(memberTab("roles", "unassign")))
	g.POST(one+"/roles/:role/unassign", k.signedIn(unassignMemberRole))
	g.GET(one+"/application-keys", k.signedIn(memberTab("keys", "")))
	g.GET(one+"/application-keys/:key/delete", k.signedIn(memberTab("keys", "key")))
	g.POST(one+"/application-keys/:key/delete", k.signedIn(endMemberKey))
	g.GET(one+"/edit", k.signedIn(memberTab("details", "edit")))
	g.POST(one+"/edit", k.signedIn(saveMember))
	g.GET(one+"/suspend", k.signedIn(memberTab("details", "suspend")))
	g.POST(one+"/suspend", k.signedIn(suspendMember(true)))
	g.POST(one+"/restore", k.signedIn(suspendMember(false)))
	g.GET(one+"/reset", k.signedIn(memberTab("details", "reset")))
	g.POST(one+"/reset", k.signedIn(resetMember))
	g.GET(one+"/remove", k.signedIn(memberTab("details", "remove")))
	g.POST(one+"/remove", k.signedIn(removeMember))
}

// invitationLink is a one-time link, shown once.
type invitationLink struct {
	Email, URL, Done string
	Reset            bool
	ExpiresAt        *time.Time
	Mail, Problem    string // what became of the mail that brings it
}

// newLink is the dialog that shows the link to a member's account, and leads to
// done when it is closed.
func newLink(m svcauth.Member, done string) *invitationLink {
	made := &invitationLink{Email: m.Email, URL: m.InvitationURL, Done: done}
	if i := m.Invitation; i != nil {
		made.Mail, made.Problem, made.ExpiresAt = i.Mail, i.MailProblem, &i.ExpiresAt
		made.Reset = i.Kind == "reset"
	}
	return made
}

func shownOnce(m svcauth.Member) *invitationLink { return newLink(m, "/console/members/"+m.ID) }

type membersData struct {
	List   list[svcauth.Member]
	Form   *form // of the dialog, where it is open
	Roles  []svcauth.Role
	Made   *invitationLink
	Manage bool
}

func (v *visit) membersPage(status int, f *form, made *invitationLink) error {
	l, err := read(v, v.k.cfg.People.Members, func(m svcauth.Member, q string) bool {
		return contains(q, m.Email, personName(m))
	},
		column[svcauth.Member]{"name", personName},
		column[svcauth.Member]{"status", func(m svcauth.Member) string { return m.Status }},
		column[svcauth.Member]{"seen", func(m svcauth.Member) string { return sortable(m.LastSignInAt) }})
	if err != nil {
		return err
	}
	l.path = "/console/members"
	d := membersData{List: l, Form: f, Made: made, Manage: v.actor.Has(svcauth.MembersManage)}
	if f != nil {
		if d.Roles, err = v.assignable(nil); err != nil {
			return err
		}
	}
	return v.render(status, "members", page{Title: "Members", Nav: "members", Dialog: f != nil || made != nil, Data: d})
}

func members(v *visit) error   { return v.membersPage(http.StatusOK, nil, nil) }
func newMember(v *visit) error { return v.membersPage(http.StatusOK, blank(), nil) }

// inviteMember shows the one-time link in its own answer, as a secret is shown.
func inviteMember(v *visit) error {
	f := v.form()
	first, err := v.first()
	if err != nil {
		return err
	}
	if !first {
		return v.done("/console/members", "This form was sent before. If the link is lost, open the member and "+
			"choose Reset password for another one.")
	}
	made, err := v.k.cfg.People.InviteMember(v.ctx(), svcauth.NewMember{
		Email:     f.Value("email"),
		FirstName: f.Value("first_name"),
		LastName:  f.Value("last_name"),
		RoleIDs:   f.Values["role_ids"],
	})
	if err != nil {
		if !f.refused(err, "email") {
			return err
		}
		return v.membersPage(f.status(), f, nil)
	}
	return v.membersPage(http.StatusOK, nil, shownOnce(made))
}

type memberData struct {
	Member     svcauth.Member
	Tab        string
	Dialog     string
	Manage     bool
	Self       bool // it is the one who looks
	NoPassword bool // the organization takes none
	Form       *form
	Grants     []svcauth.Grant
	Assignable []svcauth.Role
	Grant      svcauth.Grant // that a dialog is about
	Impact     access.Impact // what a dialog would break
	Made       *invitationLink
	Keys       []svcauth.ApplicationKey
	Key        svcauth.ApplicationKey // that a dialog is about
	Refused    []svcauth.AuditEvent   // failed sign-ins, the newest
}

// readKeys fills the tab of a member's application keys.
func (v *visit) readKeys(d *memberData) (err error) {
	d.Keys, err = everything(v.ctx(),
		func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.ApplicationKey], error) {
			o.Member = d.Member.ID
			return v.k.cfg.Access.ApplicationKeys(ctx, o)
		})
	if err != nil || d.Dialog != "key" {
		return err
	}
	at := slices.IndexFunc(d.Keys, func(k svcauth.ApplicationKey) bool { return k.ID == v.Param("key") })
	if at < 0 {
		return svcauth.NewProblem(svcauth.CodeNotFound,
			"This member has no application key with this id. It may have ended.")
	}
	d.Key = d.Keys[at]
	d.Impact, err = v.k.cfg.Access.ApplicationKeyImpact(v.ctx(), d.Key.ID)
	return err
}

// readRoles fills the tab of a member's roles.
func (v *visit) readRoles(d *memberData) (err error) {
	d.Grants, err = everything(v.ctx(),
		func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.Grant], error) {
			return v.k.cfg.Access.MemberRoles(ctx, d.Member.ID, o)
		})
	if err != nil {
		return err
	}
	d.Assignable, err = v.assignable(d.Grants)
	at := slices.IndexFunc(d.Grants, func(g svcauth.Grant) bool { return g.RoleID == v.Param("role") })
	if at >= 0 {
		d.Grant = d.Grants[at]
	}
	return err
}

// endMemberKey deletes a member's application key.
func endMemberKey(v *visit) error {
	m, err := v.k.cfg.People.Member(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	if err := v.k.cfg.Access.DeleteApplicationKey(v.ctx(), v.Param("key")); err != nil {
		return v.refusedOn(err, "keys")
	}
	return v.removed("/console/members/"+m.ID+"/application-keys",
		"The application key of %s is removed. Its tokens no longer work.", m.Email)
}

func (v *visit) memberPage(status int, d memberData) (err error) {
	d.Manage, d.Self = v.actor.Has(svcauth.MembersManage), d.Member.ID == v.member.ID
	takesPasswords, err := v.k.cfg.People.TakesPasswords(v.ctx())
	if err != nil {
		return err
	}
	d.NoPassword = !takesPasswords
	if d.Form == nil {
		d.Form = blank()
	}
	switch {
	case d.Tab == "roles":
		err = v.readRoles(&d)
	case d.Tab == "keys":
		err = v.readKeys(&d)
	case d.Dialog == "":
		d.Refused, err = v.k.cfg.People.RefusedSignIns(v.ctx(), d.Member.ID)
	}
	if err != nil {
		return err
	}
	if d.Dialog == "unassign" && d.Grant.RoleID == "" { // it is taken away already
		return v.redirect("/console/members/" + d.Member.ID + "/roles")
	}
	switch d.Dialog {
	case "suspend", "reset", "remove", "unassign":
		if d.Impact, err = v.k.cfg.Access.MemberImpact(v.ctx(), d.Member.ID, d.Grant.Name); err != nil {
			return err
		}
	}
	return v.render(status, "member", page{
		Title:  personName(d.Member),
		Nav:    "members",
		Parent: &link{"Members", "/console/members"},
		Dialog: d.Dialog != "",
		Data:   d,
	})
}

// memberTab serves one tab of a member's page, with one of its dialogs open.
func memberTab(tab, dialog string) func(*visit) error {
	return func(v *visit) error {
		m, err := v.k.cfg.People.Member(v.ctx(), v.Param("id"))
		if err != nil {
			return err
		}
		return v.memberPage(http.StatusOK, memberData{Member: m, Tab: tab, Dialog: dialog, Form: memberForm(m)})
	}
}

func memberForm(m svcauth.Member) *form {
	return filled("first_name", m.FirstName, "last_name", m.LastName, "version", strconv.FormatInt(m.Version, 10))
}

func saveMember(v *visit) error {
	f := v.form()
	version, err := f.version()
	if err != nil {
		return err
	}
	first, last := f.Value("first_name"), f.Value("last_name")
	_, err = v.k.cfg.People.UpdateMember(v.ctx(), v.Param("id"), version, svcauth.MemberPatch{
		FirstName: &first,
		LastName:  &last,
	})
	if err == nil {
		return v.done("/console/members/"+v.Param("id"), "Saved.")
	}
	m, readErr := v.k.cfg.People.Member(v.ctx(), v.Param("id"))
	if readErr != nil {
		return readErr
	}
	if stale(err) {
		f.moved(memberForm(m))
		return v.memberPage(http.StatusConflict, memberData{Member: m, Tab: "details", Dialog: "edit", Form: f})
	}
	if !f.refused(err, "") {
		return err
	}
	return v.memberPage(f.status(), memberData{Member: m, Tab: "details", Dialog: "edit", Form: f})
}

func assignMemberRole(v *visit) error {
	f, id := v.form(), v.Param("id")
	m, err := v.k.cfg.People.Member(v.ctx(), id)
	if err != nil {
		return err
	}
	answer, ok, err := v.assigned(f, id, v.k.cfg.Access.AssignMemberRole)
	switch {
	case err != nil:
		return err
	case ok:
		return v.done("/console/members/"+id+"/roles", "Assigned%s.%s", v.quoted(f.Value("role")),
			withoutDefault(answer.DefaultRefused))
	}
	return v.memberPage(f.status(), memberData{Member: m, Tab: "roles", Form: f})
}

// refusedOn shows a refusal above the page that it is about, instead of on a
// page of its own.
func (v *visit) refusedOn(err error, tab string) error {
	f := blank()
	if !f.refused(err, "") {
		return err
	}
	m, readErr := v.k.cfg.People.Member(v.ctx(), v.Param("id"))
	if readErr != nil {
		return readErr
	}
	return v.memberPage(http.StatusConflict, memberData{Member: m, Tab: tab, Form: f})
}

func unassignMemberRole(v *visit) error {
	name := v.quoted(v.Param("role"))
	if err := v.k.cfg.Access.UnassignMemberRole(v.ctx(), v.Param("id"), v.Param("role"), ""); err != nil {
		return v.refusedOn(err, "roles")
	}
	return v.removed("/console/members/"+v.Param("id")+"/roles", "Unassigned%s.", name)
}

func suspendMember(suspended bool) func(*visit) error {
	return func(v *visit) error {
		m, err := v.k.cfg.People.UpdateMember(v.ctx(), v.Param("id"), 0, svcauth.MemberPatch{Suspended: &suspended})
		if err != nil {
			return v.refusedOn(err, "details")
		}
		if suspended {
			return v.removed("/console/members/"+m.ID, "%s is suspended.", m.Email)
		}
		return v.done("/console/members/"+m.ID, "%s may sign in again.", m.Email)
	}
}

func resetMember(v *visit) error {
	first, err := v.first()
	if err != nil {
		return err
	}
	if !first {
		return v.done("/console/members/"+v.Param("id"),
			"This form was sent before. If the link is lost, choose Reset password once more.")
	}
	m, err := v.k.cfg.People.ResetMember(v.ctx(), v.Param("id"))
	if err != nil {
		return v.refusedOn(err, "details")
	}
	return v.memberPage(http.StatusOK, memberData{Member: m, Tab: "details", Dialog: "link",
		Made: shownOnce(m)})
}

func removeMember(v *visit) error {
	m, err := v.k.cfg.People.Member(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	if err := v.k.cfg.People.DeleteMember(v.ctx(), m.ID); err != nil {
		return v.refusedOn(err, "details")
	}
	return v.removed("/console/members", "%s is removed.", m.Email)
}
