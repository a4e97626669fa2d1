package tokensource

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/timespan"
)

const (
	maxAnswer   = httpx.MaxMetadata // bytes of any answer
	maxLifetime = 365 * 24 * time.Hour
	// unknownLifetime is assumed if the server doesn't say how long its token
	// lives, which RFC 6749 §5.1 only recommends. Asking again soon costs
	// little; a long guess would be wrong for every token that does expire.
	unknownLifetime = 5 * time.Minute
)

// request makes one request to the token endpoint.
func (s *Source) request(ctx context.Context, endpoint string) (*token, *Error) {
	asked := s.config.Clock().Round(0) // without monotonic time, which stands still while a machine sleeps
	answer, shown, failure := s.authenticated(ctx, endpoint, s.form(), s.binder)
	if failure != nil && failure.Code == codeUseNonce && failure.nonce { // RFC 9449 §8
		answer, shown, failure = s.authenticated(ctx, endpoint, s.form(), s.binder)
	}
	if failure != nil {
		return nil, failure
	}
	t, err := parseToken(answer, asked, s.binder != nil)
	if err != nil {
		return nil, &Error{Status: http.StatusOK, URL: bare(endpoint), Cause: err}
	}
	if t.shown = shown; shown != nil && shown.Leaf.NotAfter.Before(t.expiry) {
		// Nothing takes the connection any more that it may be bound to.
		t.expiry, t.lifetime = shown.Leaf.NotAfter, max(shown.Leaf.NotAfter.Sub(asked), 0)
	}
	return t, nil
}

func (s *Source) form() url.Values {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(s.config.Scopes) > 0 {
		form.Set("scope", strings.Join(s.config.Scopes, " "))
	}
	for _, resource := range s.config.Resource { // RFC 8707 §2: the one parameter that may be repeated
		form.Add("resource", resource)
	}
	for _, audience := range s.config.Audience {
		form.Add("audience", audience)
	}
	if s.config.Fresh {
		form.Set("reuse", "false")
	}
	return form
}

// send sends req once and returns the body of a 200. Any other outcome is an
// Error, whose retryable tells if another attempt makes sense.
func (s *Source) send(req *http.Request, with proof) ([]byte, *Error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", s.config.UserAgent)
	failure := &Error{URL: bare(req.URL.String())}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, s.broken(failure, req.Context(), with, err)
	}
	defer res.Body.Close()
	body, err := httpx.ReadAll(res.Body, maxAnswer)
	tooLong := errors.As(err, new(*httpx.TooLongError))
	if err != nil && !tooLong {
		return nil, s.broken(failure, req.Context(), with, fmt.Errorf("the answer broke off: %w", err))
	}
	failure.Status = res.StatusCode
	if s.binder != nil {
		failure.nonce = s.binder.note(req.URL, res.Header)
	}
	switch {
	case tooLong:
		failure.Cause = err
	case res.StatusCode == http.StatusOK:
		return body, nil
	case res.StatusCode >= 300 && res.StatusCode < 400:
		failure.Cause = errors.New("the server redirects, which is not followed, so that the " +
			"credential goes nowhere else; configure the final address")
	default:
		refusal(failure, res, body, with, s.config.Clock())
	}
	return nil, failure
}

// broken describes an attempt that got no answer. It is not retryable if the
// certificate is not trusted or the server has no TLS: neither will change
// within a second.
func (s *Source) broken(failure *Error, ctx context.Context, with proof, err error) *Error {
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	failure.retryable = !errors.As(err, &untrusted) && !errors.As(err, &plain)
	failure.Cause = with.cause(err)
	// The deadline is this attempt's; it must not look like the end of the
	// caller's own context.
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		failure.Cause = fmt.Errorf("no answer within %s: %w", timespan.Text(s.config.Timeout), os.ErrDeadlineExceeded)
	}
	return failure
}

// refusal reads an error answer (RFC 6749 §5.2), if it is one.
func refusal(failure *Error, res *http.Response, body []byte, with proof, now time.Time) {
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &said) == nil {
		failure.Code, failure.Description = with.clean(said.Error, 100), with.clean(said.Description, 512)
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		failure.retryable = true
		failure.RetryAfter = httpx.RetryAfter(res.Header, now)
	case http.StatusUnauthorized:
		failure.Cause = with.advice
	}
}

// parseToken reads a token response (RFC 6749 §5.1). It ignores a refresh
// token. bound says that the token must be bound to a key, else it must not be.
// Its errors show nothing of the answer.
func parseToken(answer []byte, asked time.Time, bound bool) (*token, error) {
	var said struct {
		AccessToken string          `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		Scope       string          `json:"scope"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return nil, errors.New("the answer is not the JSON of a token (RFC 6749 §5.1); check the address")
	}
	if said.AccessToken == "" || strings.ContainsFunc(said.AccessToken, func(r rune) bool {
		return r <= ' ' || r > '~'
	}) {
		return nil, errors.New("the answer holds no usable access_token: expected visible ASCII (RFC 6750 §2.1)")
	}
	expected := typeBearer
	if bound {
		expected = typeDPoP
	}
	switch {
	case strings.EqualFold(said.TokenType, expected):
	case bound && strings.EqualFold(said.TokenType, typeBearer):
		return nil, errNotBound
	default:
		return nil, fmt.Errorf(
			"the answer's token_type is %q; only %s can be used",
			(proof{}).clean(strings.ReplaceAll(said.TokenType, said.AccessToken, "[redacted]"), 40), expected,
		)
	}
	lifetime, err := parseLifetime(said.ExpiresIn)
	if err != nil {
		return nil, err
	}
	return &token{
		access: said.AccessToken, scope: said.Scope, kind: expected, lifetime: lifetime, expiry: asked.Add(lifetime),
	}, nil
}

// parseLifetime reads a number of seconds. Some servers write it in quotes.
func parseLifetime(raw json.RawMessage) (time.Duration, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return unknownLifetime, nil
	}
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return 0, errors.New("the answer's expires_in is not a positive number of seconds (RFC 6749 §5.1)")
	}
	return time.Duration(min(seconds, maxLifetime.Seconds()) * float64(time.Second)), nil
}

// bare returns an address without its query, for messages.
func bare(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return before
}
