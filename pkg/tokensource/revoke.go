package tokensource

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Revoke revokes a token of this client (RFC 7009). When it returns nil, the
// server refuses the token. Revoking an unknown or expired token is no error.
// The Source forgets the token too. Revoke needs Config.Issuer, whose metadata
// names the endpoint. Its errors are those of [Source.Token].
func (s *Source) Revoke(ctx context.Context, accessToken string) error {
	_, err := s.RevokeAndWait(ctx, accessToken, 0)
	return err
}

// RevokeAndWait is like [Source.Revoke], but lets an svcauth server hold its
// answer for up to wait, at most [svcauth.MaxWait], until every connected
// resource server enforces the revocation. It returns how many do, or nil if
// wait is 0 or the server doesn't say. Config.Timeout bounds each attempt as
// always, so wait must be shorter.
func (s *Source) RevokeAndWait(
	ctx context.Context,
	accessToken string,
	wait time.Duration,
) (*svcauth.Enforcement, error) {
	s.Drop(accessToken)
	query := ""
	if wait > 0 {
		query = url.Values{"wait": {wait.String()}}.Encode()
	}
	answer, err := s.tell(ctx, "revocation_endpoint", query, accessToken)
	var enforcement *svcauth.Enforcement
	if err != nil || wait <= 0 || json.Unmarshal(answer, &enforcement) != nil {
		return nil, err
	}
	return enforcement, nil
}

// Active asks the server whether a token of this client is active (RFC 7662):
// neither expired nor revoked. Errors are those of [Source.Revoke].
func (s *Source) Active(ctx context.Context, accessToken string) (bool, error) {
	answer, err := s.tell(ctx, "introspection_endpoint", "", accessToken)
	if err != nil {
		return false, err
	}
	var said struct {
		Active *bool `json:"active"`
	}
	if json.Unmarshal(answer, &said) != nil || said.Active == nil {
		return false, &Error{
			Status: http.StatusOK,
			URL:    s.config.Issuer,
			Cause:  errors.New("the answer is not the JSON of an introspection (RFC 7662 §2.2)"),
		}
	}
	return *said.Active, nil
}

// tell sends a token to one of the server's other endpoints with the client's
// authentication. query may be empty; otherwise it is added to the endpoint's
// own query.
func (s *Source) tell(ctx context.Context, name, query, accessToken string) (answer []byte, err error) {
	if s.config.Issuer == "" {
		return nil, errors.New("tokensource: Issuer is not set, and only its metadata names the " + name)
	}
	err = s.retrying(func(attempt context.Context) (failure *Error) {
		attempt, cancel := context.WithCancel(attempt)
		defer context.AfterFunc(ctx, cancel)()
		endpoint, failure := s.discover(attempt, name)
		if failure == nil {
			if query != "" { // RFC 6749 §3.2 lets an endpoint have one
				separator := "?"
				if strings.Contains(endpoint, "?") {
					separator = "&"
				}
				endpoint += separator + query
			}
			answer, _, failure = s.authenticated(attempt, endpoint, url.Values{
				"token":           {accessToken},
				"token_type_hint": {"access_token"},
			}, nil)
		}
		if failure != nil {
			failure.lead = "no answer from the " + name + " of"
			if ctx.Err() != nil {
				failure.retryable, failure.Cause = false, context.Cause(ctx)
			}
		}
		return failure
	})
	return answer, err
}

// authenticated sends a form with the client's authentication, once. Each
// attempt has a proof of its own: the newest secret, or a fresh assertion. by
// adds what the token is to be bound to; nil: nothing. It also returns the
// certificate that was shown, if one was.
func (s *Source) authenticated(
	ctx context.Context, endpoint string, form url.Values, by *binder,
) (answer []byte, shown *pair, failure *Error) {
	with, err := s.method.prove(ctx, s)
	if err != nil {
		failure := &Error{URL: bare(endpoint), Cause: err}
		if asked := (*Error)(nil); errors.As(err, &asked) { // somebody else, for the proof
			failure.retryable, failure.RetryAfter, asked.RetryAfter = asked.retryable, asked.RetryAfter, 0
		}
		return nil, nil, failure
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	with.addTo(form, header)
	ctx = showing(ctx, with.shown)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, &Error{URL: bare(endpoint), Cause: errors.New("the endpoint's address is not a URL")}
	}
	req.Header = header
	if by != nil {
		if err := by.prove(req, ""); err != nil {
			return nil, nil, &Error{URL: bare(endpoint), Cause: err}
		}
	}
	answer, failure = s.send(req, with)
	return answer, with.shown, failure
}
