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

// MetadataError says what is wrong with an issuer's metadata.
type MetadataError struct {
	Address string // of the metadata
	Err     error
}

// Error begins with the address.
func (e *MetadataError) Error() string { return e.Address + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *MetadataError) Unwrap() error { return e.Err }

// Discover reads the issuer's metadata and returns those of the named endpoints
// that are in it. The first must be, and each has passed [CheckEndpoint].
//
// get makes one call and returns at most [MaxMetadata] bytes. With an error it
// returns the status of the answer, or 0 if there was none. Where the metadata
// lies is tried in turn; the error is that of the first address if none has it,
// and a [*MetadataError] if what was answered can't be used.
func Discover(
	issuer string,
	get func(address string) (body []byte, status int, err error),
	names ...string,
) (endpoints map[string]string, err error) {
	for _, address := range wellKnown(issuer) {
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
			return nil, failed // the issuer itself can't answer now, or not so often
		}
		if err == nil {
			err = failed
		}
	}
	return nil, err
}

// wellKnown returns where the metadata may lie: RFC 8414 §3.1 puts the
// well-known part between host and path, OpenID Connect Discovery 1.0 §4 after
// the path. A proxy that hands on the path alone serves the second only.
func wellKnown(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return []string{issuer} // which can't be fetched either
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}
}

func readMetadata(issuer string, said map[string]json.RawMessage, names []string) (map[string]string, error) {
	member := func(name string) (text string) {
		_ = json.Unmarshal(said[name], &text) // what is no text names nothing
		return text
	}
	// RFC 8414 §3.3: identical, or the document must not be used, so that
	// nobody's metadata passes for another's.
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
