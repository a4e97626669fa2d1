package remotekeys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// special are the ranges that are not for the public internet: the registries
// of RFC 6890, with what other networks are reached through (RFC 6052, RFC
// 3056), IPv4 addresses within IPv6 ones (RFC 4291 §2.5.5) and multicast.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// network makes the connections.
type network struct {
	allowed []netip.Prefix
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// mayReach returns an error for an address within a special range that the
// operator has not allowed.
func (n *network) mayReach(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	holds := func(p netip.Prefix) bool { return p.Contains(addr) }
	if !slices.ContainsFunc(special, holds) || slices.ContainsFunc(n.allowed, holds) {
		return nil
	}
	return errors.New("the host has an address of a private or special network, which this server does not call: " +
		"give the keys themselves, or have the operator add it to federation.allowed_networks")
}

// dial connects to one of a host's addresses. All of them must be allowed, so
// that a name can't have one for the check and another one for the connection;
// and the one that is connected to is looked at once more just before.
func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := n.lookup(ctx, "ip", host)
	if err != nil {
		return nil, errors.New("the host's name could not be resolved")
	}
	for _, addr := range addrs {
		if err := n.mayReach(addr); err != nil {
			return nil, err
		}
	}
	dialer := net.Dialer{ControlContext: n.control}
	last := errors.New("the host has no address")
	for _, addr := range addrs {
		conn, err := dialer.DialContext(ctx, kind, net.JoinHostPort(addr.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// control is called with the address that a socket is about to be connected to.
func (n *network) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address to connect to: %w", err)
	}
	return n.mayReach(to.Addr())
}

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 16 << 10

// client returns the HTTP client. It takes no proxy from the environment: a
// check of addresses would see the proxy's. It follows no redirect: only the
// first address was configured.
func (n *network) client(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            n.dial,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
			ResponseHeaderTimeout:  fetchTimeout,
			TLSHandshakeTimeout:    fetchTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       fetchTimeout,
	}
}

// fetchTimeout bounds a fetch with all that belongs to it.
const fetchTimeout = 3 * time.Second
