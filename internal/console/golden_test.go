package console

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mayAll is a viewer who may open every page.
var mayAll = map[string]bool{
	svcauth.MembersRead:         true,
	svcauth.RolesManage:         true,
	svcauth.AuditRead:           true,
	svcauth.SettingsManage:      true,
	svcauth.TokensIntrospect:    true,
	svcauth.KeysManage:          true,
	svcauth.OrganizationsManage: true,
}

var hashed = regexp.MustCompile(`(/console/static/\w+)\.[0-9a-f]{12}\.`)

// TestGoldenPages checks that every template, with sample data, is what it was.
// After a change that is meant, run go test ./internal/console -run Golden
// -update.
func TestGoldenPages(t *testing.T) {
	k := sampleConsole(t)
	seen, wanted := map[string]bool{}, map[string]bool{}
	for _, s := range samples(k) {
		t.Run(s.name, func(t *testing.T) {
			seen[s.template], wanted[s.name+".html"] = true, true
			s.page.Name = s.template
			if !s.stranger {
				s.page.Once = "ONCE"
				s.page.Me = &viewer{
					Name:         "Ann Example",
					Email:        "ann@example.com",
					Organization: "default",
					Can:          mayAll,
				}
			}
			var out bytes.Buffer
			require.NoError(t, k.pages[s.template].ExecuteTemplate(&out, "layout", s.page))
			got := hashed.ReplaceAllString(out.String(), "$1.")
			require.NotContains(t, got, "ZgotmplZ", "html/template has refused a value")
			file := filepath.Join("testdata", "golden", s.name+".html")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
	for name := range k.pages {
		require.True(t, seen[name], "the template %s has no sample", name)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.html"))
	require.NoError(t, err)
	for _, file := range files {
		require.True(t, wanted[filepath.Base(file)], "%s belongs to no sample", file)
	}
}

// TestGoldenPagesHoldTogether checks that the id and the for of each label meet
// and that no id is there twice. A page has nothing inline that the policy
// would refuse, and no address of another host.
func TestGoldenPagesHoldTogether(t *testing.T) {
	k := sampleConsole(t)
	ids := regexp.MustCompile(` id="([^"]+)"`)
	fors := regexp.MustCompile(` (?:for|aria-labelledby|popovertarget|data-copy|list)="([^"]+)"`)
	described := regexp.MustCompile(` aria-describedby="([^"]+)"`)
	external := regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//`)
	for _, s := range samples(k) {
		if !s.stranger {
			s.page.Me = &viewer{Name: "Ann", Can: map[string]bool{}}
		}
		var out bytes.Buffer
		require.NoError(t, k.pages[s.template].ExecuteTemplate(&out, "layout", s.page))
		text, there := out.String(), map[string]bool{}
		for _, m := range ids.FindAllStringSubmatch(text, -1) {
			require.False(t, there[m[1]], "%s: the id %s is there twice", s.name, m[1])
			there[m[1]] = true
		}
		for _, m := range fors.FindAllStringSubmatch(text, -1) {
			require.True(t, there[m[1]], "%s: nothing has the id %s", s.name, m[1])
		}
		for _, m := range described.FindAllStringSubmatch(text, -1) {
			for _, one := range strings.Fields(m[1]) {
				require.True(t, there[one], "%s: nothing has the id %s", s.name, one)
			}
		}
		require.NotRegexp(t, external, text, s.name)
		require.NotRegexp(t, ` style=| on[a-z]+="|<style|javascript:`, text, s.name)
		require.Less(t, len(text)+len(k.static["console.css"].small)+len(k.static["console.js"].small)+
			len(k.static["icon.svg"].small), 60<<10, "%s is too heavy", s.name)
	}
}

// No page leads out of the issuer's path.
func TestPagesStayBelowTheIssuersPath(t *testing.T) {
	k, err := New(Config{
		Issuer:          "https://example.com/auth/eu",
		SessionIdle:     time.Hour,
		SessionLifetime: time.Hour,
		Clock:           func() time.Time { return noon },
	})
	require.NoError(t, err)
	address := regexp.MustCompile(`(?:src|href|action|formaction)="([^"]*)"`)
	all := 0
	for _, s := range samples(k) {
		if !s.stranger {
			s.page.Me = &viewer{
				Name: "Ann",
				Can:  mayAll,
			}
		}
		var out bytes.Buffer
		require.NoError(t, k.pages[s.template].ExecuteTemplate(&out, "layout", s.page))
		for _, m := range address.FindAllStringSubmatch(out.String(), -1) {
			require.Regexp(t, `^(/auth/eu/console([/?"]|$)|[?#])`, m[1], s.name)
			all++
		}
	}
	require.Greater(t, all, 100)
}

func TestReturnToTakesOnlyPagesOfTheConsole(t *testing.T) {
	for next, want := range map[string]string{
		"/console/roles?x=1":            "/console/roles?x=1",
		"":                              "/console",
		"/":                             "/console",
		"//evil.example/console/":       "/console",
		"https://evil.example/console/": "/console",
		"/console/\\evil":               "/console",
		"/consolex":                     "/console",
		"/console/sign-out":             "/console",
		"/console/\r\nSet-Cookie: x":    "/console",
		"/console/../oauth2/token":      "/console",
	} {
		require.Equal(t, want, returnTo(next), "%q", next)
	}
}

func TestProblemsStandBesideTheirField(t *testing.T) {
	f := blank()
	require.True(t, f.refused(svcauth.InvalidField("body.privileges[3]", "unknown"), "name"))
	require.Equal(t, "unknown", f.Error("privileges"))
	require.True(t, f.refused(svcauth.NewProblem(svcauth.CodeConflict, "taken"), "name"))
	require.Equal(t, "taken", f.Error("name"))
	require.True(t, f.refused(svcauth.NewProblem(svcauth.CodeMissingPrivileges, "lacking"), "name"))
	require.Equal(t, "lacking", f.Problem)
	require.False(t, f.refused(svcauth.NewProblem(svcauth.CodeNotFound, "gone"), "name"))
	require.False(t, f.refused(errors.New("fault"), "name"))
}

func TestMomentsAreReadByPeopleAndMachines(t *testing.T) {
	require.Equal(t, `<time datetime="2026-03-01T11:00:00Z" title="2026-03-01 11:00:00 UTC">1 hour ago</time>`,
		string(ago(at(-time.Hour), noon)))
	require.Equal(t, `<time datetime="2026-03-03T12:00:00Z" title="2026-03-03 12:00:00 UTC">in 2 days</time>`,
		string(until(at(48*time.Hour), noon)))
	require.Equal(t,
		`<time datetime="2026-03-01T12:00:00Z" title="2026-03-01 12:00:00 UTC" class="local">1 Mar 2026, 12:00 UTC</time>`, string(when(noon)))
	var none *time.Time
	require.Contains(t, string(ago(none, noon)), "never")
	require.Equal(t, "1,234,567 tokens", plural(1234567, "token"))
	require.Equal(t, "1 address", plural(1, "address", "addresses"))
}
