// Package request holds what is known of one HTTP request while it is served:
// its id, its slot among those in work, whom it comes from, and what its line
// in the log will say. The frame (package server) begins it, and the faces
// (packages oauth and manage) read it and add to it.
//
// It owns what both sides express in the same words: the reasons for which the
// frame refuses, the challenge of a bearer token, entity tags, HEAD. It refuses
// to know what any path is for.
package request

import (
	"context"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
)

// State is what is known of a request. It belongs to the goroutine that serves
// the request.
type State struct {
	ID      string
	Addr    netip.Addr // of the client, as the frame has found it; zero: not known
	IP      string     // Addr as text; empty: not known
	Proxied bool       // the connection is a trusted proxy's, whose header fields are believed
	Outcome Outcome

	// Organization and Operator tell whose call of the management API it is.
	// They are set once its token is verified, before anything waits.
	Organization string
	Operator     bool

	// AuthMethod is how the client of a request to the OAuth2 endpoints proves
	// who it is, rightly or not, as the metadata calls it; empty: in no way, or
	// in two.
	AuthMethod string

	// Bound is what the token that was issued is bound to; empty: nothing.
	Bound string
	// Reused reports whether that token was given out before (token.reuse).
	Reused bool

	// Claimant is who the records of what is refused say that a request came
	// from.
	Claimant Claimant

	Answered  time.Time // when a stream's answer began; zero if it is no stream
	Delayed   bool      // its refusal has been kept back already
	LeaveBody bool      // its body is not read to the end

	slot      limits.Place
	context   context.Context
	admission *admission // nil: not counted within its caller's bounds
}

// Claimant is the client that a request claims to come from, or the member who
// is signed in to the console.
type Claimant struct {
	OrgID, ClientID string // empty: nobody is known
	Proven          bool   // the client has proven who it is
	CredentialID    string // by which it has

	// Issuer and Subject are whose token of another issuer has proven it;
	// empty: it has proven itself in another way.
	Issuer, Subject string
}

// Outcome is what the log line of a request holds beside its status.
type Outcome struct {
	ClientID string
	// Code is what the caller was told, and Reason is for the log only.
	// Both are empty if all went well.
	Code, Reason string
	Said         string // to the caller, in a sentence; set if the server was at fault
	Actor        string // who was let in to the management API
	Cause        error
}

type stateKey struct{}

// Begin starts the state of the request of c.
func Begin(c *gin.Context, id string) *State {
	s := &State{ID: id}
	c.Set(stateKey{}, s)
	return s
}

// Of returns the state of the request of c. It is never nil.
func Of(c *gin.Context) *State {
	if v, ok := c.Get(stateKey{}); ok {
		return v.(*State)
	}
	return Begin(c, "")
}

// WithState returns a copy of ctx that carries s, for what is served without a
// gin.Context.
func WithState(ctx context.Context, s *State) context.Context {
	return context.WithValue(ctx, stateKey{}, s)
}

// From returns the state that ctx carries, or an empty one.
func From(ctx context.Context) *State {
	if s, ok := ctx.Value(stateKey{}).(*State); ok {
		return s
	}
	return &State{}
}

// SetSlot gives the request its slot. within is the request's context with it.
func (s *State) SetSlot(slot limits.Place, within context.Context) {
	s.slot, s.context = slot, within
}

// Slot returns the request's slot, or nil if it holds none.
func (s *State) Slot() limits.Place { return s.slot }

// Context returns the request's context, with its slot if it has one.
func Context(c *gin.Context) context.Context {
	if s := Of(c); s.context != nil {
		return s.context
	}
	return c.Request.Context()
}

// Release frees the request's slot, if it has one. A handler calls it when all
// that is left to do is wait. What has only a slot's context uses
// [limits.Release].
func (s *State) Release() {
	if s.slot != nil {
		s.slot.Release()
	}
}

// Release frees the slot of the request of c.
func Release(c *gin.Context) { Of(c).Release() }

type mutualTLSKey struct{}

// WithMutualTLS returns a context for the requests of the listener that asks
// its callers for a certificate.
func WithMutualTLS(ctx context.Context) context.Context {
	return context.WithValue(ctx, mutualTLSKey{}, true)
}

// MutualTLS reports whether a request came to the listener that asks its
// callers for a certificate.
func MutualTLS(ctx context.Context) bool {
	asks, _ := ctx.Value(mutualTLSKey{}).(bool)
	return asks
}

// ClientAddr returns the address of the client, as the frame has found it.
func ClientAddr(c *gin.Context) netip.Addr { return Of(c).Addr }

// Delay keeps back the refusal of a caller that asks too often. The request
// holds no slot meanwhile.
func Delay(c *gin.Context, callers *limits.Callers, caller string) {
	Of(c).Delayed = true
	Release(c)
	if !callers.Hold(c.Request.Context(), caller) {
		c.Header("Connection", "close")
	}
}
