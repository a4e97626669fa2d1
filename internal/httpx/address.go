package httpx

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// Loopback reports whether a host, as [url.URL.Hostname] returns it, can only
// be this machine: "localhost" in any case (RFC 3986 §3.2.2), 127.0.0.0/8, ::1
// and those within IPv6. Names below localhost are none: RFC 6761 §6.3 only
// advises resolvers not to look them up in the DNS. The empty host, which a
// listener takes for every address, is none either.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}

// CheckIssuer refuses an address that may not be a server's own: one that
// nothing trusted may come from and no secret may be sent to. It takes https,
// or http if the host is [Loopback], and no query or fragment (RFC 8414 §2).
// Its errors go on from the address's name, as in "Issuer has a fragment". They
// don't repeat the address, which may hold a password.
func CheckIssuer(address string) error {
	if strings.Contains(address, "?") {
		return errors.New("has a query; expected https://host/path alone")
	}
	return check(address, false)
}

// CheckEndpoint is [CheckIssuer] for an endpoint that the issuer's metadata
// names. It may have a query (RFC 6749 §3.2). That of an https issuer is https
// on loopback too: what listens there in clear is whatever else runs on this
// machine. issuer is empty if the endpoint was configured instead.
func CheckEndpoint(issuer, address string) error {
	of, err := url.Parse(issuer)
	return check(address, err != nil || of.Scheme == "https")
}

// check is the rule of both. secure: no http, whoever the host is.
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
