// Package console serves the pages for people under /console, in the words of
// the product page.
//
// It owns pages, forms, sessions and cookies, sign-in through OpenID Connect,
// and what the browser is told to refuse. Each page works without JavaScript,
// except for copying. Dialogs are pages with an address of their own. It
// refuses to know any rule: it reads and changes everything through
// internal/access, as the member who is signed in, and shows the answer.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config holds what the console depends on.
type Config struct {
	Access   *access.Service
	People   *people.Service
	Token    *token.Service // explains requests
	Sessions scs.CtxStore   // stores no session token, only its hash
	// Once reports whether it sees the token for the first time, and remembers
	// it until expiry. So a form whose answer shows a secret works once.
	Once func(ctx context.Context, token string, expiry time.Time) (first bool, err error)
	// Callers bounds what a signed-in member asks; nil: nothing does.
	Callers *limits.Callers
	// ResourceServers lists the connected subscribers of the revocation feed:
	// the organization's, or all for the operator. If nil, there are none.
	ResourceServers func(ctx context.Context, orgID string, operator bool) []svcauth.ResourceServer
	// Enforced waits, at most for wait, until every connected resource server
	// enforces what has been committed. If nil, none is connected.
	Enforced func(ctx context.Context, wait time.Duration) svcauth.Enforcement

	Issuer          string        // of the tokens; what the browser's address begins with
	SessionIdle     time.Duration // a session ends after so long without a request
	SessionLifetime time.Duration // and after so long in any case
	OIDC            OIDC          // an empty Issuer: members sign in with a password only
	// Seal encrypts what a browser keeps for us, under a name, and Open undoes
	// that for every node of this installation. Single sign-on needs them.
	Seal func(name string, plain []byte) []byte
	Open func(name string, sealed []byte) ([]byte, error)

	Clock  func() time.Time // default time.Now
	Logger *slog.Logger
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	cfg      Config
	secure   bool   // the browser comes by https
	base     string // the issuer's path, below which the browser finds all; empty: it has none
	sessions *scs.SessionManager
	origins  *http.CrossOriginProtection
	pages    pages
	static   map[string]asset
	oidc     *provider              // nil: none
	exports  *limits.Shares[string] // of the audit log, by organization
}

// New returns the console. It makes no network calls: the OpenID provider is
// asked at the first sign-in through it.
func New(cfg Config) (*Console, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	k := &Console{
		cfg:     cfg,
		secure:  issuer.Scheme == "https",
		base:    issuer.EscapedPath(),
		origins: http.NewCrossOriginProtection(),
		exports: newExports(),
	}
	// Behind a proxy the request's Host may be another than the browser's.
	if err := k.origins.AddTrustedOrigin(issuer.Scheme + "://" + issuer.Host); err != nil {
		return nil, err
	}
	k.sessions = scs.New()
	k.sessions.Store = sessionStore{cfg.Sessions}
	k.sessions.Lifetime = cfg.SessionLifetime
	if k.static, err = loadStatic(); err != nil {
		return nil, err
	}
	if k.pages, err = k.loadPages(); err != nil {
		return nil, err
	}
	k.oidc, err = newProvider(k.cfg)
	return k, err
}

// MaxForm bounds the body of a form: a role may have 500 privileges.
const MaxForm = 128 << 10

// Mount adds the pages to the main listener's routes.
func (k *Console) Mount(r gin.IRouter) {
	r.GET("/", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, k.base+"/console") })
	g := r.Group("/console", k.protect)
	g.GET("/static/:name", k.serveStatic)
	k.mountPublic(g)
	k.mountMembers(g)
	k.mountServiceAccounts(g)
	k.mountRoles(g)
	k.mountOwn(g)
	k.mountOperations(g)
	k.mountRefusals(g)
	k.mountOrganizations(g)
}

// NotFound answers requests for paths under /console that don't exist.
func (k *Console) NotFound(c *gin.Context) {
	k.protect(c)
	if !c.IsAborted() {
		k.refuse(k.visitor(c),
			svcauth.NewProblem(svcauth.CodeNotFound,
				"There is no page at this address. It may have moved, or the link is incomplete."))
	}
}

// contentSecurityPolicy allows only our own style sheet, script and images: no
// inline code, no other host, no frame.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// protect sets the headers that restrict the browser, and refuses requests made
// by pages of other sites.
func (k *Console) protect(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), clipboard-write=(self)")
	h.Set("Cache-Control", "no-store")
	if err := k.origins.Check(c.Request); err != nil {
		k.refuse(k.visitor(c),
			svcauth.NewProblem(svcauth.CodeForbidden, "This request was made by a page of another site, so nothing "+
				"was done. Open the console and try again there."))
		c.Abort()
		return
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, MaxForm)
}
