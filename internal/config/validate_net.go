package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// addresses checks by which names this server is reached, and that no secret has to cross a network in the clear.
func (c checker) addresses(cfg *Config) {
	c.webURL(cfg.Issuer, "issuer", true)
	c.listenAddress(cfg.Listen, "listen")
	if cfg.Ops.Listen != "" {
		c.listenAddress(cfg.Ops.Listen, "ops.listen")
		c.that(cfg.Ops.Listen != cfg.Listen || strings.HasSuffix(cfg.Listen, ":0"), "ops.listen", "is the same as listen; give it a port of its own, or leave it empty")
	}
	c.that((cfg.TLS.CertFile == "") == (cfg.TLS.KeyFile == ""), "tls.cert_file", "and tls.key_file go together; set both, or none")
	c.file(cfg.TLS.CertFile, "tls.cert_file")
	c.secretFile(cfg.TLS.KeyFile, "tls.key_file")
	secure := strings.HasPrefix(cfg.Issuer, "https://")
	hasTLS := cfg.TLS.CertFile != ""
	if !c.broken["issuer"] && !c.broken["listen"] {
		c.that(!hasTLS || secure, "issuer", "is http, but tls.cert_file is set; write https")
		c.that(secure || hasTLS || cfg.AllowInsecureListen || loopbackHost(hostOf(cfg.Listen)), "listen",
			"would serve clear HTTP on an address that others can reach; listen on 127.0.0.1, or set tls.cert_file and tls.key_file, or stand behind a proxy that ends TLS and make issuer https (for a trial in a container: allow_insecure_listen)")
	}
	c.origins(cfg)
	for _, p := range cfg.TrustedProxies {
		c.that(p.Bits() > 0, "trusted_proxies", "holds %s, which is everybody: anyone could pretend to have any address; name the proxy's own network", p)
	}
}

// origins checks what browsers send as Origin (RFC 6454 §6.1), which is compared
// byte by byte.
func (c checker) origins(cfg *Config) {
	for _, origin := range cfg.CORS.AllowedOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Path != "" || origin == "" {
			c.that(false, "cors.allowed_origins", "holds %s; expected scheme and host of a page, without a path, such as https://docs.example.com", quoteName(origin))
			continue
		}
		c.webURL(origin, "cors.allowed_origins", true)
	}
}

// webURL checks an http(s) URL that others compare byte by byte (identity: https save on loopback, no slash at the end), or that is only called.
func (c checker) webURL(raw, key string, identity bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || len(raw) > 256 {
		c.that(false, key, "is not an absolute http or https URL of at most 256 characters; expected one such as https://auth.example.com")
		return
	}
	if u.User != nil {
		c.that(false, key, "holds a user name or password; take it out")
		return
	}
	c.that(!strings.ContainsAny(raw, "?#"), key, "has a query or a fragment; take it out")
	if !identity {
		return
	}
	c.that(!strings.HasSuffix(raw, "/"), key, "ends with a slash; take it away")
	c.that(u.Host == strings.ToLower(u.Host) && strings.HasPrefix(raw, u.Scheme+"://"), key, "has capitals in its scheme or host; write them in lower case, because it is compared byte by byte")
	c.that(!(u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80") && !strings.HasSuffix(u.Host, ":"), key, "names the port that its scheme implies; leave it out")
	c.that(u.Scheme == "https" || loopbackHost(u.Hostname()), key, "is http, which is taken only where the host is loopback (localhost, 127.0.0.0/8, ::1); write https")
}

func (c checker) listenAddress(addr, key string) {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if ok := err == nil && !strings.ContainsAny(host, "/ @"); !ok {
		c.that(ok, key, "is %s; expected an address and a port, such as 127.0.0.1:8080", quoteName(addr))
		c.broken[key] = true // what it would expose can't be said
	}
}

func hostOf(listen string) string {
	host, _, _ := net.SplitHostPort(listen)
	return host
}

// loopbackHost says whether a host can only be this machine. An empty one means every address.
func loopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func (c checker) stores(cfg *Config) {
	db := cfg.Database.URL.Reveal()
	if path, ok := strings.CutPrefix(db, "sqlite://"); ok {
		c.that(path != "" && !strings.HasPrefix(path, "?"), "database.url", "names no file; expected one such as sqlite://data/svcauth.db")
	} else {
		c.connectionURL(cfg.Database.URL, "database.url", []string{"sqlite", "postgres"}, true)
	}
	c.within(cfg.Database.MaxOpenConns, 1, 1000, "database.max_open_conns")
	if cfg.Redis.URL != "" {
		c.connectionURL(cfg.Redis.URL, "redis.url", []string{"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}, true)
	}
}

// connectionURL checks scheme and hosts of a URL that may hold a password, which is why no message quotes it. A list of hosts is not
// what net/url takes, so each host is looked at by itself.
func (c checker) connectionURL(u URL, key string, schemes []string, hostList bool) {
	scheme, rest, ok := strings.Cut(u.Reveal(), "://")
	if !ok || !slices.Contains(schemes, scheme) {
		c.that(false, key, "has a scheme that is not known; expected %s://", strings.Join(schemes, ":// or "))
		return
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		c.that(!strings.Contains(rest[end:], "@"), key, "has an @ after its host; write / ? # @ in a password as %%2F %%3F %%23 %%40")
		rest = rest[:end]
	}
	hosts := []string{rest[strings.LastIndexByte(rest, '@')+1:]}
	if hostList && (scheme == "postgres" || strings.Contains(scheme, "+")) {
		hosts = strings.Split(hosts[0], ",")
	}
	for _, host := range hosts {
		parsed, err := url.Parse("tcp://" + host)
		c.that(err == nil && parsed.Hostname() != "" && !strings.Contains(host, ","), key, "has no host, or one that can't be read; expected %s://HOST:PORT", scheme)
	}
}
