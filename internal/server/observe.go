package server

import (
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/telemetry"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// logged returns a claim of another issuer's token as it stands in a line.
func logged(claim string) string {
	return untrusted.Cut(untrusted.Line(untrusted.RedactSecrets(claim)), 256)
}

// RequestStats is what is known of one request that was answered.
type RequestStats struct {
	Route, Method string // the template, never the path
	Status        int
	// Code is as in the answer and Reason as in the log: words of closed lists,
	// empty if all went well. The code of a handler that panicked is "panic".
	Code, Reason string
	Took         time.Duration
}

var noSniff = []string{"nosniff"}

// observe gives each request its id and its one log line.
func (s *Server) observe(c *gin.Context) {
	began := time.Now()
	addr, proxied := clientOf(c.Request, s.cfg.TrustedProxies)
	if proxied || strings.Contains(c.Request.RemoteAddr, "%") {
		c.Request.RemoteAddr = netip.AddrPortFrom(addr, 0).String() // what ClientIP returns to everybody
	}
	id := svcauth.NewID(svcauth.PrefixRequest)
	state := request.Begin(c, id)
	state.Proxied = proxied
	if state.Addr = addr; addr.IsValid() {
		state.IP = addr.String()
	}
	h := c.Writer.Header()
	h["X-Request-Id"] = []string{id}
	h["X-Content-Type-Options"] = noSniff
	if s.strictTransport != "" {
		h["Strict-Transport-Security"] = []string{s.strictTransport}
	}
	if s.leaving.Load() {
		c.Header("Connection", "close")
	}
	span := s.span(c, id, proxied)
	panicked := false
	defer func() {
		if fault := recover(); fault != nil {
			panicked = true
			s.cfg.Logger.Error("a handler panicked", "request_id", id, "route", c.FullPath(),
				"fault", fault, "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				s.refuse(c, request.Panicked, nil)
			}
		}
		s.log(c, state, began, panicked)
		s.noteFault(c, state)
		if span != nil {
			endSpan(span, c)
		}
		if state.Outcome.Code == oautherr.CodeSlowDown && !state.Delayed {
			s.delayRefusal(c.Request.Context())
		}
	}()
	c.Next()
}

// span begins the trace of a request. A caller's own trace (W3C Trace Context)
// is continued only if it comes from a trusted proxy that is configured to
// write it. Otherwise strangers could have everything sampled, so the trace is
// only linked to the caller's.
func (s *Server) span(c *gin.Context, id string, proxied bool) trace.Span {
	if s.cfg.Tracer == nil {
		return nil
	}
	ctx := c.Request.Context()
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("svcauth.request_id", id)),
	}
	if sent := telemetry.TraceFromHeader(ctx, c.Request.Header); proxied && s.cfg.TrustParent {
		ctx = sent
	} else if caller := trace.SpanContextFromContext(sent); caller.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: caller}))
	}
	ctx, span := s.cfg.Tracer.Start(ctx, request.Method(c.Request)+" "+c.FullPath(), options...)
	c.Request = c.Request.WithContext(ctx)
	return span
}

func endSpan(span trace.Span, c *gin.Context) {
	o := request.Of(c).Outcome
	span.SetAttributes(
		attribute.Int("http.response.status_code", c.Writer.Status()),
		attribute.String("svcauth.reason", o.Reason),
	)
	if c.Writer.Status() >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, o.Code)
	}
	span.End()
}

// noteFault records a request at which the server failed, whichever face it
// was for. If nobody is known to have sent it, the record is kept apart from
// what strangers were refused, which they could make as much of as they like,
// and says nothing of where it came from, for anybody may ask for it.
func (s *Server) noteFault(c *gin.Context, of *request.State) {
	if c.Writer.Status() < http.StatusInternalServerError || of.Outcome.Code == "" {
		return
	}
	r := refusals.Refusal{
		OrgID: of.Claimant.OrgID, ClientID: of.Claimant.ClientID, Proven: true, CredentialID: of.Claimant.CredentialID,
		RequestID: of.ID, Endpoint: c.FullPath(),
		Code: of.Outcome.Code, Reason: of.Outcome.Reason, Detail: of.Outcome.Said,
	}
	if r.ClientID != "" {
		r.Proven, r.IP, r.UserAgent = of.Claimant.Proven, of.Addr, c.Request.UserAgent()
	}
	s.cfg.Refusals.Note(r)
}

func (s *Server) log(c *gin.Context, of *request.State, began time.Time, panicked bool) {
	now, o, status := time.Now(), of.Outcome, c.Writer.Status()
	took := now.Sub(began)
	if !of.Answered.IsZero() {
		// How long a stream lasted says nothing about the server.
		took = of.Answered.Sub(began)
	}
	level := slog.LevelInfo
	switch {
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn // an error is written out at once, which makes shedding costly
	case status >= 500:
		level = slog.LevelError
	}
	if !svcauth.ValidClientID(o.ClientID) {
		o.ClientID = "" // it may be anything, a secret in the wrong field too
	}
	line := slog.NewRecord(now, level, "request", 0) // from which line of code is not looked up
	line.AddAttrs(s.appendLine(make([]slog.Attr, 0, maxLine), c, of, status, took, o)...)
	if handler, ctx := s.cfg.Logger.Handler(), c.Request.Context(); handler.Enabled(ctx, level) {
		_ = handler.Handle(ctx, line)
	}
	if panicked {
		o.Code = "panic"
	}
	if s.cfg.Observer != nil {
		s.cfg.Observer.RequestAnswered(RequestStats{
			Route: c.FullPath(), Method: request.Method(c.Request), Status: status,
			Code: o.Code, Reason: o.Reason, Took: took,
		})
	}
}

// maxLine is room for all that the line of a request says.
const maxLine = 16

// appendLine appends what the line of a request says.
func (s *Server) appendLine(
	attrs []slog.Attr, c *gin.Context, of *request.State, status int, took time.Duration, o request.Outcome,
) []slog.Attr {
	attrs = append(attrs,
		slog.String("request_id", of.ID), slog.String("method", request.Method(c.Request)),
		slog.String("route", c.FullPath()),
		slog.Int("status", status), slog.String("client_id", o.ClientID), slog.String("actor", o.Actor),
		slog.String("reason", o.Reason), slog.String("ip", of.IP), slog.Int64("us", took.Microseconds()),
	)
	if of.AuthMethod != "" {
		attrs = append(attrs,
			slog.String("auth_method", of.AuthMethod), slog.String("credential_id", of.Claimant.CredentialID))
		if of.Bound != "" {
			attrs = append(attrs, slog.String("bound", of.Bound))
		}
		if of.Reused {
			attrs = append(attrs, slog.Bool("reused", true))
		}
		if by := of.Claimant; by.Subject != "" {
			attrs = append(attrs, slog.String("issuer", logged(by.Issuer)), slog.String("subject", logged(by.Subject)))
		}
	}
	if s.cfg.Tracer != nil {
		traceID := trace.SpanContextFromContext(c.Request.Context()).TraceID()
		attrs = append(attrs, slog.String("trace_id", traceID.String()))
	}
	if o.Cause != nil {
		attrs = append(attrs, slog.Any("error", o.Cause))
	}
	return attrs
}
