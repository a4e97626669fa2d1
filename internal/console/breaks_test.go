package console_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// crowded adds to a furnished server what long names and addresses there are in
// earnest.
func crowded(t *testing.T, f furnished) furnished {
	t.Helper()
	ctx, admin := t.Context(), f.Admin()
	var err error
	f.role, err = admin.CreateRole(ctx, svcauth.NewRole{
		Name:        "Platform engineering: cluster operators (production)",
		Description: "Runs the clusters of production in eu-central-1 and eu-west-3, and reads what they cost",
		Privileges:  []string{"clusters:view", "clusters:edit", "clusters:create", "billing:view"},
	})
	require.NoError(t, err)
	const email = "maximiliane.oberhuber-schwarzenegger@platform-engineering.example.com"
	f.member, err = admin.InviteMember(ctx, svcauth.NewMember{
		Email: email, FirstName: "Maximiliane", LastName: "Oberhuber-Schwarzenegger", RoleIDs: []string{f.role.ID},
	})
	require.NoError(t, err)
	_, err = admin.InviteMember(ctx, svcauth.NewMember{Email: "nameless." + email, RoleIDs: []string{f.role.ID}})
	require.NoError(t, err)
	f.account, err = admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{
		Name:        "terraform-production-eu-central-1-payments",
		Description: "Applies the workspaces of the payments team; see the runbook before you remove it",
		RoleIDs:     []string{f.role.ID},
	})
	require.NoError(t, err)
	expires := time.Now().Add(30 * 24 * time.Hour)
	_, err = admin.CreateSecret(ctx, f.account.ID, svcauth.NewSecretRequest{
		Description: "for the pipeline that applies production, rotated by terraform every ninety days",
		ExpiresAt:   &expires,
	})
	require.NoError(t, err)
	for range 3 {
		f.Token(f.account.ClientID, f.account.ClientSecret, "")
	}
	f.key, err = admin.CreateApplicationKey(ctx, svcauth.NewApplicationKey{
		Description: "the laptop that runs the migration of the billing system in spring",
	})
	require.NoError(t, err)
	_, err = admin.CreateOrganization(ctx, svcauth.NewOrganization{
		Name: "Oberhuber-Schwarzenegger & Söhne Maschinenbau GmbH", AdminEmail: email,
	})
	require.NoError(t, err)
	return f
}

// broken are the words of the page's tables that stand in more than one line,
// save those that are longer than any column, and the JSON of the audit log.
const broken = `(() => {
	const found = []
	for (const cell of document.querySelectorAll('td, tbody th')) {
		const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT)
		for (let n = texts.nextNode(); n; n = texts.nextNode()) {
			if (n.parentElement.closest('pre')) continue
			for (const m of n.data.matchAll(/[^\s-]{2,32}/g)) {
				const r = document.createRange()
				r.setStart(n, m.index)
				r.setEnd(n, m.index + m[0].length)
				if (new Set([...r.getClientRects()].map(q => Math.round(q.top))).size > 1) found.push(m[0])
			}
		}
	}
	return found.join(', ')
})()`

// sticking names what sticks out of the window.
const sticking = `[...document.querySelectorAll('body *')].filter(e =>
	e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 5).map(e =>
	e.tagName + '.' + e.className).join(', ')`

// TestTablesBreakNoWordWhileThereIsRoom looks at every page with long names, in
// the widths of ordinary screens: no word is broken in its middle, and nothing
// sticks out at the side.
func TestTablesBreakNoWordWhileThereIsRoom(t *testing.T) {
	svctest.Chromium(t)
	f := crowded(t, furnish(t, svctest.New(t, svctest.Options{}), ""))
	b := open(t, f.Server, ordinary)
	b.signIn(f.Server)
	for _, width := range []int64{1280, 768, 360} {
		b.do(chromedp.EmulateViewport(width, 800))
		for _, p := range f.pages() {
			if strings.Contains(p[0], "-sorted") || strings.Contains(p[0], "-filtered") {
				continue
			}
			b.goTo(p[1])
			b.picture(fmt.Sprintf("long-%s-%d", p[0], width))
			if found := eval[string](b, broken); found != "" && width >= 1280 {
				t.Errorf("%s breaks at %d px: %s", p[0], width, found)
			}
			if wide := eval[int](b,
				`document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
				t.Errorf("%s is %d px wider than a window of %d: %s", p[0], wide, width, eval[string](b, sticking))
			}
		}
	}
}
