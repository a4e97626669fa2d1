package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// OIDC is the OpenID Connect provider through which members may sign in.
type OIDC struct {
	Issuer, ClientID string
	ClientSecret     svcauth.Secret // empty: a public client, which PKCE alone protects
	HTTP             *http.Client   // knows the authorities that vouch for the provider; default: the system's, 10 s
}

// provider signs members in by the code flow with PKCE, OpenID Connect Core 1.0 §3.1.
type provider struct {
	cfg      OIDC
	redirect string

	mu   sync.Mutex
	oidc *oidc.Provider // once it has answered
}

func newProvider(cfg OIDC, issuer string) (*provider, error) {
	if cfg.Issuer == "" {
		return nil, nil //nolint:nilnil // no provider
	}
	if cfg.ClientID == "" {
		return nil, fmt.Errorf("the OpenID provider %s is set without a client id", cfg.Issuer)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	return &provider{cfg: cfg, redirect: issuer + "/console/sign-in/callback"}, nil
}

// discover asks the provider for its metadata, until it has answered once.
func (p *provider) discover() (*oidc.Provider, *oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.oidc == nil {
		// The provider keeps this context for fetching keys later: it must not end with the request.
		found, err := oidc.NewProvider(oidc.ClientContext(context.Background(), p.cfg.HTTP), p.cfg.Issuer)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", svcauth.NewProblem(svcauth.CodeUnavailable, "The provider of single sign-on does not answer right now. Try again in a moment, or sign in with your password."), err)
		}
		p.oidc = found
	}
	return p.oidc, &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret.Reveal(), Endpoint: p.oidc.Endpoint(), RedirectURL: p.redirect,
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}, nil
}

// attempt is a sign-in that is under way, kept in a cookie of the browser that began it.
type attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Next     string `json:"next"`
}

const attemptLife = 10 * time.Minute

func (k *Console) attemptCookie(value string) *http.Cookie {
	return k.cookie(k.cookieName()+"-oidc", value, attemptLife)
}

func toProvider(v *visit) error {
	if v.k.oidc == nil {
		return noProvider()
	}
	_, config, err := v.k.oidc.discover()
	if err != nil {
		return err
	}
	a := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: returnTo(v.next())}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	http.SetCookie(v.Writer, v.k.attemptCookie(base64.RawURLEncoding.EncodeToString(text)))
	return v.redirect(config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)))
}

func noProvider() error {
	return svcauth.NewProblem(svcauth.CodeNotFound, "Single sign-on is not set up here. Sign in with your password.")
}

// fromProvider takes the provider's answer. Only who was invited gets in, by an address that the provider says it has verified.
func fromProvider(v *visit) error {
	if v.k.oidc == nil {
		return noProvider()
	}
	a, ok := v.attempt()
	http.SetCookie(v.Writer, v.k.attemptCookie(""))
	if !ok || subtle.ConstantTimeCompare([]byte(a.State), []byte(v.Query("state"))) != 1 {
		return svcauth.NewProblem(svcauth.CodeUnauthenticated, "This sign-in was not begun in this browser, or too long ago. Begin again from the sign-in page.")
	}
	if code := v.Query("error"); code != "" {
		v.k.cfg.Logger.WarnContext(v.ctx, "the OpenID provider refused a sign-in", "code", code)
		return svcauth.NewProblem(svcauth.CodeUnauthenticated, "The provider of single sign-on refused. Begin again from the sign-in page, or sign in with your password.")
	}
	email, err := v.k.oidc.verifiedEmail(v.ctx, v.Query("code"), v.Query("iss"), a)
	if err != nil {
		return err
	}
	members, err := v.k.cfg.Access.MemberByVerifiedEmail(v.ctx, email)
	if err != nil {
		return err
	}
	switch len(members) {
	case 0:
		return svcauth.NewProblem(svcauth.CodeForbidden, "Nobody with the address %s was invited. Ask an administrator of your organization for an invitation.", email)
	case 1:
		return v.signInVerified(email, members[0], a.Next)
	}
	return v.offer(email, members, a.Next)
}

func (v *visit) attempt() (a attempt, ok bool) {
	text, err := v.Cookie(v.k.attemptCookie("").Name)
	if err != nil {
		return a, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &a) != nil {
		return a, false
	}
	return a, len(a.State) >= 20 && len(a.Nonce) >= 20 && len(a.Verifier) >= 43
}

// verifiedEmail redeems the code and checks the ID token: signature, issuer, audience, expiry (OpenID Connect Core 1.0 §3.1.3.7), nonce, and that the
// provider has verified the address.
func (p *provider) verifiedEmail(ctx context.Context, code, iss string, a attempt) (string, error) {
	refused := func(why string, err error) (string, error) {
		problem := svcauth.NewProblem(svcauth.CodeUnauthenticated, "The answer of the provider of single sign-on could not be taken: %s. Begin again from the sign-in page, or sign in with your password.", why)
		if err != nil {
			return "", fmt.Errorf("%w: %w", problem, err)
		}
		return "", problem
	}
	if iss != "" && iss != p.cfg.Issuer { // RFC 9207 §2.4
		return refused("it came from another provider", nil)
	}
	known, config, err := p.discover()
	if err != nil {
		return "", err
	}
	ctx = oidc.ClientContext(ctx, p.cfg.HTTP)
	tokens, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return refused("it did not accept the sign-in", err)
	}
	text, _ := tokens.Extra("id_token").(string)
	id, err := known.VerifierContext(ctx, &oidc.Config{ClientID: p.cfg.ClientID}).Verify(ctx, text)
	if err != nil {
		return refused("its ID token is not valid", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return refused("it belongs to another sign-in", nil)
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // a boolean; some send its text
	}
	if err := id.Claims(&claims); err != nil {
		return refused("its ID token can't be read", err)
	}
	if yes := fmt.Sprint(claims.Verified); claims.Email == "" || !strings.EqualFold(yes, "true") {
		return refused("it does not vouch for your e-mail address", nil)
	}
	return claims.Email, nil
}
