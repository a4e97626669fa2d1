package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/telemetry"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config is what the HTTP face stands on.
type Config struct {
	Token  *token.Service
	Access *access.Service
	JWKS   func() (body []byte, etag string)
	Feed   *feed.Feed
	// Ready says whether known clients get tokens, and of each dependency why
	// which of its operations fails; nil for one that succeeds.
	Ready  func(context.Context) (serves bool, states map[string]map[string]error)
	Logger *slog.Logger

	Issuer         string
	Algorithms     func() []string // of the published keys
	TokenAliases   []string
	AllowedOrigins []string // whose pages may ask for tokens, revoke and introspect
	JWKSMaxAge     time.Duration
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	MaxInflight    int

	// Callers bounds the calls of the management API; nil: nothing does.
	Callers *limits.Callers
	// SessionActor returns who is signed in to the console, if anybody is; an
	// error says that this can't be known now. nil: the management API takes
	// bearer tokens only.
	SessionActor func(*http.Request) (actor access.Actor, ok bool, err error)
	// ResourceServers lists the connected followers of the revocation feed: the organization's, or for the operator all. nil: none.
	ResourceServers func(ctx context.Context, orgID string, operator bool) []svcauth.ResourceServer
	// Enforced waits until every connected resource server enforces what this node has committed by now, at most for wait. nil: nobody is connected.
	Enforced func(ctx context.Context, wait time.Duration) svcauth.Enforcement

	// Console adds its pages to the routes, and answers for a path under /console at which there is nothing; nil: there is no console.
	Console         func(gin.IRouter)
	ConsoleNotFound gin.HandlerFunc
	ConsoleForm     int    // bytes of its largest form
	SessionCookie   string // the name of its cookie, for the document

	Tracer trace.Tracer // nil: no traces
	// TrustParent continues the trace that a trusted proxy sends, with its
	// decision to sample. Otherwise each request begins a trace of its own,
	// linked to the caller's.
	TrustParent bool

	// OnRequest hears of each request once.
	OnRequest func(Seen)
}

// Seen is one request that was answered.
type Seen struct {
	Route, Method string // the template, never the path
	Status        int
	Code, Reason  string // as in the answer and as in the log, words of closed lists; empty where all went well. The code of a handler that panicked is "panic"
	Took          time.Duration
}

// Server is the HTTP face. Its Handler is safe for concurrent use.
type Server struct {
	Routes []string // the templates of all paths, for metrics

	cfg      Config
	inflight chan struct{}
	waiting  waiting
	held     chan struct{}      // see late
	probe    singleflight.Group // of readyz
	leaving  atomic.Bool        // see Leave
	metadata atomic.Pointer[metadata]
}

// New makes it.
func New(cfg Config) (*Server, http.Handler, error) {
	s := &Server{cfg: cfg, inflight: make(chan struct{}, max(1, cfg.MaxInflight)), waiting: newWaiting(cfg.MaxInflight), held: make(chan struct{}, maxLate)}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	engine.ForwardedByClientIP = false // observe decides, see clientOf
	engine.Use(s.observe, newCrossOrigin(cfg).share, s.bound)
	engine.NoRoute(func(c *gin.Context) {
		if cfg.Console != nil && strings.HasPrefix(c.Request.URL.Path, "/console/") {
			cfg.ConsoleNotFound(c)
			return
		}
		s.refuse(c, "", &token.Error{Code: "not_found", Status: 404, Reason: "no_route", Description: "there is nothing at this path; the metadata at " + cfg.Issuer + "/.well-known/oauth-authorization-server names the endpoints"})
	})
	engine.NoMethod(func(c *gin.Context) {
		allowHead(c)
		if cfg.Console != nil && strings.HasPrefix(c.Request.URL.Path, "/console/") {
			cfg.ConsoleNotFound(c)
			return
		}
		s.refuse(c, "", &token.Error{Code: token.CodeInvalidRequest, Status: 405, Reason: "method", Description: "this method is not allowed here; the Allow header says which are"})
	})
	engine.POST("/oauth2/token", s.token(false))
	for _, path := range cfg.TokenAliases {
		engine.POST(path, s.token(true))
	}
	engine.POST("/oauth2/revoke", s.revoke)
	engine.POST("/oauth2/introspect", s.introspect)
	engine.GET("/oauth2/revocations", s.revocations)
	engine.POST("/oauth2/revocations/ack", s.acknowledge)
	base := issuerPath(cfg.Issuer)
	documents := map[string]gin.HandlerFunc{"/.well-known/oauth-authorization-server": s.serveMetadata, "/.well-known/openid-configuration": s.serveMetadata,
		"/.well-known/jwks.json": s.serveJWKS, "/healthz": gin.WrapF(s.Healthz), "/readyz": gin.WrapF(s.Readyz)}
	if base != "" { // RFC 8414 §3.1: the well-known stands before the issuer's path
		documents["/.well-known/oauth-authorization-server"+base] = s.serveMetadata
		documents["/.well-known/openid-configuration"+base] = s.serveMetadata
	}
	for path, handler := range documents {
		engine.GET(path, handler)
	}
	engine.OPTIONS("/healthz", gin.WrapF(s.Healthz)) // what some load balancers ask with
	engine.OPTIONS("/readyz", gin.WrapF(s.Readyz))
	if err := s.mountManagement(engine); err != nil {
		return nil, nil, err
	}
	if cfg.Console != nil {
		cfg.Console(engine)
	}
	for _, route := range engine.Routes() {
		s.Routes = append(s.Routes, route.Path)
	}
	return s, heads(below(base, s.Routes, engine)), nil
}

