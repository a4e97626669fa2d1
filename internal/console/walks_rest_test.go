package console_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestWalkOfARotation walks through a rotation. A second secret is made and
// used, the first falls silent and goes. What the first obtained dies with it
// if that is wanted.
func TestWalkOfARotation(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		account := s.Account("ci", "clusters:view")
		old := s.Token(account.ClientID, account.ClientSecret, "")
		b := open(t, s, l)
		b.signIn(s)
		b.goTo("/console/service-accounts/" + account.ID)
		b.press("link", "Credentials")
		b.press("link", "Create a secret")
		b.fill("Description (optional)", "second")
		b.setTime("Expires at", "2001-01-01T00:00")
		b.press("button", "Generate now")
		b.see("has passed")
		require.Equal(t, "second", eval[string](b, `document.getElementById('description').value`))
		b.setTime("Expires at", time.Now().UTC().Add(48*time.Hour).Format("2006-01-02T15:04"))
		b.press("button", "Generate now")
		b.find("dialog", "New secret for ci")
		second := svcauth.Secret(secretForm.FindString(b.text()))
		require.NotEmpty(t, second)
		b.press("button", "Yes, I have finished it")
		b.see("in 47 hours")
		fresh := s.Token(account.ClientID, second, "")
		b.press("link", "Remove the secret ending in "+account.ClientSecret.Hint())
		b.see("1 live token, fetched from 1 address")
		b.click("checkbox", "Revoke the tokens it has obtained too Choose this if the secret has leaked. "+
			"Otherwise they work until they expire.")
		b.press("button", "Confirm")
		b.see("no longer work")
		require.False(t, s.Active(account.ClientID, second, old))
		require.True(t, s.Active(account.ClientID, second, fresh))
	})
}

// What tokens must be bound to: of an account, and of a role. Of two who edit
// the second is told in words.
func TestWalkOfBindings(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		f := furnish(t, s, "")
		b, second := open(t, s, l), admin(t, s)
		b.signIn(s)
		at := "/console/service-accounts/" + f.account.ID
		binding := func() string {
			a, err := s.Admin().ServiceAccount(t.Context(), f.account.ID)
			require.NoError(t, err)
			return a.TokenBinding
		}
		edit := url.Values{"name": {"mine"}, "ttl": {"60"}, "version": {second.field(at+"/edit", versionField)}}
		b.goTo(at)
		b.see("to nothing; to a key if a proof is sent")
		b.press("link", "Edit")
		b.choose("Its tokens must be bound", "to a key (DPoP)")
		b.picture("account-binding-" + l.String())
		b.press("button", "Save")
		b.see("Saved.")
		b.see("to a key (DPoP)")
		require.Equal(t, svcauth.TokenBindingDPoP, binding())

		edit.Set("token_binding", svcauth.TokenBindingMTLS)
		stale := second.post(at+"/edit", edit)
		require.Equal(t, 409, stale.status)
		require.Contains(t, stale.body, "Now saved: to a key (DPoP)")
		edit.Set("version", versionField.FindStringSubmatch(stale.body)[1])
		edit.Del("token_binding") // a form of a page from before there was one
		require.Equal(t, 303, second.post(at+"/edit", edit).status)
		require.Equal(t, svcauth.TokenBindingDPoP, binding())
		edit.Set("version", second.field(at+"/edit", versionField))
		edit.Set("token_binding", "rope")
		refused := second.post(at+"/edit", edit)
		require.Equal(t, 422, refused.status)
		require.Contains(t, refused.body, `id="token_binding-wrong" role="alert">Expected one of none, any, dpop, mtls.`)

		role := url.Values{"name": {f.role.Name}, "version": {second.field("/console/roles/"+f.role.ID, versionField)}}
		b.goTo("/console/roles/" + f.role.ID)
		b.click("switch", onlyBound)
		b.picture("role-binding-" + l.String())
		b.press("button", "Save")
		b.see("Saved.")
		require.True(t, b.role(s, f.role.Name).RequiresBinding)
		stale = second.post("/console/roles/"+f.role.ID, role)
		require.Equal(t, 409, stale.status)
		require.Contains(t, stale.body, "Now saved: on")
		b.click("switch", onlyBound)
		b.press("button", "Save")
		b.see("Saved.")
		require.False(t, b.role(s, f.role.Name).RequiresBinding)
	})
}

// onlyBound is the switch of a role that bound tokens alone carry.
const onlyBound = "Only bound tokens carry it On: a request for a token with this role must send a DPoP proof; " +
	"others are refused. A service account whose tokens are bound to a client certificate may show that instead. " +
	"Switched on, it ends all tokens with this role that are not bound, at once: whoever uses such a token stops " +
	"until it asks for bound ones. Bound tokens live on. Switched off, it ends none."

// Active tokens: one is revoked, then all.
func TestWalkOfTokens(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		f := furnish(t, s, "")
		b := open(t, s, l)
		b.signIn(s)
		b.goTo("/console/service-accounts/" + f.account.ID)
		b.press("link", "Active tokens")
		b.press("button", "Revoke token "+f.jti)
		b.see("The token is revoked")
		require.NotContains(t, b.html(), f.jti)
		b.press("link", "Revoke all")
		b.see("2 live tokens, fetched from 1 address")
		b.press("button", "Confirm")
		b.see("No active tokens")
	})
}

