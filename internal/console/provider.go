package console

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// OIDC is the OpenID Connect provider through which members may sign in.
type OIDC struct {
	Issuer, ClientID string
	ClientSecret     svcauth.Secret // empty: a public client, which PKCE alone protects
	HTTP             *http.Client   // knows the authorities that vouch for the provider; default: the system's
}

const (
	// providerPatience is how long a request waits for the provider, however
	// many calls it takes, and how long a call takes at most.
	providerPatience = 10 * time.Second
	// awayFor is how long a provider that has just failed is not asked again.
	awayFor = 5 * time.Second
	// maxProviderAnswer bounds what is read of an answer.
	maxProviderAnswer = 1 << 20
)

// providerWaiters bounds the requests that wait for the provider, of all and of
// one network. They hold no in-flight slots.
var providerWaiters = limits.Bound{Total: 64, Each: 16}

// provider signs members in by the code flow with PKCE, OpenID Connect Core 1.0
// §3.1. The provider may take as long as it likes, or never answer: a request
// that waits for it holds no lock and no in-flight slot.
type provider struct {
	cfg      OIDC
	redirect string
	clock    func() time.Time
	logger   *slog.Logger
	waiters  *limits.Shares[netip.Addr]

	mu   sync.Mutex
	last *discovery // nil: nobody has wanted to sign in yet
}

// redirectURI returns what must be registered at a provider: where it sends
// browsers back to (RFC 6749 §3.1.2).
func redirectURI(issuer string) string { return issuer + "/console/sign-in/callback" }

// discovery is one fetch of the provider's metadata, shared by all who need it.
type discovery struct {
	done chan struct{} // closed when the rest is known
	at   *endpoints
	err  error
	over time.Time // of a failure: when to look again
}

// endpoints is the provider as its metadata describes it.
type endpoints struct {
	client *oauth2.Config
	tokens *oidc.IDTokenVerifier // remembers the provider's keys
}

func newProvider(cfg Config) (*provider, error) {
	p := &provider{
		cfg:      cfg.OIDC,
		redirect: redirectURI(cfg.Issuer),
		clock:    cfg.Clock,
		logger:   cfg.Logger,
		waiters:  limits.NewShares[netip.Addr](providerWaiters),
	}
	switch {
	case p.cfg.Issuer == "":
		return nil, nil //nolint:nilnil // no provider
	case p.cfg.ClientID == "":
		return nil, fmt.Errorf("the OpenID provider %s is set without a client id", p.cfg.Issuer)
	case cfg.Seal == nil || cfg.Open == nil:
		return nil, fmt.Errorf("the OpenID provider %s is set, but nothing seals what browsers keep", p.cfg.Issuer)
	}
	client := http.Client{}
	if p.cfg.HTTP != nil {
		client = *p.cfg.HTTP
	}
	client.Timeout, client.Transport = providerPatience, brief{client.Transport}
	p.cfg.HTTP = &client
	return p, nil
}

// brief reads no more of an answer than anything needs that is asked for here.
type brief struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b brief) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxProviderAnswer), resp.Body}
	}
	return resp, err
}

// enter counts a request that waits for the provider until leave, and releases
// its in-flight slot.
func (p *provider) enter(v *visit) (leave func(), err error) {
	ip, _ := netip.ParseAddr(v.ClientIP())
	network := limits.NetworkOf(ip)
	if !p.waiters.Take(network, 1, false) {
		return nil, later("Too many sign-ins are waiting for the provider of single sign-on. " +
			"Try again in a few seconds, or sign in with your password.")
	}
	limits.Release(v.ctx())
	return func() { p.waiters.Give(network, 1) }, nil
}

// later returns a problem that asks the user to try again in a moment.
func later(text string) error {
	problem := svcauth.NewProblem(svcauth.CodeUnavailable, "%s", text)
	problem.RetryAfter = awayFor
	return problem
}

func providerAway() error {
	return later(away.Sentence(away.Provider, "Try again in a moment, or sign in with your password."))
}

// reach returns where to send a browser. It waits only if that is not known yet
// and the provider has not just failed.
func (p *provider) reach(v *visit) (*endpoints, error) {
	d := p.discover()
	select {
	case <-d.done:
		return d.at, d.err
	default:
	}
	leave, err := p.enter(v)
	if err != nil {
		return nil, err
	}
	defer leave()
	return d.wait(v.ctx())
}

