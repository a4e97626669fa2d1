package console_test

import (
	"context"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// inEveryLook runs a walk, each time on a server of its own.
func inEveryLook(t *testing.T, walk func(t *testing.T, s *svctest.Server, l look)) {
	svctest.Chromium(t)
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) { walk(t, svctest.New(t, svctest.Options{}), l) })
	}
}

// TestWalkOfAMember walks with a member, who is invited, accepts by the link,
// gets a role and loses it, is suspended and let back in, gets another
// password, and is removed.
func TestWalkOfAMember(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		b := open(t, s, l)
		b.signIn(s)
		b.press("link", "Invite a member")
		b.fill("E-mail address", "ann@example.com")
		b.fill("First name", "Ann")
		b.fill("Last name", "Example")
		b.press("button", "Invite")
		b.find("dialog", "Invitation for ann@example.com")
		b.picture("member-invited-" + l.String())
		link := regexp.MustCompile(`\S+/console/invitation\?token=\S+`).FindString(b.text())
		require.NotEmpty(t, link)
		b.press("button", "Yes, I have finished it")
		require.NotContains(t, b.html(), link)

		ann := open(t, s, l)
		u, err := url.Parse(link)
		require.NoError(t, err)
		ann.goTo(u.RequestURI())
		ann.find("heading", "Accept the invitation")
		ann.fill("New password", "short")
		ann.fill("New password, once more", "short")
		ann.press("button", "Set password")
		ann.see("A password has 15 to 128 characters")
		ann.fill("New password", goodPassword)
		ann.fill("New password, once more", goodPassword)
		ann.press("button", "Set password")
		ann.see("Your password is set")
		ann.signInAs("ann@example.com", goodPassword)
		ann.find("heading", "No application keys yet")

		b.press("link", "Granted roles")
		b.choose("Assign new role", "Administrator")
		b.press("button", "Assign")
		b.see("Assigned the role Administrator")
		b.press("link", "Unassign Administrator")
		b.press("button", "Confirm")
		b.see("Unassigned the role Administrator")
		b.choose("Assign new role", "Administrator")
		b.setTime("Ends at", "2001-01-01T00:00")
		b.press("button", "Assign")
		b.see("has passed; expected one that lies ahead")
		b.setTime("Ends at", time.Now().UTC().Add(48*time.Hour).Format("2006-01-02T15:04"))
		b.press("button", "Assign")
		b.see("Assigned the role Administrator")
		b.see("in 47 hours")
		b.picture("member-roles-" + l.String())
		b.press("link", "Suspend")
		b.find("dialog", "Suspend Ann Example?")
		b.press("button", "Confirm")
		b.see("is suspended")
		ann.goTo("/console/profile")
		ann.find("heading", "Sign in")
		b.press("button", "Activate")
		b.press("link", "Reset password")
		b.press("button", "Confirm")
		b.find("dialog", "Link to set a new password")
		b.press("button", "Yes, I have finished it")
		b.press("link", "Edit")
		b.fill("First name", "Anna")
		b.press("button", "Save")
		b.find("heading", "Anna Example")
		b.press("link", "Remove")
		b.press("button", "Confirm")
		b.see("ann@example.com is removed")
	})
}

// The last administrator can't be lost, and the page says so.
func TestWalkOfTheLastAdministrator(t *testing.T) {
	svctest.Chromium(t)
	s := svctest.New(t, svctest.Options{})
	b := open(t, s, ordinary)
	b.signIn(s)
	b.within("main", "").press("link", svctest.AdminEmail)
	b.press("link", "Remove")
	b.press("button", "Confirm")
	b.find("alert", "")
	b.see("Administrator")
	b.find("heading", svctest.AdminEmail)
}

// A role: created with switches, changed, deleted after the page has said who
// loses what.
func TestWalkOfARole(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		b := open(t, s, l)
		b.signIn(s)
		b.nav("Roles")
		b.press("link", "Create a role")
		b.fill("Name", "Cluster operator")
		b.click("switch", "View clusters clusters:view See clusters and their state")
		b.click("switch", onlyBound)
		b.press("button", "Create role")
		b.see("The role Cluster operator is created")
		role := b.role(s, "Cluster operator")
		require.Equal(t, []string{"clusters:view"}, role.Privileges)
		require.True(t, role.RequiresBinding)
		b.click("switch", "View clusters clusters:view See clusters and their state")
		b.click("button", "Turn all on of Billing API")
		b.press("button", "Save")
		b.see("Saved.")
		require.Equal(t, []string{"billing:manage", "billing:view"}, b.role(s, "Cluster operator").Privileges)
		_, err := s.Admin().CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{
			Name:    "biller",
			RoleIDs: []string{role.ID},
		})
		require.NoError(t, err)
		b.press("link", "Remove")
		b.find("dialog", "Remove the role Cluster operator?")
		b.see("biller service account")
		b.see("loses billing:manage, billing:view")
		b.press("button", "Confirm")
		b.see("Removed the role Cluster operator")
	})
}

func (b *browser) role(s *svctest.Server, name string) svcauth.Role {
	b.t.Helper()
	roles, err := s.Admin().Roles(context.Background(), svcauth.ListOptions{})
	require.NoError(b.t, err)
	for _, r := range roles.Items {
		if r.Name == name {
			return r
		}
	}
	b.t.Fatalf("there is no role %s", name)
	return svcauth.Role{}
}
