package httpx

import (
	"errors"
	"net/netip"
	"net/url"
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

// CheckIssuer returns an error for an address that may not be an issuer's:
// nothing that is trusted may come from it, and no secret may be sent to it.
// The scheme must be https, or http if the host is [Loopback], and there must
// be no query and no fragment (RFC 8414 §2). The errors continue a sentence
// that begins with the address's name, as in "Issuer has a fragment". They
// don't repeat the address, which may contain a password.
func CheckIssuer(address string) error {
	if strings.Contains(address, "?") {
		return errors.New("has a query; expected https://host/path alone")
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
	if address == "" {
		return errors.New("is empty; expected an address such as https://auth.example.com")
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not an address; expected https://host/path")
	case u.User != nil:
		return errors.New("holds a user name or password; take it out")
	case strings.Contains(address, "#"): // RFC 6749 §3.2
		return errors.New("has a fragment; take out the # and what follows")
	case secure && u.Scheme == "http":
		return errors.New("begins with http://; expected https, as the issuer is, on loopback too")
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return errors.New("begins with http://, which would send secrets in clear; expected " +
			"https:// (http is for loopback hosts only)")
	}
	return nil
}
