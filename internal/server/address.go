package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientOf returns the address of the client that sent r, and whether the
// connection is one of a trusted proxy. It is the one place that decides whom
// a request is counted against, so it believes nothing that a client can
// write: only X-Forwarded-For, only from a trusted proxy, and only back to the
// first address that no trusted proxy stands at. If the entry that a proxy
// wrote can't be read, the request counts against that proxy.
func clientOf(r *http.Request, trusted []netip.Prefix) (client netip.Addr, proxied bool) {
	client = readHop(r.RemoteAddr)
	if !within(client, trusted) {
		return client, false
	}
	// A proxy adds to the line that it gets, or adds a line of its own: all
	// lines are one list (RFC 9110 §5.3).
	lines := r.Header["X-Forwarded-For"]
	for _, line := range slices.Backward(lines) {
		hops := strings.Split(line, ",")
		for _, text := range slices.Backward(hops) {
			hop := readHop(strings.TrimSpace(text))
			if !hop.IsValid() {
				return client, true
			}
			if client = hop; !within(client, trusted) {
				return client, true
			}
		}
	}
	return client, true
}

// readHop reads an address as proxies write it: alone, in brackets, or with a
// port behind it. It returns the zero Addr for anything else.
func readHop(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return plain(withPort.Addr())
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return plain(addr)
	}
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		if addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err == nil && addr.Is6() {
			return plain(addr)
		}
	}
	return netip.Addr{}
}

// plain returns an address in its one form: without a zone, and IPv4 as such.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func within(addr netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}
