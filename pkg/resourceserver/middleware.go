package resourceserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// Require returns middleware that lets a request pass only with a valid token
// that has all of the privileges. Without privileges, any valid token passes.
// It puts the token's [Principal] into the request's context. Other requests
// are answered as RFC 6750 §3 requires, with a JSON body.
func (v *Verifier) Require(privileges ...string) func(http.Handler) http.Handler {
	return v.guard(privileges, func(p *Principal) bool {
		for _, name := range privileges {
			if !p.Has(name) {
				return false
			}
		}
		return true
	})
}

// RequireAny is like [Verifier.Require], but one of the privileges is enough.
func (v *Verifier) RequireAny(privileges ...string) func(http.Handler) http.Handler {
	return v.guard(privileges, func(p *Principal) bool {
		for _, name := range privileges {
			if p.Has(name) {
				return true
			}
		}
		return false
	})
}

func (v *Verifier) guard(privileges []string, allowed func(*Principal) bool) func(http.Handler) http.Handler {
	scope := strings.Join(privileges, " ")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, nonce, err := v.authenticate(r)
			if nonce != "" { // RFC 9449 §8.2: beside a refusal for another reason, too
				w.Header().Set(dpop.NonceHeader, nonce)
			}
			if err == nil && !allowed(p) {
				err = &Error{
					Status: http.StatusForbidden,
					Code:   CodeInsufficientScope,
					Scope:  scope,
					Scheme: schemeOf(p),
					Description: "the token lacks a privilege that this request needs: " +
						untrusted.Quotable(scope, 200),
				}
			}
			if err != nil {
				v.WriteError(w, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
		})
	}
}

// Authenticate verifies the token in the request's Authorization header (RFC
// 6750 §2.1, RFC 9449 §7.1), and that the caller has what the token is bound
// to, if it is. It refuses a request with several such headers, and ignores
// tokens in the body or the URL. A proof that comes along is used up: call
// Authenticate once a request. Every error is an [*Error].
func (v *Verifier) Authenticate(r *http.Request) (*Principal, error) {
	p, _, err := v.authenticate(r)
	return p, err
}

// authenticate also returns the nonce that the caller should use next; empty:
// it has a good one, or needs none.
func (v *Verifier) authenticate(r *http.Request) (p *Principal, nonce string, err error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return nil, "", &Error{
			Status:      http.StatusUnauthorized,
			Code:        CodeMissingToken,
			Description: "no bearer token: send Authorization: Bearer with an access token",
		}
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimLeft(token, " ")
	withProof := strings.EqualFold(scheme, dpop.Scheme)
	if len(headers) > 1 || !withProof && !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, "", &Error{
			Status: http.StatusUnauthorized,
			Code:   CodeMissingToken,
			Description: "expected one Authorization header with the scheme Bearer (or DPoP if the token is bound to " +
				"a key) and an access token",
		}
	}
	claims, err := v.verify(r.Context(), token)
	switch {
	case err != nil && withProof:
		return nil, "", ofProof(err)
	case err != nil:
		return nil, "", err
	case !withProof && !claims.Bound():
		return (*Principal)(claims), "", nil
	}
	if nonce, err = v.bound.check(r, scheme, token, claims); err != nil {
		return nil, "", err
	}
	return (*Principal)(claims), nonce, nil
}

// WriteError answers a request with an error of [Verifier.Authenticate], as RFC
// 6750 §3, RFC 9449 §7.1 and, for resource_metadata, RFC 9728 §5.1 require. The
// answer has one challenge.
func (v *Verifier) WriteError(w http.ResponseWriter, err error) {
	var refusal *Error
	if !errors.As(err, &refusal) {
		refusal = unavailable("the request could not be checked", err)
	}
	if refusal.Status == http.StatusUnauthorized || refusal.Status == http.StatusForbidden {
		w.Header().Set("WWW-Authenticate", v.challenge(refusal))
	}
	if refusal.Nonce != "" {
		w.Header().Set(dpop.NonceHeader, refusal.Nonce)
	}
	httpx.SetRetryAfter(w.Header(), refusal.RetryAfter)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(refusal.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": refusal.Code, "error_description": refusal.Description})
}

func (v *Verifier) challenge(refusal *Error) string {
	b := cmp.Or(refusal.Scheme, "Bearer") + ` realm="` + untrusted.Quotable(v.cfg.Audience, 200) + `"`
	if refusal.Code != CodeMissingToken { // RFC 6750 §3.1: no error code if no token was sent
		b += `, error="` + refusal.Code + `", error_description="` + untrusted.Quotable(refusal.Description, 400) + `"`
	}
	if refusal.Scope != "" {
		b += `, scope="` + untrusted.Quotable(refusal.Scope, 400) + `"`
	}
	if refusal.Scheme == dpop.Scheme { // RFC 9449 §7.1
		b += `, algs="` + strings.Join(dpop.Algorithms(), " ") + `"`
	}
	if v.cfg.ResourceMetadata != "" {
		b += `, resource_metadata="` + untrusted.Quotable(v.cfg.ResourceMetadata, 400) + `"`
	}
	return b
}

// MetadataHandler returns a handler that serves the protected resource metadata
// (RFC 9728 §2).
func (v *Verifier) MetadataHandler() http.Handler {
	body, _ := json.Marshal(map[string]any{
		"resource": v.cfg.Audience, "authorization_servers": []string{v.cfg.Issuer}, "resource_name": v.cfg.Name,
		"bearer_methods_supported": []string{"header"}, "scopes_supported": append([]string{}, v.cfg.Privileges...),
		"dpop_signing_alg_values_supported": dpop.Algorithms(),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(body)
	})
}
