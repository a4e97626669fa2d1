package httpx

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Loopback reports whether a host, as [url.URL.Hostname] returns it, can only
// be this machine: "localhost" in any case (RFC 3986 §3.2.2), 127.0.0.0/8, ::1,
// and the former as IPv4-mapped IPv6 addresses. Names below localhost are not:
// RFC 6761 §6.3 only advises resolvers not to look them up in the DNS. The
// empty host, which means every address to a listener, is not either.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}

// Parse reads the absolute address of a web server, or of something below it
// (RFC 3986 §3, RFC 9110 §4.2), which means the same to whoever reads it. It
// takes neither a user nor a port that no server has, and no path that is
// shortened on its way. The errors continue a sentence that begins with the
// address's name, as in "Issuer has a fragment". They don't repeat the address,
// which may contain a password.
func Parse(address string) (*url.URL, error) {
	if address == "" {
		return nil, errors.New("is empty; expected an address such as https://auth.example.com")
	}
	scheme, rest, absolute := strings.Cut(address, "://")
	authority := rest[:strings.IndexAny(rest+"/", "/?#")]
	if absolute && strings.Contains(authority, "@") {
		return nil, errors.New("holds a user name or password; take it out")
	}
	if strings.ContainsFunc(address, foreign) {
		return nil, errForeign
	}
	port := ""
	if colon := strings.LastIndexByte(authority, ':'); colon > strings.LastIndexByte(authority, ']') {
		authority, port = authority[:colon], authority[colon+1:]
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0 || port[0] == '0') {
		return nil, errors.New("names a port that no server has; expected a number from 1 to 65535, or none")
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || strings.Contains(authority, "%") ||
		!strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return nil, errors.New("is not an address; expected https://host/path")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." { // RFC 3986 §5.2.4
			return nil, errors.New("has a part . or .. in its path, which is taken away before it is asked for; " +
				"write the path that is meant")
		}
	}
	return u, nil
}

// foreign reports whether an address can't hold a character (RFC 3986 §2).
func foreign(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`\"<>`, c) }

// CheckBase returns an error for an address that can't be the beginning of the
// addresses of a server: scheme and host, and perhaps a path. The errors are as
// those of [Parse].
func CheckBase(address string) error {
	_, err := Parse(address)
	switch {
	case err != nil:
		return err
	case strings.Contains(address, "#"):
		return errFragment
	case strings.Contains(address, "?"):
		return errQuery
	case strings.HasSuffix(address, "/"):
		return errors.New("ends with a slash; take it away")
	}
	return nil
}

// CheckResource returns an error for a text that can't name a resource, which
// is an absolute URI without a fragment (RFC 8707 §2). One of the web must be
// an address that [Parse] takes. The errors are as those of [Parse].
func CheckResource(uri string) error {
	if strings.ContainsFunc(uri, foreign) {
		return errForeign
	}
	u, err := url.Parse(uri)
	if err == nil && strings.Contains(uri, "#") {
		return errFragment
	}
	if scheme, _, _ := strings.Cut(uri, ":"); strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http") {
		_, err := Parse(uri)
		return err
	}
	if err != nil || !u.IsAbs() || u.Host == "" && u.Opaque == "" {
		return errors.New("is not an absolute URI (RFC 8707 §2); expected one such as https://api.example.com")
	}
	return nil
}

var (
	errForeign = errors.New("is not an address: it holds a space or another character that none has; " +
		"expected it percent-encoded, and a host's in its xn-- form")
	errQuery    = errors.New("has a query; expected https://host/path alone")
	errFragment = errors.New("has a fragment; take out the # and what follows") // RFC 6749 §3.2
)

// CheckIssuer returns an error for an address that may not be an issuer's:
// nothing that is trusted may come from it, and no secret may be sent to it.
// The scheme must be https, or http if the host is [Loopback], and there must
// be no query and no fragment (RFC 8414 §2). The errors are as those of
// [Parse].
func CheckIssuer(address string) error {
	if strings.Contains(address, "?") {
		return errQuery
	}
	return check(address, false)
}

// CheckEndpoint is [CheckIssuer] for an endpoint that the issuer's metadata
// names. It may have a query (RFC 6749 §3.2). The endpoint of an https issuer
// must be https on loopback too, where any other program on this machine may
// listen. issuer is empty if the endpoint was configured instead.
func CheckEndpoint(issuer, address string) error {
	of, err := url.Parse(issuer)
	return check(address, err != nil || of.Scheme == "https")
}

// check is the rule of both. If secure is set, http is refused for every host.
func check(address string, secure bool) error {
	u, err := Parse(address)
	switch {
	case err != nil:
		return err
	case strings.Contains(address, "#"):
		return errFragment
	case secure && u.Scheme == "http":
		return errors.New("begins with http://; expected https, as the issuer is, on loopback too")
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return errors.New("begins with http://, which would send secrets in clear; expected " +
			"https:// (http is for loopback hosts only)")
	}
	return nil
}
