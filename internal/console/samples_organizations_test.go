package console

import (
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// samplesOfOrganizations adds the operator's list with its dialogs, and the
// settings, with single sign-on and without.
func samplesOfOrganizations(k *Console, add func(name, template string, p page), org svcauth.Organization) {
	tenant := svcauth.Organization{
		ID:             id("org", 2),
		Name:           "Other",
		PasswordSignIn: svcauth.PasswordSignInOff,
		CreatedAt:      *at(-20 * time.Hour),
		Version:        2,
	}
	rows := list[svcauth.Organization]{
		Rows: []svcauth.Organization{tenant, org},
		path: "/console/organizations",
	}
	about := settingsData{tenant, settingsForm(tenant), "https://id.example.com", redirectURI(k.cfg.Issuer)}
	refused := settingsForm(org)
	refused.fail("password_sign_in", "password_sign_in can't be off yet.")
	taken := filled("name", "Other", "admin_email", "eve@example.com")
	taken.fail("name", "An organization with the name \"Other\" exists already.")
	other := blank()
	other.fail("confirmation", "This is not its name.")
	for name, d := range map[string]organizationsData{
		"organizations":        {},
		"organizations-new":    {Dialog: "new", Form: taken},
		"organizations-edit":   {Dialog: "edit", Form: about.Form, About: &about},
		"organizations-remove": {Dialog: "remove", Form: other, About: &about},
		"organizations-link": {Dialog: "link", Made: &invitationLink{
			Email:     "eve@example.com",
			URL:       "https://auth.example.com/console/invitation?token=t",
			Done:      "/console/organizations",
			ExpiresAt: at(7 * 24 * time.Hour),
		}},
	} {
		d.List = rows
		if d.Form == nil {
			d.Form = blank()
		}
		add(name, "organizations", page{Title: "Organizations", Nav: "organizations", Dialog: d.Dialog != "", Data: d})
	}
	for name, d := range map[string]settingsData{
		"settings":         {org, settingsForm(org), "", redirectURI(k.cfg.Issuer)},
		"settings-refused": {org, refused, "https://id.example.com", redirectURI(k.cfg.Issuer)},
	} {
		add(name, "settings", page{Title: "Settings", Nav: "settings", Data: d})
	}
}
