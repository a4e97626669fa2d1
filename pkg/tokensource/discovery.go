package tokensource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/svcauth/svcauth/internal/httpx"
)

// metadataURLs returns where the metadata may be: RFC 8414 §3.1 puts the
// well-known part between host and path, OpenID Connect Discovery §4 after the
// path. A proxy that hands on the path alone serves the second only.
func metadataURLs(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, errors.New("the issuer is not a URL")
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{origin + "/.well-known/oauth-authorization-server" + path, origin + path + "/.well-known/openid-configuration"}, nil
}

// metadata is what a client needs of the server's own description, RFC 8414 §2.
type metadata struct {
	Issuer        string `json:"issuer"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Introspection string `json:"introspection_endpoint"`
}

// discover asks the issuer once for its metadata. pick chooses the endpoint that
// is wanted, and name is the member it stands in.
func (s *Source) discover(ctx context.Context, name string, pick func(metadata) string) (string, *Error) {
	addresses, err := metadataURLs(s.config.Issuer)
	if err != nil {
		return "", &Error{URL: s.config.Issuer, Err: err}
	}
	said, address, failure := s.metadata(ctx, addresses)
	if failure != nil {
		return "", failure
	}
	bad := func(format string, args ...any) *Error {
		return &Error{StatusCode: http.StatusOK, URL: address, Err: fmt.Errorf(format, args...)}
	}
	// RFC 8414 §3.3: identical, or the document must not be used.
	if said.Issuer != s.config.Issuer {
		return "", bad("the metadata is of issuer %q, not of %q as configured; they must be the same, to the letter; if that is the server you mean, configure the former", (credential{}).clean(said.Issuer, 256), s.config.Issuer)
	}
	endpoint := pick(said)
	if endpoint == "" {
		return "", bad("the metadata names no %s", name)
	}
	if err := httpx.CheckEndpoint(s.config.Issuer, endpoint); err != nil {
		return "", bad("the %s in the metadata %w", name, err)
	}
	return endpoint, nil
}

// metadata reads the first of the addresses that has any. It returns the failure
// of the first if none has.
func (s *Source) metadata(ctx context.Context, addresses []string) (said metadata, address string, first *Error) {
	for _, address = range addresses {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return said, address, &Error{URL: address, Err: errors.New("the metadata's address is not a URL")}
		}
		answer, failure := s.send(req, credential{})
		switch {
		case failure == nil && json.Unmarshal(answer, &said) == nil:
			return said, address, nil
		case failure == nil: // such as the page of another program
			failure = &Error{StatusCode: http.StatusOK, URL: address, Err: errors.New("the answer is not the JSON of OAuth2 metadata; check the issuer")}
		case failure.StatusCode/100 == 3: // as to a page that signs people in
		case failure.StatusCode/100 == 4 && !failure.retryable: // some gateways say 403 of what they don't know
			failure.Err = errors.New("this address has no OAuth2 metadata (RFC 8414); check the issuer, or set TokenURL")
		default:
			return said, address, failure // the other address would not be better
		}
		if first == nil {
			first = failure
		}
	}
	return said, address, first
}
