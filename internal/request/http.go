package request

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
)

type headKey struct{}

// HeadAsGet returns a HEAD request as a GET, since it is answered like one (RFC
// 9110 §9.3.2). It returns any other request as it is.
func HeadAsGet(r *http.Request) *http.Request {
	if r.Method == http.MethodHead {
		r = r.WithContext(context.WithValue(r.Context(), headKey{}, true))
		r.Method = http.MethodGet
	}
	return r
}

// IsHead reports whether the caller wants the header alone.
func IsHead(r *http.Request) bool {
	head, _ := r.Context().Value(headKey{}).(bool)
	return head
}

// Method returns the method that the caller sent.
func Method(r *http.Request) string {
	if IsHead(r) {
		return http.MethodHead
	}
	return r.Method
}

// Challenge asks for an access token by a scheme (RFC 6750 §3, RFC 9449 §7.1);
// empty: Bearer. It has an error code only if a token came (RFC 6750 §3.1), and
// a scope if the token lacks one.
func Challenge(c *gin.Context, scheme, code, description, scope string) {
	c.Header("WWW-Authenticate", oautherr.Challenge(scheme, code, description, scope))
}

// NotModified sets the entity tag of what is asked for. If the caller has that
// already, NotModified answers 304 and returns true.
func NotModified(c *gin.Context, etag string) bool {
	c.Header("ETag", etag)
	if !matches(c.Request.Header.Values("If-None-Match"), etag) {
		return false
	}
	c.Status(http.StatusNotModified)
	c.Writer.WriteHeaderNow()
	return true
}

// matches reports whether If-None-Match names etag. The header is * or a list
// of entity tags, compared without regard to their weakness (RFC 9110 §13.1.2).
func matches(headers []string, etag string) bool {
	for _, header := range headers {
		for tag := range strings.SplitSeq(header, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// Clean reports whether a text is free of control characters and of the
// replacement character, which stands for broken ones.
func Clean(s string) bool { return clientauth.Clean(s) }

// IssuerPath returns the path of an issuer such as https://example.com/auth. It
// is empty if the issuer has none.
func IssuerPath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}
