// Package server is the HTTP frame: it takes requests in and mounts the faces
// that answer them (packages oauth and manage, and the console's pages).
//
// It owns what holds for every request: the client's address, the issuer's
// path, HEAD, CORS, the bounds on bodies and on requests in work, the log line,
// panics and the probes. It refuses to know what any endpoint does and the form
// of its errors: the face that a path belongs to is asked for those.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/oauth"
	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/request"
)

// Config is what the frame stands on.
type Config struct {
	OAuth  *oauth.Endpoints
	Manage *manage.API
	// Console has the pages under /console. If it is nil, there are none.
	Console     Console
	ConsoleForm int // bytes of the console's largest form

	// Ready reports whether known clients get tokens. For each dependency it
	// returns the error of each operation, nil for one that succeeds.
	Ready  func(context.Context) (serves bool, states map[string]map[string]error)
	Logger *slog.Logger
	// Refusals keeps the requests at which the server failed, so that those who
	// sent them find out by the request id.
	Refusals *refusals.Log

	Issuer         string
	AllowedOrigins []string       // whose pages may ask for tokens, revoke and introspect
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	// ProxyFields are the header fields, in canonical form, that only a trusted
	// proxy may send. A request that has one from anybody else is refused.
	ProxyFields []string
	MaxInflight int

	Tracer trace.Tracer // nil for no traces
	// TrustParent continues the trace that a trusted proxy sends, with its
	// decision to sample. Otherwise each request begins a trace of its own,
	// linked to the caller's.
	TrustParent bool

	// Observer may be nil: nobody counts.
	Observer Observer
}

// Observer counts what happens here, for the metrics.
type Observer interface {
	// RequestAnswered is called once for each request.
	RequestAnswered(RequestStats)
}

// Console is the pages for people.
type Console interface {
	Mount(gin.IRouter)
	// NotFound answers for a path under /console at which there is nothing.
	NotFound(*gin.Context)
}

// Server is the HTTP frame. It is safe for concurrent use.
type Server struct {
	Routes []string // the templates of all paths, for metrics

	cfg      Config
	inflight chan struct{}
	waiting  waiting
	delayed  chan struct{}      // see delayRefusal
	probe    singleflight.Group // of readyz
	leaving  atomic.Bool        // see Leave

	strictTransport string // see strictTransport
}

// New returns the frame and its handler, with all faces mounted.
func New(cfg Config) (*Server, http.Handler, error) {
	s := &Server{
		cfg:      cfg,
		inflight: make(chan struct{}, max(1, cfg.MaxInflight)),
		waiting:  newWaiting(cfg.MaxInflight),
		delayed:  make(chan struct{}, maxDelayed),

		strictTransport: strictTransport(cfg.Issuer),
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	engine.ForwardedByClientIP = false // observe decides, see clientOf
	crossOrigin := newCrossOrigin(cfg.AllowedOrigins, cfg.OAuth.DocumentPaths(), cfg.OAuth.ClientPaths())
	engine.Use(s.observe, crossOrigin.share, s.admit, s.bound)
	engine.NoRoute(func(c *gin.Context) { s.refuse(c, request.NotFound, nil) })
	engine.NoMethod(func(c *gin.Context) {
		allowHead(c)
		s.refuse(c, request.MethodNotAllowed, nil)
	})
	for path, handler := range map[string]http.HandlerFunc{healthPath: s.Healthz, readyPath: s.Readyz} {
		engine.GET(path, gin.WrapF(handler))
		engine.OPTIONS(path, gin.WrapF(handler)) // what some load balancers ask with
	}
	cfg.OAuth.Mount(engine)
	if err := cfg.Manage.Mount(engine, append(cfg.OAuth.Describe(), describeProbes()...)); err != nil {
		return nil, nil, err
	}
	if cfg.Console != nil {
		cfg.Console.Mount(engine)
	}
	for _, route := range engine.Routes() {
		s.Routes = append(s.Routes, route.Path)
	}
	return s, heads(below(request.IssuerPath(cfg.Issuer), s.Routes, engine)), nil
}

// strictTransport returns the value of Strict-Transport-Security (RFC 6797
// §6.1): a browser that has seen the console by https asks for it by nothing
// else for a year. It is empty if the issuer is http, where §7.2 forbids it,
// and on this very machine, where a browser would shut out everything else that
// is developed there. Other hosts below the issuer's are not ours to decide.
func strictTransport(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" || httpx.Loopback(u.Hostname()) {
		return ""
	}
	return "max-age=31536000"
}

// refuse lets the face that the request's path belongs to answer what the frame
// does not let through. cause, if it is not nil, goes to the log.
func (s *Server) refuse(c *gin.Context, fault request.Fault, cause error) {
	path := c.Request.URL.Path
	nothing := fault == request.NotFound || fault == request.MethodNotAllowed
	switch {
	case manage.Owns(path):
		s.cfg.Manage.Refuse(c, fault, cause)
	case nothing && s.cfg.Console != nil && strings.HasPrefix(path, "/console/"):
		s.cfg.Console.NotFound(c)
	default:
		s.cfg.OAuth.Refuse(c, fault, cause)
	}
}
