package console_test

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// inEveryLook runs a walk, each time on a server of its own.
func inEveryLook(t *testing.T, walk func(t *testing.T, s *svctest.Server, l look)) {
	needBrowser(t)
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) { walk(t, svctest.New(t, svctest.Options{}), l) })
	}
}

// A member: invited, accepts by the link, gets a role and loses it, is suspended and let back in, gets another password, is removed.
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
		b.press("link", "Suspend")
		b.find("dialog", "Suspend Ann Example?")
		b.press("button", "Confirm")
		b.see("is suspended")
		ann.goTo("/console/profile")
		ann.find("heading", "Sign in")
		b.press("button", "Let back in")
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
	needBrowser(t)
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

// A role: created with switches, changed, deleted after the page has said who loses what.
func TestWalkOfARole(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		b := open(t, s, l)
		b.signIn(s)
		b.nav("Roles")
		b.press("link", "Create a role")
		b.fill("Name", "Cluster operator")
		b.click("switch", "View clusters clusters:view See clusters and their state")
		b.press("button", "Create role")
		b.see("The role Cluster operator is created")
		role := b.role(s, "Cluster operator")
		require.Equal(t, []string{"clusters:view"}, role.Privileges)
		b.click("switch", "View clusters clusters:view See clusters and their state")
		b.click("button", "Turn all on of Billing API")
		b.press("button", "Save")
		b.see("Saved.")
		require.Equal(t, []string{"billing:manage", "billing:view"}, b.role(s, "Cluster operator").Privileges)
		_, err := s.Admin().CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: "biller", RoleIDs: []string{role.ID}})
		require.NoError(t, err)
		b.press("link", "Delete")
		b.find("dialog", "Delete the role Cluster operator?")
		b.see("biller service account")
		b.see("loses billing:manage, billing:view")
		b.press("button", "Confirm")
		b.see("Deleted the role Cluster operator")
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

// Secrets: a second one is made and used, the first falls silent and goes; what it obtained dies with it where that is wanted.
func TestWalkOfARotation(t *testing.T) {
	inEveryLook(t, func(t *testing.T, s *svctest.Server, l look) {
		account := s.Account("ci", "clusters:view")
		old := s.Token(account.ClientID, account.ClientSecret, "")
		b := open(t, s, l)
		b.signIn(s)
		b.goTo("/console/service-accounts/" + account.ID)
		b.press("link", "Secrets")
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
		b.click("checkbox", "Revoke the tokens it has obtained too Choose this if the secret has leaked. Otherwise they work until they expire.")
		b.press("button", "Confirm")
		b.see("no longer work")
		require.False(t, s.Active(account.ClientID, second, old))
		require.True(t, s.Active(account.ClientID, second, fresh))
	})
}

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

// What is left: an application key, the audit log, signing keys, resource servers, settings, one's own name, password and sessions.
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
		b.press("link", "Delete my laptop "+keys.Items[0].ClientID)
		b.press("button", "Confirm")
		b.see("The application key is deleted")

		b.nav("Audit log")
		b.see("application_key.delete")
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

		b.nav("Settings")
		b.fill("Organization name", "Example Ltd")
		b.click("switch", "Service accounts may manage access On: a service account with the privilege Member management may create service accounts and grant roles, as Terraform does. Off: only members may.")
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

// After the dialog is closed the secret is nowhere: page, history, Back, reload, the browser's page cache, the server's log.
func TestSecretIsGoneAfterTheDialog(t *testing.T) {
	needBrowser(t)
	for name, script := range map[string]bool{"with JavaScript": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			s := svctest.New(t, svctest.Options{})
			b := open(t, s, ordinary)
			b.signIn(s)
			if !script {
				call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			}
			b.goTo("/console/service-accounts/new")
			b.fill("Name", "ci")
			b.press("button", "Generate now")
			secret := secretForm.FindString(b.text())
			require.NotEmpty(t, secret)
			require.Equal(t, script, b.has("button", "Copy Client Secret"))
			b.press("button", "Yes, I have finished it")
			b.find("heading", "ci")
			gone := func(when string) {
				t.Helper()
				require.NotContains(t, b.html(), secret, when)
				history := call(b, page.GetNavigationHistory, cdp.Empty{})
				for _, entry := range history.Entries {
					require.NotContains(t, entry.URL+entry.Title, secret)
				}
			}
			gone("after the dialog")
			for range 2 {
				b.back()
				gone("after Back")
				reloaded, cancel := context.WithTimeout(b.ctx, patience)
				_ = chromedp.Do(reloaded, chromedp.Reload())
				cancel()
				gone("after Back and reload")
			}
			require.NotContains(t, s.Log(), secret)
			accounts, err := s.Admin().ServiceAccounts(t.Context(), svcauth.ListOptions{})
			require.NoError(t, err)
			require.Len(t, accounts.Items, 1)
		})
	}
}

