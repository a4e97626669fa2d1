package tokensource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// Source returns the access tokens of one client. Make one with [New]. It is
// safe for concurrent use.
type Source struct {
	config Config
	method method          // how the client authenticates
	binder *binder         // what tokens are bound by; nil: they are not
	client *http.Client    // HTTPClient, but it follows no redirects
	own    ownTransport    // for Close; nil if the caller set HTTPClient
	life   context.Context // ends with Close; flights use it, not a caller's context
	end    context.CancelFunc

	mu       sync.Mutex
	current  *token // nil: none, or dropped
	flight   *flight
	timer    *time.Timer // of the next renewal
	lastUsed time.Time
	endpoint string    // from the metadata; only the flight touches it
	refusal  *Error    // an error whose Retry-After was too long to wait for …
	until    time.Time // … and when it is over
}

// token is an access token and its times.
type token struct {
	access, scope string
	kind          string // its token_type, as this package writes it
	lifetime      time.Duration
	expiry        time.Time
	renewAt       time.Time
	shown         *pair // that the token may be bound to; nil: none was shown
}

// ownTransport is an [http.Transport], or one for each certificate.
type ownTransport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// flight is a request under way and, once done is closed, its outcome.
type flight struct {
	done  chan struct{}
	token *token
	err   error
}

// New returns a Source for config. It sends nothing; the first call of
// [Source.Token] does. It reads the files of the credential once, so that a
// wrong path is noticed at the start. If a field is wrong, the error names it
// and says what was expected.
func New(config Config) (*Source, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	way, err := config.method()
	if err == nil {
		err = way.check()
	}
	if err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	s := &Source{config: config, method: way, client: &http.Client{}}
	if config.DPoP {
		if s.binder, err = newBinder(config.Clock); err != nil {
			return nil, fmt.Errorf("tokensource: %w", err)
		}
	}
	if config.HTTPClient != nil {
		*s.client = *config.HTTPClient
	}
	s.setTransport()
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// setTransport gives the Source a transport of its own if the caller set no
// HTTPClient, or if it has to present a certificate.
func (s *Source) setTransport() {
	base := s.client.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	standard, ok := base.(*http.Transport)
	switch {
	case ok && s.config.CertFile != "":
		s.own = newCertTransport(standard, s.config.CertFile, s.config.KeyFile)
	case ok && s.config.HTTPClient == nil:
		s.own = standard.Clone()
	default:
		return
	}
	s.client.Transport = s.own
}

// Token returns a token that is valid now. If there is none yet, it waits for a
// request to the server, which all callers share. The context bounds only this
// call. The returned token is the caller's own; its Extra("scope") is the scope
// that the server returned. With Config.DPoP its TokenType is "DPoP", and it is
// of use with [Source.Transport] alone.
//
// The error is an [*Error] if the server returned no token, [ErrClosed], or the
// context's.
func (s *Source) Token(ctx context.Context) (*oauth2.Token, error) {
	t, err := s.valid(ctx)
	if err != nil {
		return nil, err
	}
	return t.oauth2(), nil
}

// valid is [Source.Token] for those who need to know what the token is bound
// to.
func (s *Source) valid(ctx context.Context) (*token, error) {
	now := s.config.Clock()
	s.mu.Lock()
	if s.life.Err() != nil {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.lastUsed = now
	if s.current.usable(now) {
		t := s.current
		if !now.Before(t.renewAt) {
			s.takeOff(now) // and nobody waits
		}
		s.mu.Unlock()
		return t, nil
	}
	if err := s.silenced(now); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if ctx.Err() != nil { // nobody would wait for it
		s.mu.Unlock()
		return nil, gaveUp(ctx)
	}
	f := s.takeOff(now)
	s.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
	return f.token, f.err
}

// BearerToken is like [Source.Token] but returns only the text of the access
// token, as resourceserver.Feed takes it. The text is a secret: whoever has it
// can call the API until it expires. It is an error with Config.DPoP.
func (s *Source) BearerToken(ctx context.Context) (string, error) {
	if s.binder != nil {
		return "", errBoundToken
	}
	t, err := s.Token(ctx)
	if err != nil {
		return "", err
	}
	return t.AccessToken, nil
}

// Format prints only the client id, so that no verb of fmt shows a secret or a
// token.
func (s *Source) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "tokens of client %s", cmp.Or(s.config.ClientID, "(named by its assertion)"))
}

