package dpop

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/httpx"
)

func TestSameTarget(t *testing.T) {
	cases := []struct {
		base, path, htu string
		same            bool
	}{
		{"https://a.example", "/x", "https://a.example/x", true},
		{"https://a.example", "/", "https://a.example", true},
		{"https://a.example", "", "https://a.example/", true},
		{"https://a.example", "", "https://a.example", true},
		{"https://a.example", "/x", "https://A.EXAMPLE/x", true},
		{"https://a.example", "/x", "https://a.example:443/x", true},
		{"https://a.example:443", "/x", "https://a.example/x", true},
		{"http://a.example", "/x", "http://a.example:80/x", true},
		{"http://a.example", "/x", "http://a.example:/x", true},
		{"http://[2001:DB8::1]:80", "/x", "http://[2001:db8::1]/x", true},
		{"http://[::1]:8080", "/x", "http://[::1]:8080/x", true},
		{"http://[::1]:8080", "/x", "http://[::1]/x", false},
		{"https://a.example", "/x", "http://a.example/x", false},
		{"https://a.example", "/x", "https://a.example:80/x", false},
		{"http://a.example", "/x", "http://a.example:443/x", false},
		{"https://a.example:8443", "/x", "https://a.example/x", false},
		{"https://a.example", "/x", "https://a.example/X", false},
		{"https://a.example", "/x", "https://a.example/x/", false},
		{"https://a.example", "/x", "https://a.example//x", false},
		{"https://a.example", "/x", "https://a.example/x?y=z", true},
		{"https://a.example", "/x", "https://a.example/x#y", true},
		{"https://a.example", "/x", "https://a.example/x#y?z", true},
		{"https://a.example", "/", "https://a.example?y", true},
		{"https://a.example", "/~x", "https://a.example/%7Ex", true},
		{"https://a.example", "/%7ex", "https://a.example/~x", true},
		{"https://a.example", "/a%2fb", "https://a.example/a%2Fb", true},
		{"https://a.example", "/a%2Fb", "https://a.example/a/b", false},
		{"https://a.example", "/a%25b", "https://a.example/a%b", false},
		{"https://a.example", "/x", "https://a.example/y/../x", true},
		{"https://a.example", "/x", "https://a.example/./x", true},
		{"https://a.example", "/x", "https://a.example/../../x", true},
		{"https://a.example", "/x", "https://a.example/y/%2e%2E/x", true},
		{"https://a.example", "/x/", "https://a.example/x/y/..", true},
		{"https://a.example", "/x/", "https://a.example/x/.", true},
		{"https://a.example", "/x", "https://a.example/x/..", false},
		{"https://a.example", "/...", "https://a.example/...", true},
		{"https://a.example", "/.x", "https://a.example/.x", true},
		{"https://a.example", "/oauth2/introspect", "https://a.example/oauth2/token", false},
		{"https://a.example", "/x", "https://user@a.example/x", false},
		{"https://a.example", "/x", "https://a.example@b.example/x", false},
		{"https://a.example", "/x", "https://a.example.b.example/x", false},
		{"https://a.example", "/x", "https://a.example\\@b.example/x", false},
		{"https://a.example", "/x", "https://a.example/x\n", false},
		{"https://a.example", "/x", " https://a.example/x", false},
		{"https://a.example", "/x", "https:a.example/x", false},
		{"https://a.example", "/x#y", "https://a.example/x", false},
		{"https://a.example", "/x#y", "https://a.example/x#y", false},
		{"https://a.example", "/x%23y", "https://a.example/x", false},
		{"https://a.example", "/x", "//a.example/x", false},
		{"https://a.example", "/x", "/x", false},
		{"https://a.example", "/x", "", false},
		{"https://a.example", "/x", "https://a.example/x%", false},
		{"https://a.example", "/x", "https://a.example/x%zz", false},
		{"https://a.example", "/x", "https://%61.example/x", false},
		{"https://a.example", "/x", "https://ä.example/x", false},
		{"https://a.example", "/x", "https://:443/x", false},
		{"https://a.example", "/x", "https://a.example:44x3/x", false},
	}
	for _, c := range cases {
		require.Equal(t, c.same, SameTarget(c.htu, c.base, c.path), "%+v", c)
	}
}

// FuzzTarget: what is the same as a URL, the standard library resolves to it,
// too.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"https://a.example/x/y", "HTTPS://A.example:443/x/./z/../%79?q#f",
		"https://a.example/x/y/..",
		"https://a.example/%2e%2e/x/y", "https://b@a.example/x/y", "https://a.example:/x/y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, htu string) {
		if !SameTarget(htu, "https://a.example", "/x/y") {
			return
		}
		htu, _, _ = strings.Cut(htu, "#") // the library looks at how a fragment is encoded
		u, err := url.Parse(htu)
		require.NoError(t, err)
		u = (&url.URL{Scheme: "https", Host: "a.example"}).ResolveReference(u)
		require.Equal(t, "/x/y", path.Clean(u.Path))
		require.Equal(t, "a.example", lower(u.Hostname()))
		require.Contains(t, []string{"", "443"}, u.Port())
		require.Nil(t, u.User)
	})
}

// FuzzBase: what may be configured as the beginning of a server's URLs, proofs
// can be compared with.
func FuzzBase(f *testing.F) {
	for _, s := range []string{"https://a.example", "http://[::1]:8080/cloud", "https://a.example:0443",
		"https://a.example/%7e/x", "https://%61.example", "https://a.example/\\", "https://a.example:99999/.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, base string) {
		if httpx.CheckBase(base) != nil {
			return
		}
		normal, ok := normalize(base + "/x")
		require.True(t, ok, base)
		require.True(t, SameTarget(normal, base, "/x"), base)
		u, err := url.Parse(normal)
		require.NoError(t, err, base)
		u.Path, u.RawPath = "", ""
		require.NoError(t, httpx.CheckBase(u.String()), base)
	})
}

func lower(s string) string {
	out := []byte(s)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}
