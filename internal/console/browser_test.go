package console_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// patience is how long the browser may take to show what is waited for. The
// machine may be busy with everything else.
const patience = 60 * time.Second

// One Chromium serves the whole test binary. Each browser of a test is a window
// of its own that shares nothing with the others.
var (
	chromium     context.Context
	stopChromium = func() {}
	chromiumOnce sync.Once
	errChromium  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopChromium()
	os.Exit(code)
}

func startChromium(program string) {
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		errChromium = err
		return
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.UserDataDir(dir), chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("lang", "en-GB"),
		chromedp.CombinedOutput(io.Discard))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	window, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	stopChromium = func() {
		cancel()
		stop()
		_ = os.RemoveAll(dir)
	}
	chromium, errChromium = window, chromedp.Do(window)
}

// browser is one window, used as a person does who sees names and roles only.
type browser struct {
	t    testing.TB
	ctx  context.Context
	base string
	in   cdp.BackendNodeID // the part of the page that is looked at; 0: all of it
}

type look struct {
	width int64
	dark  bool
}

func (l look) String() string {
	return fmt.Sprintf("%dpx-%s", l.width, map[bool]string{true: "dark", false: "light"}[l.dark])
}

// looks are what every walk is done in.
var looks = []look{{1280, false}, {1280, true}, {360, false}, {360, true}}

var ordinary = look{1280, false}

func open(t testing.TB, s *svctest.Server, l look) *browser {
	t.Helper()
	program := svctest.Chromium(t)
	chromiumOnce.Do(func() { startChromium(program) })
	require.NoError(t, errChromium)
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx)) // without a time limit, which would be that of the window
	b := &browser{t: t, ctx: ctx, base: s.URL}
	b.do(chromedp.EmulateViewport(l.width, 800))
	b.scheme(l.dark)
	return b
}