// observe gives each request its id and its one log line.
func (s *Server) observe(c *gin.Context) {
	began := time.Now()
	addr, proxied := clientOf(c.Request, s.cfg.TrustedProxies)
	if proxied || strings.Contains(c.Request.RemoteAddr, "%") {
		c.Request.RemoteAddr = netip.AddrPortFrom(addr, 0).String() // what ClientIP returns to everybody
	}
	id := svcauth.NewID("req")
	c.Set("request_id", id)
	c.Header("X-Request-Id", id)
	c.Header("X-Content-Type-Options", "nosniff")
	if s.leaving.Load() {
		c.Header("Connection", "close")
	}
	span := s.span(c, id, proxied)
	panicked := false
	defer func() {
		if fault := recover(); fault != nil {
			panicked = true
			s.cfg.Logger.Error("a handler panicked", "request_id", id, "route", c.FullPath(), "fault", fault, "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				s.refuse(c, "", token.Refuse(token.CodeServerError, "fault", "the server failed; request id %s", id))
			}
		}
		took := time.Since(began)
		if answered, is := c.Get("answered"); is { // a stream: how long it lasted says nothing about the server
			took = answered.(time.Time).Sub(began)
		}
		s.log(c, id, took, panicked)
		if span != nil {
			endSpan(span, c)
		}
		if outcomeOf(c).Code == token.CodeSlowDown && !c.GetBool("held") {
			s.late(c.Request.Context())
		}
	}()
	c.Next()
}

// span begins the trace of a request. A caller's own trace (W3C Trace Context)
// is continued only if it comes from a trusted proxy that is configured to
// write it: strangers could otherwise have everything sampled. Without that
// the trace is linked to the caller's.
func (s *Server) span(c *gin.Context, id string, proxied bool) trace.Span {
	if s.cfg.Tracer == nil {
		return nil
	}
	ctx := c.Request.Context()
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("svcauth.request_id", id))}
	if sent := telemetry.TraceFromHeader(ctx, c.Request.Header); proxied && s.cfg.TrustParent {
		ctx = sent
	} else if caller := trace.SpanContextFromContext(sent); caller.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: caller}))
	}
	ctx, span := s.cfg.Tracer.Start(ctx, methodOf(c.Request)+" "+c.FullPath(), options...)
	c.Request = c.Request.WithContext(ctx)
	return span
}

func endSpan(span trace.Span, c *gin.Context) {
	o := outcomeOf(c)
	span.SetAttributes(attribute.Int("http.response.status_code", c.Writer.Status()), attribute.String("svcauth.reason", o.Reason))
	if c.Writer.Status() >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, o.Code)
	}
	span.End()
}

func (s *Server) log(c *gin.Context, id string, took time.Duration, panicked bool) {
	o := outcomeOf(c)
	status := c.Writer.Status()
	level := slog.LevelInfo
	switch {
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn // an error is written out at once, which would make shedding dear
	case status >= 500:
		level = slog.LevelError
	}
	if !svcauth.ValidClientID(o.ClientID) {
		o.ClientID = "" // what is no id of ours may be anything, a secret in the wrong field too
	}
	attrs := []slog.Attr{slog.String("request_id", id), slog.String("method", methodOf(c.Request)), slog.String("route", c.FullPath()),
		slog.Int("status", status), slog.String("client_id", o.ClientID), slog.String("actor", o.Actor), slog.String("reason", o.Reason), slog.String("ip", c.ClientIP()),
		slog.Int64("us", took.Microseconds())}
	if s.cfg.Tracer != nil {
		attrs = append(attrs, slog.String("trace_id", trace.SpanContextFromContext(c.Request.Context()).TraceID().String()))
	}
	if o.Cause != nil {
		attrs = append(attrs, slog.Any("error", o.Cause))
	}
	s.cfg.Logger.LogAttrs(c.Request.Context(), level, "request", attrs...)
	if panicked {
		o.Code = "panic"
	}
	if s.cfg.OnRequest != nil {
		s.cfg.OnRequest(Seen{Route: c.FullPath(), Method: methodOf(c.Request), Status: status, Code: o.Code, Reason: o.Reason, Took: took})
	}
}