// TestWalkOfTheRest walks through what is left: an application key, the audit
// log, signing keys, resource servers, settings, one's own name, password and
// sessions.
func TestWalkOfTheRest(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		b := open(t, s, l)
		b.signIn(s)
		b.nav("Application keys")
		b.press("link", "Create an application key")
		b.fill("Description (optional)", "my laptop")
		b.press("button", "Generate now")
		secret := secretForm.FindString(b.text())
		require.NotEmpty(t, secret)
		b.press("button", "Yes, I have finished it")
		b.see("my laptop")
		keys, err := s.Admin().ApplicationKeys(t.Context(), svcauth.ListOptions{})
		require.NoError(t, err)
		require.Equal(t, "my laptop", keys.Items[0].Description)
		b.press("link", "Remove my laptop "+keys.Items[0].ClientID)
		b.press("button", "Confirm")
		b.see("The application key is removed")

		b.nav("Audit log")
		for _, shown := range eval[[]string](b, `[...document.querySelectorAll('td time')].map(t => t.innerText)`) {
			require.Regexp(t, `\b\d{1,2}:\d{2}:\d{2}\b.* [A-Z]{2,5}\S*$`, shown, "to the second, with the zone")
		}
		b.see("application_key.delete")
		b.find("link", "Export as CSV")
		b.press("link", "application_key.create")
		require.NotContains(t, b.text(), "application_key.delete")
		require.NotContains(t, b.html(), secret)

		b.nav("Signing keys")
		b.press("link", "Rotate now")
		b.press("button", "Confirm")
		b.see("The signing keys were rotated")
		b.see("Retired")
		b.nav("Resource servers")
		b.find("heading", "No resource server is connected")

		b.nav("Organizations")
		b.press("link", "Create an organization")
		b.fill("Name", "Tenant")
		b.fill("E-mail address of its first administrator", "eve@example.com")
		b.press("button", "Create")
		b.find("dialog", "Invitation for eve@example.com")
		b.see("It is valid until")
		b.press("button", "Yes, I have finished it")
		b.press("link", "Edit Tenant")
		b.fill("Name", "Renamed")
		b.press("button", "Save")
		b.see("Saved.")
		b.press("link", "Remove Renamed")
		b.fill("Type its name to confirm: Renamed", "Tenant")
		b.press("button", "Confirm")
		b.see("This is not its name")
		b.fill("Type its name to confirm: Renamed", "Renamed")
		b.press("button", "Confirm")
		b.see("The organization Renamed is removed")

		b.nav("Settings")
		b.fill("Organization name", "Example Ltd")
		b.click("switch", "Service accounts may manage access On: a service account with the privilege Member "+
			"management may create service accounts and grant roles, as Terraform does. Off: only members may.")
		b.press("button", "Save")
		b.see("Saved.")
		org, err := s.Admin().Organization(t.Context())
		require.NoError(t, err)
		require.True(t, org.ServiceAccountsMayManageAccess)
		require.Equal(t, "Example Ltd", org.Name)

		b.nav("Profile")
		b.fill("First name", "Ada")
		b.fill("Last name", "Admin")
		b.press("button", "Save")
		b.see("Saved.")
		b.fill("Current password", "not the password")
		b.fill("New password", goodPassword)
		b.fill("New password, once more", goodPassword)
		b.press("button", "Change password")
		b.see("The current password is wrong")
		b.fill("Current password", s.Tenant.AdminPassword.Reveal())
		b.fill("New password", goodPassword)
		b.fill("New password, once more", goodPassword)
		b.press("button", "Change password")
		b.see("Your password is changed")
		b.signInAs(svctest.AdminEmail, goodPassword)
		b.nav("Profile")
		b.press("button", "Sign out everywhere")
		b.see("You are signed out everywhere")
	})
}

// TestManagerEndsAMembersKey walks from a member's page to the end of its key.
func TestManagerEndsAMembersKey(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	ann := invite(t, s, "ann@example.com", goodPassword)
	own := visit(t, s)
	own.signIn(ann.Email, goodPassword)
	require.Equal(t, 200,
		own.post("/console/application-keys", url.Values{
			"description": {"her laptop"},
			"once":        {own.field("/console/application-keys/new", onceField)},
		}).status)
	require.Equal(t, 403, own.get("/console/members/"+ann.ID+"/application-keys").status)
	keys, err := s.Admin().ApplicationKeys(t.Context(), svcauth.ListOptions{Member: ann.ID})
	require.NoError(t, err)
	require.Len(t, keys.Items, 1)
	p, tab := admin(t, s), "/console/members/"+ann.ID+"/application-keys"
	require.Contains(t, p.get(tab).body, "her laptop")
	end := tab + "/" + keys.Items[0].ID + "/delete"
	require.Contains(t, p.get(end).body, "Remove this application key?")
	require.Equal(t, 404, p.get(tab+"/ak_none/delete").status)
	require.Equal(t, tab, p.post(end, url.Values{}).header.Get("Location"))
	require.Contains(t, p.get(tab).body, "No application keys")
}
