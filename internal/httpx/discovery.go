package httpx

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// MaxMetadata bounds an issuer's metadata, in bytes.
const MaxMetadata = 256 << 10

// MetadataError is the error for issuer metadata that can't be used.
type MetadataError struct {
	Address string // of the metadata
	Err     error
}

// Error returns a text that begins with the address.
func (e *MetadataError) Error() string { return e.Address + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *MetadataError) Unwrap() error { return e.Err }

// Discover reads the issuer's metadata and returns those of the named endpoints
// that it has. The first one is required. Each has passed [CheckEndpoint]. A
// name may be of a member's member, such as
// "mtls_endpoint_aliases.token_endpoint" (RFC 8705 §5).
//
// get makes one call and returns at most [MaxMetadata] bytes. With an error it
// returns the status of the answer, or 0 if there was none. Discover tries the
// well-known addresses in turn. If none has the metadata, the error is that of
// the first address; if the metadata can't be used, it is a [*MetadataError].
func Discover(
	issuer string,
	get func(address string) (body []byte, status int, err error),
	names ...string,
) (endpoints map[string]string, err error) {
	return discover(issuer, wellKnown(issuer), get, names)
}

// DiscoverOpenID is [Discover] for an issuer that has OpenID discovery alone,
// as most that sign tokens for workloads (OpenID Connect Discovery 1.0 §4): one
// address is asked. It is the issuer as it is written, without a slash at its
// end.
func DiscoverOpenID(
	issuer string,
	get func(address string) (body []byte, status int, err error),
	names ...string,
) (endpoints map[string]string, err error) {
	return discover(issuer, []string{strings.TrimSuffix(issuer, "/") + openIDPath}, get, names)
}

const openIDPath = "/.well-known/openid-configuration"

func discover(
	issuer string,
	addresses []string,
	get func(address string) (body []byte, status int, err error),
	names []string,
) (endpoints map[string]string, err error) {
	for _, address := range addresses {
		body, status, failed := get(address)
		var said map[string]json.RawMessage
		switch {
		case failed == nil && json.Unmarshal(body, &said) == nil:
			endpoints, failed = readMetadata(issuer, said, names)
			if failed != nil {
				return nil, &MetadataError{address, failed}
			}
			return endpoints, nil
		case failed == nil: // such as the page of another program
			failed = &MetadataError{
				address,
				errors.New("the answer is not the JSON of OAuth2 metadata (RFC 8414); check the issuer"),
			}
		case status == 0, status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
			return nil, failed // the issuer can't answer now
		}
		if err == nil {
			err = failed
		}
	}
	return nil, err
}

// wellKnown returns the addresses at which the metadata may be: RFC 8414 §3.1
// puts the well-known part between host and path, OpenID Connect Discovery 1.0
// §4 after the path. A proxy that forwards only the path serves only the
// second.
func wellKnown(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return []string{issuer} // it can't be fetched either
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + openIDPath,
	}
}

func readMetadata(issuer string, said map[string]json.RawMessage, names []string) (map[string]string, error) {
	member := func(name string) (text string) {
		value := said[name]
		if outer, inner, ok := strings.Cut(name, "."); ok {
			var object map[string]json.RawMessage
			_ = json.Unmarshal(said[outer], &object)
			value = object[inner]
		}
		_ = json.Unmarshal(value, &text) // a value of another type is ignored
		return text
	}
	// RFC 8414 §3.3: the issuer must be identical, so that the metadata of one
	// issuer can't pass for another's.
	if own := member("issuer"); own != issuer {
		return nil, fmt.Errorf(
			"the metadata is of issuer %.256q, not of %.256q as configured; they must be the "+
				"same, to the letter; if that is the server you mean, configure the former",
			own,
			issuer,
		)
	}
	endpoints := make(map[string]string, len(names))
	for i, name := range names {
		endpoint := member(name)
		switch {
		case endpoint != "":
			if err := CheckEndpoint(issuer, endpoint); err != nil {
				return nil, fmt.Errorf("the %s in the metadata %w", name, err)
			}
			endpoints[name] = endpoint
		case i == 0:
			return nil, errors.New("the metadata names no " + name)
		}
	}
	return endpoints, nil
}
