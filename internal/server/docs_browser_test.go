package server_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// TestDocsInABrowser opens the page in a real browser that can reach no other
// host. All calls are there, searching and opening work, and nothing runs over
// the edge of a telephone.
func TestDocsInABrowser(t *testing.T) {
	program := svctest.Chromium(t)
	s := svctest.New(t, svctest.Options{})
	all, others := operations(t, s), len(endpoints(t, s))
	ctx := browse(t, program)
	number := func(script string) int {
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](script))
		require.NoError(t, err, script)
		return n
	}
	for _, width := range []int64{360, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 800)))
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia,
				emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme",
					Value: scheme}}})
			require.NoError(t, err)
			require.NoError(t,
				chromedp.Do(ctx, chromedp.Navigate("about:blank"),
					chromedp.Navigate(s.URL+"/docs#updateServiceAccount")))
			require.Eventually(t,
				func() bool { return number(`document.querySelectorAll("details.call").length`) == len(all)+others },
				time.Minute, 50*time.Millisecond)
			require.Eventually(t, func() bool {
				return number(`document.querySelectorAll("#updateServiceAccount[open] pre").length`) == 1
			}, time.Minute, 50*time.Millisecond, "the call in the address is open")
			require.LessOrEqual(t, number(`document.documentElement.scrollWidth`), int(width))
			require.Zero(t,
				number(`performance.getEntriesByType("resource").filter((r) => !r.name.startsWith(location.origin)).length`), "loads from elsewhere")
			number(`(() => { const s = document.getElementById("search"); s.value = "post secret"; s.dispatchEvent(new Event("input")); return 0; })()`)
			shown := number(`document.querySelectorAll("details.call:not([hidden])").length`)
			require.Positive(t, shown)
			require.Less(t, shown, len(all)+others)
			require.Zero(t,
				number(`[...document.querySelectorAll("details.call:not([hidden])")].filter((c) => c.getClientRects().length === 0).length`))
			text, err := chromedp.Run(ctx,
				chromedp.Evaluate[string](`document.querySelector("#updateServiceAccount").textContent`))
			require.NoError(t, err)
			for _, word := range []string{"If-Match", "members:manage", "412", "curl -X PATCH", "token_ttl_seconds",
				"60 to 86400"} {
				require.True(t, strings.Contains(text, word), "%s is missing", word)
			}
		}
	}
}

// TestTheFirstSnippetsGetAToken runs, as they stand on the page, the commands
// by which everybody begins.
func TestTheFirstSnippetsGetAToken(t *testing.T) {
	program := svctest.Chromium(t)
	s := svctest.New(t, svctest.Options{})
	account := s.Account("reader", "clusters:view")
	ctx := browse(t, program)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.URL+"/docs")))
	var texts []string
	require.Eventually(t, func() (ok bool) {
		var err error
		texts, err = chromedp.Run(ctx, chromedp.Evaluate[[]string](
			`[...document.querySelectorAll("#begin pre")].map((e) => e.textContent)`))
		return err == nil && len(texts) == 3
	}, time.Minute, 50*time.Millisecond)
	run := func(script string) string {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", script, out)
		return string(out)
	}
	begin := strings.NewReplacer("sa_…", account.ClientID, "svcs_…", account.ClientSecret.Reveal()).Replace(texts[0])
	require.Contains(t, run(begin), `"access_token":"`)
	var example map[string]any
	require.NoError(t, json.Unmarshal([]byte(texts[1]), &example))
	require.Contains(t, example, "access_token")
	export, _, _ := strings.Cut(begin, "\n")
	require.Contains(t, run(export+"\n"+texts[2]), account.ClientID, "/v1/me says who calls")
}

// browse opens a window, which closes with the test.
func browse(t *testing.T, program string) context.Context {
	t.Helper()
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
			chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute),
			chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-gpu", true),
			chromedp.Flag("disable-dev-shm-usage", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))...)
	t.Cleanup(stop)
	window, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(window))
	ctx, end := context.WithTimeout(window, 3*time.Minute)
	t.Cleanup(end)
	return ctx
}
