package console

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountOrganizations(g *gin.RouterGroup) {
	g.GET("/settings", k.signedIn(settings))
	g.POST("/settings", k.signedIn(saveSettings))
	g.GET("/organizations", k.signedIn(organizations))
	g.POST("/organizations", k.signedIn(createOrganization))
	g.GET("/organizations/new", k.signedIn(newOrganization))
	g.GET("/organizations/:id/edit", k.signedIn(editOrganization))
	g.POST("/organizations/:id/edit", k.signedIn(saveOrganization))
	g.GET("/organizations/:id/remove", k.signedIn(confirmRemoveOrganization))
	g.POST("/organizations/:id/remove", k.signedIn(removeOrganization))
}

// settingsData is what the fields of an organization's settings show.
type settingsData struct {
	Organization svcauth.Organization
	Form         *form
	Provider     string // of single sign-on; empty: there is none
	Redirect     string // what is to be registered at the provider
}

func (v *visit) settingsData(o svcauth.Organization, f *form) settingsData {
	return settingsData{o, f, v.k.cfg.OIDC.Issuer, redirectURI(v.k.cfg.Issuer)}
}

// AskPasswords reports whether passwords can be turned on or off: not off while
// there is no single sign-on.
func (d settingsData) AskPasswords() bool {
	return d.Provider != "" || !d.Organization.PasswordMayEnter()
}

func settingsForm(o svcauth.Organization) *form {
	f := filled("name", o.Name, "version", strconv.FormatInt(o.Version, 10),
		"shared_secrets", o.SharedSecrets, "application_keys", o.ApplicationKeys)
	if o.ServiceAccountsMayManageAccess {
		f.Values.Set("may_manage", "yes")
	}
	if o.PasswordMayEnter() {
		f.Values.Set("password_sign_in", svcauth.PasswordSignInOn)
	}
	return f
}

// secretChoices are the values of the setting shared_secrets, or of
// application_keys: value and label.
func secretChoices(keys bool) [][2]string {
	if keys {
		return [][2]string{{svcauth.ApplicationKeysAllowed, "allowed"}, {svcauth.ApplicationKeysRefused, "refused"}}
	}
	return [][2]string{
		{svcauth.SharedSecretsAllowed, "allowed"},
		{svcauth.SharedSecretsNoNew, "no new ones; those that are there work on"},
		{svcauth.SharedSecretsRefused, "refused"},
	}
}

// settingsPatch reads the fields of an organization's settings.
func settingsPatch(f *form) svcauth.OrganizationPatch {
	name, may := f.Value("name"), f.Value("may_manage") == "yes"
	patch := svcauth.OrganizationPatch{Name: &name, ServiceAccountsMayManageAccess: &may}
	if secrets := f.Value("shared_secrets"); secrets != "" {
		patch.SharedSecrets = &secrets
	}
	if keys := f.Value("application_keys"); keys != "" {
		patch.ApplicationKeys = &keys
	}
	patch.Confirm = f.Value("confirm") == "yes"
	if f.Value("asks_passwords") != "" {
		passwords := svcauth.PasswordSignInOff
		if f.Value("password_sign_in") == svcauth.PasswordSignInOn {
			passwords = svcauth.PasswordSignInOn
		}
		patch.PasswordSignIn = &passwords
	}
	return patch
}

// settingsMoved marks what somebody else has changed meanwhile.
func settingsMoved(f *form, now svcauth.Organization) {
	patch := settingsPatch(f)
	f.moved(settingsForm(now))
	delete(f.Theirs, "may_manage")
	delete(f.Theirs, "password_sign_in")
	if *patch.ServiceAccountsMayManageAccess != now.ServiceAccountsMayManageAccess {
		f.Theirs["may_manage"] = onOff(now.ServiceAccountsMayManageAccess)
	}
	if p := patch.PasswordSignIn; p != nil && *p != now.PasswordSignIn {
		f.Theirs["password_sign_in"] = now.PasswordSignIn
	}
}

func (v *visit) settingsPage(status int, o svcauth.Organization, f *form) error {
	return v.render(status, "settings", page{Title: "Settings", Nav: "settings", Data: v.settingsData(o, f)})
}

func settings(v *visit) error {
	o, err := v.k.cfg.Access.Organization(v.ctx())
	if err != nil {
		return err
	}
	return v.settingsPage(http.StatusOK, o, settingsForm(o))
}

func saveSettings(v *visit) error {
	f := v.form()
	version, err := f.version()
	if err != nil {
		return err
	}
	saved, err := v.k.cfg.Access.UpdateOrganization(v.ctx(), version, settingsPatch(f))
	if err == nil {
		if !saved.PasswordMayEnter() && !v.bySingleSignOn() {
			return v.leave("Saved. Passwords are off now, and so has ended this session, which began with one. " +
				"Sign in with single sign-on.")
		}
		return v.done("/console/settings", "Saved.")
	}
	o, readErr := v.k.cfg.Access.Organization(v.ctx())
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if stale(err) {
		settingsMoved(f, o)
		return v.settingsPage(http.StatusConflict, o, f)
	}
	if !f.refused(err, "name") {
		return err
	}
	return v.settingsPage(f.status(), o, f)
}