// scheme is what the system's choice of colours is.
func (b *browser) scheme(dark bool) {
	b.t.Helper()
	name := "light"
	if dark {
		name = "dark"
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

// call sends one command of the browser's protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	require.NoError(b.t, err)
	return result
}

// eval gives the value of a script.
func eval[T any](b *browser, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	require.NoError(b.t, err, "%s", script)
	return value
}

// goTo opens an address of the server.
func (b *browser) goTo(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// find returns the one thing with this role and accessible name that a reader
// can reach, as soon as it is there.
func (b *browser) find(role, name string) cdp.BackendNodeID {
	b.t.Helper()
	var found []*accessibility.Node
	deadline := time.Now().Add(patience)
	for {
		found = b.all(role, name)
		if len(found) == 1 {
			return found[0].BackendDOMNodeID
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d things of role %s are called %q on %s; expected one. The page says:\n%s", len(found), role,
				name, b.path(), b.text())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (b *browser) all(role, name string) (found []*accessibility.Node) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	none := int64(0)
	root, err := chromedp.Call(ctx, dom.GetDocument, dom.GetDocumentParams{Depth: &none})
	if err != nil {
		return nil // while a page changes there is no document
	}
	params := accessibility.QueryAXTreeParams{BackendNodeID: b.in, Role: role, AccessibleName: name}
	if b.in == 0 {
		params.NodeID = root.Root.NodeID
	}
	tree, err := chromedp.Call(ctx, accessibility.QueryAXTree, params)
	if err != nil {
		return nil
	}
	for _, n := range tree.Nodes {
		if !n.Ignored {
			found = append(found, n)
		}
	}
	return found
}

// within looks only at what is in one part of the page.
func (b *browser) within(role, name string) *browser {
	b.t.Helper()
	part := *b
	part.in = b.find(role, name)
	return &part
}

// has reports whether something with this role and name is there now.
func (b *browser) has(role, name string) bool { return len(b.all(role, name)) > 0 }

// press clicks with the pointer, and waits for the page that follows.
func (b *browser) press(role, name string) {
	b.t.Helper()
	eval[bool](b, `window.before = true`)
	b.click(role, name)
	b.arrive()
}

// arrive waits until the page that was marked has gone and the next one is
// there.
func (b *browser) arrive() {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if there, err := chromedp.Run(b.ctx,
			chromedp.Evaluate[bool](`!window.before && document.readyState === 'complete'`)); err == nil && there {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("no other page followed %s", b.path())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// click clicks with the pointer where the thing is.
func (b *browser) click(role, name string) {
	b.t.Helper()
	node := b.find(role, name)
	call(b, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node})
	quads := call(b, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node}).Quads
	require.NotEmpty(b.t, quads, "%s %q is nowhere to be seen", role, name)
	q := quads[0]
	b.do(chromedp.MouseClickXY((q[0]+q[2]+q[4]+q[6])/4, (q[1]+q[3]+q[5]+q[7])/4))
}

// fill types into a field in place of what is there.
func (b *browser) fill(name, text string) {
	b.t.Helper()
	role, deadline := "textbox", time.Now().Add(patience)
	for there := false; !there && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, other := range []string{"textbox", "searchbox", "spinbutton", "combobox"} {
			if b.has(other, name) {
				role, there = other, true
			}
		}
	}
	node := b.find(role, name)
	call(b, dom.Focus, dom.FocusParams{BackendNodeID: node})
	eval[bool](b, `document.activeElement.select(), true`)
	if text == "" {
		b.do(chromedp.KeyEvent("\b"))
		return
	}
	call(b, input.InsertText, input.InsertTextParams{Text: text})
}

// choose picks an option of a list.
func (b *browser) choose(name, option string) {
	b.t.Helper()
	node := b.find("combobox", name)
	b.with(node,
		fmt.Sprintf(
			`function() { const o = [...this.options].find(o => o.text === %q); if (!o) throw Error('no such option'); this.value = o.value }`, option))
}

// setTime fills in a date and time.
func (b *browser) setTime(label, value string) {
	b.t.Helper()
	eval[string](b,
		fmt.Sprintf(
			`[...document.querySelectorAll('label')].find(l => l.textContent.startsWith(%q)).control.value = %q`, label,
			value))
}

// with calls a function on an element.
func (b *browser) with(node cdp.BackendNodeID, function string) {
	b.t.Helper()
	object := call(b, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node}).Object
	result := call(b, runtime.CallFunctionOn, runtime.CallFunctionOnParams{
		FunctionDeclaration: function,
		ObjectID:            object.ObjectID,
	})
	require.Nil(b.t, result.ExceptionDetails)
}

// text is what the page shows.
func (b *browser) text() string {
	b.t.Helper()
	return eval[string](b, `document.body.innerText`)
}

// html is the whole document.
func (b *browser) html() string {
	b.t.Helper()
	return eval[string](b, `document.documentElement.outerHTML`)
}

// focused waits until a field has the focus.
func (b *browser) focused(id string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return eval[string](b, `document.activeElement.id`) == id
	}, patience, 20*time.Millisecond, "%s does not get the focus", id)
}

// see waits until the page shows a text.
func (b *browser) see(text string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !strings.Contains(b.text(), text) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s does not show %q. It says:\n%s", b.path(), text, b.text())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (b *browser) path() string {
	b.t.Helper()
	return eval[string](b, `location.pathname + location.search`)
}

// signIn signs the first administrator in by the sign-in page.
func (b *browser) signIn(s *svctest.Server) {
	b.t.Helper()
	b.signInAs(svctest.AdminEmail, s.Tenant.AdminPassword.Reveal())
}

func (b *browser) signInAs(email, password string) {
	b.t.Helper()
	b.goTo("/console/sign-in")
	b.fill("E-mail address", email)
	b.fill("Password", password)
	b.press("button", "Sign in")
}

// nav goes to an entry of the navigation, which on a narrow screen is behind a
// button.
func (b *browser) nav(entry string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for tries := 0; !b.has("navigation", "Main") && time.Now().Before(deadline); tries++ {
		if tries%20 == 0 && b.has("button", "Menu") {
			b.click("button", "Menu")
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.within("navigation", "Main").press("link", entry)
}

// picture takes a screenshot where SVCAUTH_SCREENSHOTS names a directory.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("SVCAUTH_SCREENSHOTS")
	if dir == "" {
		return
	}
	yes := true
	shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &yes}).Data
	require.NoError(b.t,
		os.WriteFile(
			filepath.Join(dir, regexp.MustCompile(`[^a-z0-9-]+`).ReplaceAllString(strings.ToLower(name), "-")+".png"),
			shot, 0o600))
}