func gaveUp(ctx context.Context) error {
	return fmt.Errorf("tokensource: waiting for a token: %w", context.Cause(ctx))
}

// TokenSource returns the Source as an [oauth2.TokenSource]. The calls of that
// interface have no context; ctx bounds them all.
func (s *Source) TokenSource(ctx context.Context) oauth2.TokenSource { return adapter{ctx, s} }

type adapter struct {
	ctx    context.Context
	source *Source
}

func (a adapter) Token() (*oauth2.Token, error) { return a.source.Token(a.ctx) }

// Drop forgets a token that an API refused, if it is still the current one, so
// that the next call gets another. [Source.Transport] calls it by itself.
func (s *Source) Drop(accessToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.access == accessToken {
		s.current = nil
		s.stopTimer()
	}
}

// Close stops renewing and cancels a request under way, whose callers get
// [ErrClosed]. It always returns nil and may be called twice. It doesn't revoke
// the token, which expires by itself.
func (s *Source) Close() error {
	s.mu.Lock()
	s.end()
	s.current = nil
	s.stopTimer()
	f := s.flight
	s.mu.Unlock()
	if f != nil {
		<-f.done
	}
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
	return nil
}

// takeOff starts a flight unless one is in the air, and returns it. The caller
// holds the lock.
func (s *Source) takeOff(now time.Time) *flight {
	if s.flight == nil && s.silenced(now) == nil {
		s.stopTimer()
		s.flight = &flight{done: make(chan struct{})}
		go s.fly(s.flight)
	}
	return s.flight
}

func (s *Source) silenced(now time.Time) error {
	if s.refusal != nil && now.Before(s.until) {
		return s.refusal
	}
	return nil
}

// fly makes the request and ends the flight.
func (s *Source) fly(f *flight) {
	f.token, f.err = s.obtain()
	now := s.config.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	s.refusal = nil
	if s.life.Err() != nil {
		f.token, f.err = nil, ErrClosed
	} else if f.err == nil {
		s.keep(f.token, now)
	} else {
		s.miss(f.err, now)
	}
	close(f.done)
}

// obtain finds the token endpoint, if it is not known yet, and gets a token
// from it.
func (s *Source) obtain() (got *token, err error) {
	if s.config.TokenURL != "" {
		s.endpoint = s.config.TokenURL
	}
	if s.endpoint == "" {
		err = s.retrying(func(ctx context.Context) (failure *Error) {
			s.endpoint, failure = s.discover(ctx, "token_endpoint")
			return failure
		})
	}
	if err == nil {
		err = s.retrying(func(ctx context.Context) (failure *Error) {
			got, failure = s.request(ctx, s.endpoint)
			return failure
		})
	}
	// Without an OAuth2 error code the endpoint may have moved: the metadata is
	// fetched again next time.
	if failure := (*Error)(nil); errors.As(err, &failure) && failure.Code == "" {
		s.endpoint = ""
	}
	return got, err
}

// usable reports whether t may still be handed out.
func (t *token) usable(now time.Time) bool {
	return t != nil && now.Before(t.expiry.Add(-min(maxMargin, t.lifetime/4)))
}

// oauth2 returns a copy for the caller. It has no refresh token, even if the
// server sent one.
func (t *token) oauth2() *oauth2.Token {
	out := &oauth2.Token{
		AccessToken: t.access,
		TokenType:   t.kind,
		Expiry:      t.expiry,
		ExpiresIn:   int64(t.lifetime / time.Second),
	}
	return out.WithExtra(map[string]any{"scope": t.scope})
}
