package console_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// The walk of the product page with the keyboard alone, and without JavaScript.
func TestWalkWithoutJavaScript(t *testing.T) {
	svctest.Chromium(t)
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
	svctest.Chromium(t)
	s := svctest.New(t, svctest.Options{})
	b := open(t, s, ordinary)
	b.goTo("/console/service-accounts")
	b.focused("email")
	b.type_(svctest.AdminEmail, "\t", s.Tenant.AdminPassword.Reveal())
	b.key("\r")
	b.find("heading", "No service accounts yet")
	// The first stop is the skip link; from the main part on, Tab reaches the
	// button.
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
	require.NotEqual(t, "none", eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`),
		"where the keyboard is can be seen")
	b.key("\r")
	b.find("dialog", "Generate secret for service account")
	// What lies behind the dialog is out of reach.
	for range 8 {
		b.do(chromedp.KeyEvent("\t"))
		require.True(t,
			eval[bool](b, `document.activeElement === document.body || !!document.activeElement.closest('dialog')`))
	}
	b.key("\x1b")
	require.Equal(t, "/console/service-accounts", b.path())
	b.goTo("/console/service-accounts/new")
	b.focused("name")
	b.type_("ci")
	b.key("\r")
	require.NotEmpty(t, secretForm.FindString(b.text()))
	b.focused("dialog-title") // and not the button: who presses Enter once too often must not lose the secret
	for range 4 {
		b.do(chromedp.KeyEvent("\t"))
	}
	require.Equal(t, "Yes, I have finished it", eval[string](b, `document.activeElement.textContent`))
	b.key("\r")
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

// Two people edit one account; the second is told and sees what the first has
// made of it.
func TestWalkOfTwoEditors(t *testing.T) {
	svctest.Chromium(t)
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
