// Package oauth is the OAuth2 endpoints: tokens, revocation, introspection, the
// revocation feed, the metadata and the keys. It reads requests strictly, calls
// packages token and changes, and writes answers. Its errors are those of
// RFC 6749 §5.2.
//
// It refuses to know what is allowed (package token), SQL, Redis and private
// keys.
package oauth

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/internal/wire"
)

// Config is what the endpoints stand on.
type Config struct {
	ClientAuth *clientauth.Authenticator
	Token      *token.Service
	Feed       *feed.Feed
	Refusals   *refusals.Log // is told what is refused; nil: it is not
	// JWKS returns the key set (RFC 7517 §5) and its entity tag.
	JWKS       func() (body []byte, etag string)
	JWKSMaxAge time.Duration
	Algorithms func() []string // of the published keys

	Issuer string
	// MTLSURL is where clients that show a certificate reach the endpoints, RFC
	// 8705 §5. If it is empty, nowhere else than the others.
	MTLSURL      string
	TokenAliases []string // further paths of the token endpoint
	// CertificateBound says that clients can show a certificate, and have
	// tokens bound to it (RFC 8705 §3).
	CertificateBound bool
}

// Endpoints are the OAuth2 endpoints.
type Endpoints struct {
	cfg      Config
	metadata atomic.Pointer[metadata]
}

// New returns the endpoints. Mount serves them.
func New(cfg Config) *Endpoints { return &Endpoints{cfg: cfg} }

const (
	tokenPath      = "/oauth2/token"
	revokePath     = "/oauth2/revoke"
	introspectPath = "/oauth2/introspect"
	feedPath       = "/oauth2/revocations"
	receiptPath    = feedPath + wire.ReceiptPath

	metadataPath  = "/.well-known/oauth-authorization-server"
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/.well-known/jwks.json"
)

// Mount adds the endpoints to the routes.
func (e *Endpoints) Mount(r gin.IRouter) {
	r.POST(tokenPath, e.token(false))
	for _, path := range e.cfg.TokenAliases {
		r.POST(path, e.token(true))
	}
	r.POST(revokePath, e.revoke)
	r.POST(introspectPath, e.introspect)
	r.GET(feedPath, e.revocations)
	r.POST(receiptPath, e.acknowledge)
	for _, path := range e.metadataPaths() {
		r.GET(path, e.serveMetadata)
	}
	r.GET(keysPath, e.serveJWKS)
}

// metadataPaths returns the paths of the metadata. The well-known part stands
// before the issuer's path (RFC 8414 §3.1).
func (e *Endpoints) metadataPaths() []string {
	paths := []string{metadataPath, discoveryPath}
	if base := request.IssuerPath(e.cfg.Issuer); base != "" {
		paths = append(paths, metadataPath+base, discoveryPath+base)
	}
	return paths
}

// DocumentPaths returns the paths of what anybody may read, from pages of any
// origin.
func (e *Endpoints) DocumentPaths() []string {
	return append(e.metadataPaths(), keysPath, keysPath+request.IssuerPath(e.cfg.Issuer))
}

// ClientPaths returns the paths that clients send their credentials to.
func (e *Endpoints) ClientPaths() []string {
	return append([]string{tokenPath, revokePath, introspectPath}, e.cfg.TokenAliases...)
}

// TokenURLs returns the URLs of the token endpoint at an issuer, which aliases
// are further paths of.
func TokenURLs(issuer string, aliases []string) []string {
	all := []string{issuer + tokenPath}
	for _, alias := range aliases {
		all = append(all, issuer+alias)
	}
	return all
}

func writeJSON(c *gin.Context, status int, body []byte) {
	h := c.Writer.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.Writer.WriteHeader(status)
	_, _ = c.Writer.Write(body)
}

// writeEmpty answers 200 without a body, and so without a Content-Type (RFC
// 9110 §8.3): a client that goes by it would parse nothing as JSON.
func writeEmpty(c *gin.Context) {
	h := c.Writer.Header()
	h["Cache-Control"], h["Pragma"] = noStore, noCache
	h["Content-Length"] = []string{"0"}
	c.Writer.WriteHeader(http.StatusOK)
	c.Writer.WriteHeaderNow()
}

var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	noCache  = []string{"no-cache"}
)