// discover returns the look at the provider's metadata that is under way, or
// the last one. It begins another if that failed some time ago.
func (p *provider) discover() *discovery {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || !p.last.over.IsZero() && !p.clock().Before(p.last.over) {
		p.last = &discovery{done: make(chan struct{})}
		go p.look(p.last)
	}
	return p.last
}

// wait returns the result of a fetch. It stops waiting when ctx is done.
func (d *discovery) wait(ctx context.Context) (*endpoints, error) {
	select {
	case <-d.done:
		return d.at, d.err
	case <-ctx.Done():
		return nil, providerAway()
	}
}

// look fetches the provider's metadata, OpenID Connect Discovery 1.0 §4.
func (p *provider) look(d *discovery) {
	at, err := p.endpoints()
	if err != nil {
		p.logger.Warn("the OpenID provider's metadata could not be fetched", "issuer", p.cfg.Issuer, "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d.at = at
	if err != nil {
		d.err, d.over = providerAway(), p.clock().Add(awayFor)
	}
	close(d.done)
}

func (p *provider) endpoints() (*endpoints, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(context.Background(), p.cfg.HTTP), p.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var keys struct {
		URL string `json:"jwks_uri"`
	}
	if err := found.Claims(&keys); err != nil {
		return nil, err
	}
	where := found.Endpoint()
	for _, endpoint := range []string{where.AuthURL, where.TokenURL, keys.URL} {
		if err := httpx.CheckEndpoint(p.cfg.Issuer, endpoint); err != nil {
			return nil, fmt.Errorf("its endpoint %q %w", endpoint, err)
		}
	}
	return &endpoints{tokens: found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID}),
		client: &oauth2.Config{
			ClientID:     p.cfg.ClientID,
			ClientSecret: p.cfg.ClientSecret.Reveal(),
			Endpoint:     where,
			RedirectURL:  p.redirect,
			Scopes:       []string{oidc.ScopeOpenID, "email", "profile"},
		}}, nil
}

// verifiedEmail redeems the code and checks the ID token: signature, issuer,
// audience, expiry (OpenID Connect Core 1.0 §3.1.3.7), nonce, and that the
// provider has verified the address.
func (p *provider) verifiedEmail(v *visit, a attempt) (string, error) {
	if iss := v.Query("iss"); iss != "" && iss != p.cfg.Issuer { // RFC 9207 §2.4
		return "", badAnswer("it came from another provider")
	}
	leave, err := p.enter(v)
	if err != nil {
		return "", err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(oidc.ClientContext(v.ctx(), p.cfg.HTTP), providerPatience)
	defer cancel()
	at, err := p.discover().wait(ctx)
	if err != nil {
		return "", err
	}
	tokens, err := at.client.Exchange(ctx, v.Query("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return "", p.notRedeemed(ctx, err)
	}
	text, _ := tokens.Extra("id_token").(string)
	id, err := at.tokens.Verify(ctx, text)
	switch {
	case ctx.Err() != nil: // it waited for the keys
		return "", p.notRedeemed(ctx, ctx.Err())
	case err != nil:
		p.logger.WarnContext(ctx, "an ID token of the OpenID provider is not valid", "error", err)
		return "", badAnswer("its ID token is not valid")
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1:
		return "", badAnswer("it belongs to another sign-in")
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // a boolean; some send its text
	}
	if err := id.Claims(&claims); err != nil {
		return "", badAnswer("its ID token can't be read")
	}
	if yes := fmt.Sprint(claims.Verified); claims.Email == "" || !strings.EqualFold(yes, "true") {
		return "", badAnswer("it does not vouch for your e-mail address")
	}
	return claims.Email, nil
}

// notRedeemed distinguishes a provider that refused a code (RFC 6749 §5.2) from
// one that did not answer. It logs neither the code nor the answer.
func (p *provider) notRedeemed(ctx context.Context, err error) error {
	var said *oauth2.RetrieveError
	refused := errors.As(err, &said) && said.Response.StatusCode < http.StatusInternalServerError
	if refused {
		p.logger.WarnContext(ctx, "the OpenID provider did not accept a sign-in", "status", said.Response.StatusCode,
			"code", said.ErrorCode)
		return badAnswer("it did not accept the sign-in")
	}
	if said != nil {
		err = fmt.Errorf("status %d", said.Response.StatusCode)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		p.logger.WarnContext(ctx, "the OpenID provider did not answer at a sign-in", "error", err)
	}
	return providerAway()
}

func badAnswer(why string) error {
	return svcauth.NewProblem(svcauth.CodeUnauthenticated, "The answer of the provider of single sign-on could not "+
		"be taken: %s. Begin again from the sign-in page, or sign in with your password.", why)
}
