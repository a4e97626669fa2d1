package console_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var secretForm = regexp.MustCompile(`svcs_[0-9A-Za-z]{49}`)

// The walk of the product page: create a service account, assign a role, view
// it, remove it.
func TestWalkOfTheProductPage(t *testing.T) {
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			svctest.Chromium(t)
			s := svctest.New(t, svctest.Options{})
			_, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{
				Name:       "Cluster operator",
				Privileges: []string{"clusters:view"},
			})
			require.NoError(t, err)
			b := open(t, s, l)
			b.goTo("/console")
			b.picture("sign-in-" + l.String())
			b.signIn(s)
			b.nav("Members")
			b.find("heading", "Members")
			b.picture("members-" + l.String())
			b.press("link", "Service accounts")
			b.picture("accounts-empty-" + l.String())
			b.press("link", "Create a service account")
			b.find("dialog", "Generate secret for service account")
			b.picture("accounts-new-" + l.String())
			b.fill("Name", "terraform-production")
			b.press("button", "Generate now")
			b.find("dialog", "Generate secret for service account")
			b.find("button", "Copy Client ID")
			b.find("button", "Copy Client Secret")
			b.picture("accounts-secret-" + l.String())
			secret := secretForm.FindString(b.text())
			require.NotEmpty(t, secret)
			b.press("button", "Yes, I have finished it")
			b.find("heading", "terraform-production")
			for _, fact := range []string{"Service account name", "Client ID", "Created at", "Created by",
				svctest.AdminEmail} {
				b.see(fact)
			}
			b.picture("account-" + l.String())
			b.press("link", "Granted roles")
			b.picture("account-roles-empty-" + l.String())
			b.choose("Assign new role", "Cluster operator")
			b.press("button", "Assign")
			b.see("Assigned the role Cluster operator")
			b.picture("account-roles-" + l.String())
			b.press("link", "Remove")
			b.find("dialog", "Remove terraform-production?")
			b.picture("account-remove-" + l.String())
			b.press("button", "Confirm")
			b.see("terraform-production is removed")
			require.NotContains(t, s.Log(), secret)
		})
	}
}
