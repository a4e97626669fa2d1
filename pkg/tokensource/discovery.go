package tokensource

import (
	"context"
	"errors"
	"net/http"

	"github.com/svcauth/svcauth/internal/httpx"
)

// aliases is the member of the metadata with the endpoints for clients that
// authenticate by a certificate (RFC 8705 §5).
const aliases = "mtls_endpoint_aliases."

// discover fetches the issuer's metadata and returns the endpoint with that
// name, or its alias for certificates if the client has one. It makes one
// attempt.
func (s *Source) discover(ctx context.Context, name string) (string, *Error) {
	endpoints, err := httpx.Discover(s.config.Issuer, func(address string) ([]byte, int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, 0, &Error{URL: address, Cause: errors.New("the metadata's address is not a URL")}
		}
		answer, failure := s.send(req, proof{})
		if failure == nil {
			return answer, http.StatusOK, nil
		}
		// Any 4xx: some gateways answer 403 for a path that they don't know.
		if failure.Status/100 == 4 && !failure.retryable {
			failure.Cause = errors.New("this address has no OAuth2 metadata (RFC 8414); " +
				"check the issuer, or set TokenURL")
		}
		return nil, failure.Status, failure
	}, name, aliases+name)
	var unusable *httpx.MetadataError
	var failure *Error
	switch {
	case err == nil:
		if alias := endpoints[aliases+name]; alias != "" && s.config.CertFile != "" {
			return alias, nil
		}
		return endpoints[name], nil
	case errors.As(err, &unusable):
		return "", &Error{Status: http.StatusOK, URL: unusable.Address, Cause: unusable.Err}
	case errors.As(err, &failure):
		return "", failure
	}
	return "", &Error{URL: s.config.Issuer, Cause: err}
}