// metadata is the document as it was for some algorithms.
type metadata struct {
	algorithms []string
	body       []byte
}

// document gives the metadata. It is written anew if the algorithms of the
// published keys have changed.
func (s *Server) document() []byte {
	algorithms := s.cfg.Algorithms()
	m := s.metadata.Load()
	if m == nil || !slices.Equal(m.algorithms, algorithms) {
		m = &metadata{algorithms: algorithms, body: s.renderMetadata(algorithms)}
		s.metadata.Store(m)
	}
	return m.body
}

// renderMetadata writes the metadata of RFC 8414 §2, with what OpenID discovery wants beside.
func (s *Server) renderMetadata(algorithms []string) []byte {
	i := s.cfg.Issuer
	methods := []string{"client_secret_basic", "client_secret_post"}
	body, _ := json.Marshal(map[string]any{
		"issuer": i, "token_endpoint": i + "/oauth2/token", "jwks_uri": i + "/.well-known/jwks.json",
		"revocation_endpoint": i + "/oauth2/revoke", "introspection_endpoint": i + "/oauth2/introspect", "revocation_feed_endpoint": i + "/oauth2/revocations",
		"grant_types_supported": []string{"client_credentials"}, "response_types_supported": []string{},
		"token_endpoint_auth_methods_supported": methods, "revocation_endpoint_auth_methods_supported": methods,
		"introspection_endpoint_auth_methods_supported": methods,
		"id_token_signing_alg_values_supported":         algorithms, "subject_types_supported": []string{"public"},
		"service_documentation": i + "/docs",
	})
	return body
}

func (s *Server) serveMetadata(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=300")
	c.Data(http.StatusOK, "application/json", s.document())
}

func (s *Server) serveJWKS(c *gin.Context) {
	body, etag := s.cfg.JWKS()
	c.Header("Cache-Control", "public, max-age="+strconv.Itoa(int(s.cfg.JWKSMaxAge/time.Second)))
	c.Header("ETag", etag)
	if matches(c.Request.Header.Values("If-None-Match"), etag) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Data(http.StatusOK, "application/json", body)
}

// matches is RFC 9110 §13.1.2: a list of entity tags, compared without regard to their weakness, or *.
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

// Leave tells whoever sends requests here to send them elsewhere: from now on /readyz answers 503, and each answer is the last one of its connection. All else is served as before.
// For ever.
func (s *Server) Leave() { s.leaving.Store(true) }

// Healthz says that this node is alive.
func (s *Server) Healthz(w http.ResponseWriter, _ *http.Request) {
	probed(w, http.StatusOK, []byte(`{"status":"ok"}`))
}

func probed(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"], w.Header()["Cache-Control"] = jsonType, noStore
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// lookFor is how long a look at the dependencies takes at most: a load balancer takes a node that answers after its own second or two for dead.
const lookFor = 500 * time.Millisecond

// Readyz says whether this node should get traffic: whether it serves at least the clients that it knows, and is not about to stop. A database that is away is away for all nodes:
// if each asked for no traffic then, a load balancer would turn away all clients, whom any node could still serve (token.serve_stale). All who ask at once share one look,
// so that strangers who ask cost the database nothing.
func (s *Server) Readyz(w http.ResponseWriter, r *http.Request) {
	type look struct {
		serves bool
		states map[string]map[string]error
	}
	shared, _, _ := s.probe.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), lookFor)
		defer cancel()
		serves, states := s.cfg.Ready(ctx)
		return look{serves, states}, nil
	})
	found := shared.(look)
	text, status, states, failing := "ok", http.StatusOK, map[string]string{}, map[string][]string{}
	for name, operations := range found.states {
		states[name] = "ok"
		fail := failed(operations)
		switch len(fail) {
		case 0:
			continue
		case len(operations):
			states[name] = "unavailable"
		default:
			states[name], failing[name] = "impaired", fail
		}
		text = "degraded"
	}
	switch {
	case s.leaving.Load():
		text, status = "stopping", http.StatusServiceUnavailable
	case !found.serves:
		text, status = "unavailable", http.StatusServiceUnavailable
	}
	said := map[string]any{"status": text, "dependencies": states}
	if len(failing) > 0 {
		said["failing"] = failing
	}
	body, _ := json.Marshal(said)
	probed(w, status, body)
}

// failed returns the names of the operations that fail, sorted.
func failed(operations map[string]error) (names []string) {
	for name, err := range operations {
		if err != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
