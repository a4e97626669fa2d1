package tokensource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// Source returns the access tokens of one client. Make one with [New]. It is safe
// for concurrent use.
type Source struct {
	config Config
	client *http.Client    // HTTPClient, that follows no redirect
	own    *http.Transport // what Close has to close; nil where the caller gave an HTTPClient
	life   context.Context // ends with Close: a flight belongs to the source, not to whoever asked first
	end    context.CancelFunc

	mu       sync.Mutex
	current  *token // nil: none, or dropped
	flight   *flight
	timer    *time.Timer // the renewal ahead
	lastUsed time.Time
	endpoint string // from the metadata; only the flight touches it
	refusal  *Error // a Retry-After that was too long to wait for,
	until    time.Time
}

// token is an access token and what is known of its life.
type token struct {
	access, scope string
	lifetime      time.Duration
	expiry        time.Time
	renewAt       time.Time
}

// flight is a request under way and, after done is closed, its outcome.
type flight struct {
	done  chan struct{}
	token *token
	err   error
}

// New returns a Source for a checked configuration. It sends nothing: the first call
// of [Source.Token] does. It reads a ClientSecretFile once, so that a wrong path is
// found at the start. Errors say which field is wrong and what was expected.
func New(config Config) (*Source, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if _, err := config.readSecret(); err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	s := &Source{config: config, client: &http.Client{}}
	if config.HTTPClient != nil {
		*s.client = *config.HTTPClient
	} else if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		s.own = standard.Clone()
		s.client.Transport = s.own
	}
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Token returns a token that is valid now: at once if there is one, else after one
// request to the server, which is shared by all who ask meanwhile. The context
// bounds this call only. The result is the caller's own; its Extra("scope") is the
// scope that the server named.
//
// The error is [*Error] if the server gave no token, [ErrClosed], or the context's.
func (s *Source) Token(ctx context.Context) (*oauth2.Token, error) {
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
		return t.oauth2(), nil
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
	if f.err != nil {
		return nil, f.err
	}
	return f.token.oauth2(), nil
}

// BearerToken is like [Source.Token] and returns the access token's text alone,
// as resourceserver.Feed takes it. The text is a secret: whoever reads it can
// call the API until it expires.
func (s *Source) BearerToken(ctx context.Context) (string, error) {
	t, err := s.Token(ctx)
	if err != nil {
		return "", err
	}
	return t.AccessToken, nil
}

// Format keeps every verb of fmt from showing what a Source holds.
func (s *Source) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "tokens of client %s", s.config.ClientID)
}

func gaveUp(ctx context.Context) error {
	return fmt.Errorf("tokensource: waiting for a token: %w", context.Cause(ctx))
}

// TokenSource returns the Source for libraries that take an [oauth2.TokenSource].
// Their calls have no context; ctx bounds them all.
func (s *Source) TokenSource(ctx context.Context) oauth2.TokenSource { return adapter{ctx, s} }

type adapter struct {
	ctx    context.Context
	source *Source
}

func (a adapter) Token() (*oauth2.Token, error) { return a.source.Token(a.ctx) }

// Drop forgets a token that an API refused, if it is still the current one, so that
// the next call gets another. [Source.Transport] does that by itself.
func (s *Source) Drop(accessToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.access == accessToken {
		s.current = nil
		s.stopTimer()
	}
}

// Close ends renewal and a request under way, whose callers get [ErrClosed]. It
// returns nil, and may be called twice. The token is not revoked: it expires by
// itself.
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

// takeOff starts a flight, or gives the one in the air. The lock is held.
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

// fly makes the request and lands the flight.
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

// obtain finds the token endpoint, where it is not known, and gets a token from it.
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
	// If it was no OAuth2 answer that refused, the endpoint may have moved: the
	// metadata are read again next time.
	if failure := (*Error)(nil); errors.As(err, &failure) && failure.Code == "" {
		s.endpoint = ""
	}
	return got, err
}

// usable says whether t may still be handed out.
func (t *token) usable(now time.Time) bool {
	return t != nil && now.Before(t.expiry.Add(-min(maxMargin, t.lifetime/4)))
}

// oauth2 is a copy for the caller. It has no refresh token, whatever the server said.
func (t *token) oauth2() *oauth2.Token {
	out := &oauth2.Token{
		AccessToken: t.access,
		TokenType:   "Bearer",
		Expiry:      t.expiry,
		ExpiresIn:   int64(t.lifetime / time.Second),
	}
	return out.WithExtra(map[string]any{"scope": t.scope})
}