// back goes one step back in the history, to whatever the browser shows there.
func (b *browser) back() {
	b.t.Helper()
	history := call(b, page.GetNavigationHistory, cdp.Empty{})
	require.Positive(b.t, history.CurrentIndex)
	call(b, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
	time.Sleep(time.Second) // it may be any page, or the browser's own that asks whether to send the form again
}

// The walk of the product page with the keyboard alone, and without JavaScript.
func TestWalkWithoutJavaScript(t *testing.T) {
	needBrowser(t)
	s := svctest.New(t, svctest.Options{})
	b := open(t, s, look{360, false})
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.signIn(s)
	b.nav("Roles")
	b.nav("Members")
	b.press("link", "Service accounts")
	b.press("link", "Create a service account")
	b.fill("Name", "ci")
	b.press("button", "Generate now")
	b.press("button", "Yes, I have finished it")
	b.see("UTC")
	b.press("link", "Granted roles")
	b.choose("Assign new role", "Administrator")
	b.press("button", "Assign")
	b.press("link", "Remove")
	b.press("button", "Confirm")
	b.see("The service account ci is removed")
}

func TestWalkByKeyboard(t *testing.T) {
	needBrowser(t)
	s := svctest.New(t, svctest.Options{})
	b := open(t, s, ordinary)
	b.goTo("/console/service-accounts")
	b.focused("email")
	b.type_(svctest.AdminEmail, "\t", s.Tenant.AdminPassword.Reveal())
	b.key("\r")
	b.find("heading", "No service accounts yet")
	// The first stop is the skip link; from the main part on, Tab reaches the button.
	b.do(chromedp.KeyEvent("\t"))
	require.Equal(t, "Skip to main content", eval[string](b, `document.activeElement.textContent`))
	b.do(chromedp.KeyEvent("\r"))
	require.Equal(t, "main", eval[string](b, `document.activeElement.id`))
	for range 12 {
		b.do(chromedp.KeyEvent("\t"))
		if eval[string](b, `document.activeElement.textContent`) == "Create a service account" {
			break
		}
	}
	require.NotEqual(t, "none", eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`), "where the keyboard is can be seen")
	b.key("\r")
	b.find("dialog", "Generate secret for service account")
	// What lies behind the dialog is out of reach.
	for range 8 {
		b.do(chromedp.KeyEvent("\t"))
		require.True(t, eval[bool](b, `document.activeElement === document.body || !!document.activeElement.closest('dialog')`))
	}
	b.key("\x1b")
	require.Equal(t, "/console/service-accounts", b.path())
	b.goTo("/console/service-accounts/new")
	b.focused("name")
	b.type_("ci")
	b.key("\r")
	require.NotEmpty(t, secretForm.FindString(b.text()))
	b.key("\r") // on the button that has the focus
	b.find("heading", "ci")
}

// type_ types into what has the focus.
func (b *browser) type_(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		b.do(chromedp.KeyEvent(text))
	}
}

// key presses a key that leads to another page.
func (b *browser) key(key string) {
	b.t.Helper()
	eval[bool](b, `window.before = true`)
	b.do(chromedp.KeyEvent(key))
	b.arrive()
}

// Two people edit one account; the second is told and sees what the first has made of it.
func TestWalkOfTwoEditors(t *testing.T) {
	needBrowser(t)
	s := svctest.New(t, svctest.Options{})
	account := s.Account("ci")
	first, second := open(t, s, ordinary), open(t, s, ordinary)
	for _, b := range []*browser{first, second} {
		b.signIn(s)
		b.goTo("/console/service-accounts/" + account.ID)
		b.press("link", "Edit")
	}
	first.fill("Name", "theirs")
	first.press("button", "Save")
	first.find("heading", "theirs")
	second.fill("Name", "mine")
	second.press("button", "Save")
	second.see("Somebody else has changed this")
	second.see("Now saved: theirs")
	second.picture("two-editors")
	second.press("button", "Save")
	second.find("heading", "mine")
}

// A page is one document and what it names, all from here; the second page of a visit is one request. Together under 60 KB.
func TestPageWeight(t *testing.T) {
	needBrowser(t)
	s := svctest.New(t, svctest.Options{})
	furnish(t, s, "")
	b := open(t, s, ordinary)
	// What each request weighed on the wire, 0 where the browser had it already; parts counts steps from the document.
	const script = `JSON.stringify([...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map(e => ({URL: e.name, Weight: e.transferSize, By: e.initiatorType})))`
	type request struct {
		URL, By string
		Weight  float64
	}
	gather := func(path string) (all []request, total float64) {
		b.goTo(path)
		require.NoError(t, json.Unmarshal([]byte(eval[string](b, script)), &all))
		for _, r := range all {
			require.True(t, strings.HasPrefix(r.URL, s.URL), "%s is not ours", r.URL)
			require.Contains(t, []string{"navigation", "link", "script"}, r.By, "%s is named by the document itself", r.URL)
			total += r.Weight
		}
		return all, total
	}
	first, total := gather("/console/sign-in")
	require.Len(t, first, 3)
	require.Less(t, total, 60000.0)
	styles := total
	b.signIn(s)
	_, total = gather("/console/roles/new")
	require.Less(t, styles+total, 60000.0, "with all that the first page has brought")
	second, _ := gather("/console/service-accounts")
	for _, r := range second[1:] {
		require.Zero(t, r.Weight, "%s is kept by the browser", r.URL)
	}
}

// Nothing that a page does is refused by our own policy, and no script fails.
func TestNoPageComplains(t *testing.T) {
	needBrowser(t)
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "")
	b := open(t, s, ordinary)
	b.signIn(s)
	var mu sync.Mutex
	var complaints []string
	go func() {
		for message, err := range chromedp.Console(b.ctx) {
			if err != nil {
				return
			}
			mu.Lock()
			complaints = append(complaints, message.Text)
			mu.Unlock()
		}
	}()
	for _, p := range f.pages() {
		if p[0] != "not-found" { // the browser itself reports a 404
			b.goTo(p[1])
		}
	}
	time.Sleep(time.Second)
	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, complaints)
}
