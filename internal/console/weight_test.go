package console_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// TestPageWeight checks that a page is one document and what it names, all from
// here, together under 60 KB. The second page of a visit is one request.
func TestPageWeight(t *testing.T) {
	svctest.Chromium(t)
	s := svctest.New(t, svctest.Options{})
	furnish(t, s, "")
	b := open(t, s, ordinary)
	// What each request weighed on the wire, or 0 if the browser had it
	// already. parts counts steps from the document.
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
			require.Contains(t, []string{"navigation", "link", "script"}, r.By, "%s is named by the document itself",
				r.URL)
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
	svctest.Chromium(t)
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
