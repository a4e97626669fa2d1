package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/request"
)

// Whatever the body is, it is refused as a whole or read as net/url reads it,
// each parameter once.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "a=b", "grant_type=client_credentials&scope=a+b", "a=1&a=2", "a=&a=2",
		"resource=x&resource=y", "%zz=1", "a=%", "a=%00", "a;b=c", "&&", "=", "a==b", "%61=b", "a=\xff",
		"a=%ff", "scope=%C3%BC", strings.Repeat("x=1&", 100), strings.Repeat("a", MaxForm+1)} {
		f.Add(s, "")
		f.Add("grant_type=client_credentials", s)
	}
	f.Fuzz(func(t *testing.T, body, query string) {
		for _, alias := range [][]string{nil, {"grant_type", "scope"}} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			r.URL.RawQuery = query
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			got, refusal := readForm(httptest.NewRecorder(), r, alias...)
			if refusal != nil {
				require.Contains(t, []int{400, 413, 415}, refusal.Status)
				continue
			}
			require.LessOrEqual(t, len(body), MaxForm)
			require.True(t, alias != nil || query == "")
			want, err := url.ParseQuery(strings.ReplaceAll(body, ";", "%3B"))
			require.NoError(t, err)
			inURL, err := url.ParseQuery(strings.ReplaceAll(query, ";", "%3B"))
			require.NoError(t, err)
			require.LessOrEqual(t, len(got.values), 8+64+2)
			for name, value := range got.values {
				require.NotEmpty(t, value)
				all := append(want[name], inURL[name]...)
				require.Contains(t, all, value)
				require.True(t, request.Clean(name) && request.Clean(value))
			}
			for name := range inURL {
				require.Contains(t, alias, name)
			}
		}
	})
}
