package limits

import "net/netip"

// NetworkOf returns what counts as one network: an IPv4 address or an IPv6 /64.
func NetworkOf(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		ip = netip.PrefixFrom(ip, 64).Masked().Addr()
	}
	return ip
}