// organizationsData is the operator's list of tenants, with the open dialog.
type organizationsData struct {
	List   list[svcauth.Organization]
	Dialog string        // which one is open: new, edit, remove or link
	Form   *form         // of the dialog
	About  *settingsData // the organization that the dialog is about
	Made   *invitationLink
}

func (v *visit) organizationsPage(status int, d organizationsData) error {
	l, err := read(v, v.k.cfg.Access.Organizations, func(o svcauth.Organization, q string) bool {
		return contains(q, o.Name, o.ID)
	},
		column[svcauth.Organization]{"name", func(o svcauth.Organization) string { return o.Name }},
		column[svcauth.Organization]{"created", func(o svcauth.Organization) string { return sortable(&o.CreatedAt) }})
	if err != nil {
		return err
	}
	l.path = "/console/organizations"
	d.List = l
	if d.Form == nil {
		d.Form = blank()
	}
	return v.render(status, "organizations", page{
		Title:  "Organizations",
		Nav:    "organizations",
		Dialog: d.Dialog != "",
		Data:   d,
	})
}

func organizations(v *visit) error { return v.organizationsPage(http.StatusOK, organizationsData{}) }

func newOrganization(v *visit) error {
	return v.organizationsPage(http.StatusOK, organizationsData{Dialog: "new"})
}

// createOrganization shows the one-time link of the first administrator in its
// own answer, as a secret is shown.
func createOrganization(v *visit) error {
	f := v.form()
	first, err := v.first()
	if err != nil {
		return err
	}
	if !first {
		return v.done("/console/organizations", "This form was sent before. If the link is lost, remove the "+
			"organization and create it again.")
	}
	made, err := v.k.cfg.People.CreateOrganization(v.ctx(), svcauth.NewOrganization{
		Name:       f.Value("name"),
		AdminEmail: f.Value("admin_email"),
	})
	if err != nil {
		if !f.refused(err, "name") {
			return err
		}
		return v.organizationsPage(f.status(), organizationsData{Dialog: "new", Form: f})
	}
	return v.organizationsPage(http.StatusOK, organizationsData{Dialog: "link", Made: newLink(svcauth.Member{
		Email:         f.Value("admin_email"),
		InvitationURL: made.InvitationURL,
		Invitation:    made.Invitation,
	}, "/console/organizations")})
}

// organizationDialog opens a dialog about one organization.
func (v *visit) organizationDialog(status int, dialog string, o svcauth.Organization, f *form) error {
	about := v.settingsData(o, f)
	return v.organizationsPage(status, organizationsData{Dialog: dialog, Form: f, About: &about})
}

func editOrganization(v *visit) error {
	o, err := v.k.cfg.Access.OrganizationByID(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	return v.organizationDialog(http.StatusOK, "edit", o, settingsForm(o))
}

func saveOrganization(v *visit) error {
	f, id := v.form(), v.Param("id")
	version, err := f.version()
	if err != nil {
		return err
	}
	_, err = v.k.cfg.Access.UpdateOrganizationByID(v.ctx(), id, version, settingsPatch(f))
	if err == nil {
		return v.done("/console/organizations", "Saved.")
	}
	o, readErr := v.k.cfg.Access.OrganizationByID(v.ctx(), id)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if stale(err) {
		settingsMoved(f, o)
		return v.organizationDialog(http.StatusConflict, "edit", o, f)
	}
	if !f.refused(err, "name") {
		return err
	}
	return v.organizationDialog(f.status(), "edit", o, f)
}

func confirmRemoveOrganization(v *visit) error {
	o, err := v.k.cfg.Access.OrganizationByID(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	return v.organizationDialog(http.StatusOK, "remove", o, blank())
}

// removeOrganization wants the name typed: all that is in it goes with it.
func removeOrganization(v *visit) error {
	o, err := v.k.cfg.Access.OrganizationByID(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	f := v.form()
	if f.Value("confirmation") != o.Name {
		f.fail("confirmation", "This is not its name. Type it as it is written above, and nothing else.")
		return v.organizationDialog(f.status(), "remove", o, f)
	}
	if err := v.k.cfg.Access.DeleteOrganization(v.ctx(), o.ID); err != nil {
		if !f.refused(err, "") {
			return err
		}
		return v.organizationDialog(http.StatusConflict, "remove", o, f)
	}
	return v.removed("/console/organizations", "The organization %s is removed. Its tokens no longer work.", o.Name)
}
