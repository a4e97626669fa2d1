package server

import (
	"net/http"
	"net/url"
	"strings"
)

// below serves the paths below base as those without it. So it makes no
// difference whether a proxy before the server takes the issuer's path away. A
// path that is none of ours without base stays as it is: base may be the first
// part of a path of ours, such as /oauth2/token, that a proxy has already
// shortened.
func below(base string, routes []string, next http.Handler) http.Handler {
	if base == "" {
		return next
	}
	first := func(path string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		return name
	}
	ours := map[string]bool{}
	for _, route := range routes {
		ours[first(route)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.Path, base)
		if ok && rest == "" {
			rest = "/" // RFC 9110 §4.2.3
		}
		if ok && strings.HasPrefix(rest, "/") && ours[first(rest)] {
			within := r.WithContext(r.Context())
			within.URL = new(url.URL)
			*within.URL = *r.URL
			within.URL.Path, within.URL.RawPath = rest, strings.TrimPrefix(r.URL.RawPath, base)
			r = within
		}
		next.ServeHTTP(w, r)
	})
}
