package console_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// menus are the entries of the navigation that each privilege adds to those
// that everybody has.
var menus = map[string][]string{
	"":                          nil,
	svcauth.MembersRead:         {"Members", "Roles", "Trust simulator"},
	svcauth.MembersManage:       nil, // it changes what members:read shows
	svcauth.RolesManage:         {"Roles"},
	svcauth.AuditRead:           {"Audit log"},
	svcauth.SettingsManage:      {"Settings"},
	svcauth.TokensIntrospect:    {"Resource servers"},
	svcauth.KeysManage:          {"Signing keys"},
	svcauth.OrganizationsManage: {"Organizations"},
}

// TestMenusShowWhatOneMayOpen signs in with one privilege after the other. The
// navigation has exactly its pages, and no link of any page leads to a refusal.
// An address that is typed is still answered by a clear one.
func TestMenusShowWhatOneMayOpen(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "")
	ann := invite(t, s, "one@example.com", goodPassword)
	role, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{Name: "One"})
	require.NoError(t, err)
	require.NoError(t, second(s.App.Access.AssignMemberRole(s.System(), ann.ID, role.ID, svcauth.GrantRequest{})))
	p := visit(t, s)
	p.signIn(ann.Email, goodPassword)
	for privilege, entries := range menus {
		t.Run(privilege, func(t *testing.T) {
			privileges := []string{}
			if privilege != "" {
				privileges = []string{privilege}
			}
			_, err := s.Admin().UpdateRole(t.Context(), role.ID, 0, svcauth.RolePatch{Privileges: &privileges}, 0)
			require.NoError(t, err)
			p.t = t
			want := append([]string{"Application keys", "APIs", "Profile"}, entries...)
			require.ElementsMatch(t, want, entriesOf(p.get("/console/profile").body))
			seen := p.crawl("/console")
			for _, page := range f.pages() {
				path, _, _ := strings.Cut(page[1], "?")
				if a := p.get(path); a.status == 403 {
					require.Contains(t, a.body, "needs the privilege", path)
					require.NotContains(t, seen, path)
				}
			}
		})
	}
}

var (
	navigation = regexp.MustCompile(`(?s)<nav class="nav".*?</nav>`)
	entry      = regexp.MustCompile(`</svg>([^<]+)</a>`)
	anchor     = regexp.MustCompile(`<a [^>]*href="([^"#?]+)`)
)

func entriesOf(body string) (all []string) {
	for _, m := range entry.FindAllStringSubmatch(navigation.FindString(body), -1) {
		all = append(all, m[1])
	}
	return all
}

// crawl follows every link from a page on, and returns the paths. None may be
// refused.
func (p *person) crawl(from string) (seen []string) {
	p.t.Helper()
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		if slices.Contains(seen, todo[0]) {
			continue
		}
		seen = append(seen, todo[0])
		a := p.get(todo[0])
		if to := a.header.Get("Location"); to != "" {
			u, err := url.Parse(to)
			require.NoError(p.t, err)
			todo = append(todo, u.Path)
			continue
		}
		require.NotContains(p.t, []int{403, 404}, a.status, "%s is linked, but not to be opened", todo[0])
		for _, m := range anchor.FindAllStringSubmatch(a.body, -1) {
			todo = append(todo, m[1])
		}
	}
	require.NotEmpty(p.t, seen)
	return seen
}
