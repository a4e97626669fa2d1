package console_test

import (
	"context"
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

// TestSecretIsGoneAfterTheDialog checks that after the dialog is closed the
// secret is nowhere: page, history, Back, reload, the browser's page cache, the
// server's log.
func TestSecretIsGoneAfterTheDialog(t *testing.T) {
	svctest.Chromium(t)
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
			if script {
				// which the script shows; what is read out to people follows
				// the page a moment later
				b.find("button", "Copy Client Secret")
			} else {
				require.False(t, b.has("button", "Copy Client Secret"))
			}
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
	call(b, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{
		EntryID: history.Entries[history.CurrentIndex-1].ID,
	})
	time.Sleep(time.Second) // it may be any page, or the browser's own that asks whether to send the form again
}
