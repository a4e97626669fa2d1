package tokensource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// metadataURL is where RFC 8414 §3.1 puts the metadata: the well-known part goes between host and path.
func metadataURL(issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", errors.New("the issuer is not a URL")
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	return u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + path, nil
}

// metadata is what a client needs of the server's own description, RFC 8414 §2.
type metadata struct {
	Issuer        string `json:"issuer"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Introspection string `json:"introspection_endpoint"`
}

// discover asks the issuer once for its metadata. pick chooses the endpoint that is wanted, and name is the member it stands in.
func (s *Source) discover(ctx context.Context, name string, pick func(metadata) string) (string, *Error) {
	address, err := metadataURL(s.config.Issuer)
	if err != nil {
		return "", &Error{URL: s.config.Issuer, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", &Error{URL: address, Err: errors.New("the metadata's address is not a URL")}
	}
	answer, failure := s.send(req, credential{})
	if failure != nil {
		if failure.StatusCode == http.StatusNotFound {
			failure.Err = errors.New("this address has no OAuth2 metadata (RFC 8414); check the issuer, or set TokenURL")
		}
		return "", failure
	}
	var said metadata
	bad := func(format string, args ...any) *Error {
		return &Error{StatusCode: http.StatusOK, URL: address, Err: fmt.Errorf(format, args...)}
	}
	if json.Unmarshal(answer, &said) != nil {
		return "", bad("the answer is not the JSON of OAuth2 metadata; check the issuer")
	}
	// RFC 8414 §3.3: identical, or the document must not be used.
	if said.Issuer != s.config.Issuer {
		return "", bad("the metadata is of issuer %q, not of %q as configured; they must be the same, to the letter; if that is the server you mean, configure the former", (credential{}).clean(said.Issuer, 256), s.config.Issuer)
	}
	endpoint := pick(said)
	if endpoint == "" {
		return "", bad("the metadata names no %s", name)
	}
	if err := checkURL("the "+name+" in the metadata", endpoint); err != nil {
		return "", bad("%w", err)
	}
	if issuer, err := url.Parse(s.config.Issuer); err != nil || issuer.Scheme == "https" && !strings.HasPrefix(endpoint, "https:") {
		return "", bad("the %s in the metadata begins with http://; expected https, as the issuer is, on loopback too", name)
	}
	return endpoint, nil
}
