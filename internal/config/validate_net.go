package config

import (
	"errors"
	"net"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/svcauth/svcauth/internal/httpx"
)

// addresses checks the names by which this server is reached, and that no
// secret has to cross a network in the clear.
func (c checker) addresses(cfg *Config) {
	c.identity(cfg.Issuer, "issuer")
	c.listenAddress(cfg.Listen, "listen")
	if cfg.Ops.Listen != "" {
		c.listenAddress(cfg.Ops.Listen, "ops.listen")
		c.that(cfg.Ops.Listen != cfg.Listen || strings.HasSuffix(cfg.Listen, ":0"), "ops.listen",
			"is the same as listen; give it a port of its own, or leave it empty")
	}
	c.that((cfg.TLS.CertFile == "") == (cfg.TLS.KeyFile == ""), "tls.cert_file",
		"and tls.key_file go together; set both, or none")
	c.private(cfg.TLS.KeyFile, "tls.key_file")
	c.oneOf(cfg.TLS.MinVersion, "tls.min_version", "1.2", "1.3")
	c.clientCertificates(cfg)
	c.privateInURL(cfg.Database.URL)
	c.private(cfg.Redis.KeyFile, "redis.key_file")
	c.private(cfg.OTLP.KeyFile, "otlp.key_file")
	secure := strings.HasPrefix(cfg.Issuer, "https://")
	hasTLS := cfg.TLS.CertFile != ""
	if !c.broken["issuer"] && !c.broken["listen"] {
		c.that(!hasTLS || secure, "issuer", "is http, but tls.cert_file is set; write https")
		c.that(secure || hasTLS || cfg.AllowInsecureListen || httpx.Loopback(hostOf(cfg.Listen)), "listen",
			"would serve clear HTTP on an address that others can reach; listen on 127.0.0.1, "+
				"or set tls.cert_file and tls.key_file, or stand behind a proxy that ends TLS and make issuer https "+
				"(for a trial in a container: allow_insecure_listen)")
	}
	c.origins(cfg)
	for _, p := range cfg.TrustedProxies {
		c.that(p.Bits() > 0, "trusted_proxies",
			"holds %s, which is everybody: anyone could pretend to have any address; name the proxy's own network", p)
	}
}

// origins checks what browsers send as Origin (RFC 6454 §6.1), which is
// compared byte by byte.
func (c checker) origins(cfg *Config) {
	for _, origin := range cfg.CORS.AllowedOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Path != "" || origin == "" {
			c.that(false, "cors.allowed_origins",
				"holds %s; expected scheme and host of a page, without a path, such as https://docs.example.com",
				quoteName(origin))
			continue
		}
		c.identity(origin, "cors.allowed_origins")
	}
}

// plainPath matches a path that nobody escapes or shortens (RFC 3986 §2.3).
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// identity checks a URL that others compare byte by byte.
func (c checker) identity(raw, key string) {
	u := c.secureURL(raw, key)
	if u == nil {
		return
	}
	c.that(!strings.HasSuffix(raw, "/"), key, "ends with a slash; take it away")
	plain := plainPath.MatchString(strings.TrimSuffix(u.EscapedPath(), "/"))
	c.that(plain && path.Clean("/"+u.Path) == "/"+strings.Trim(u.Path, "/"), key,
		"has a path that not everybody spells alike; "+
			"write it of letters, digits and - . _ ~ with a single / before each part")
	c.that(u.Host == strings.ToLower(u.Host) && strings.HasPrefix(raw, u.Scheme+"://"), key,
		"has capitals in its scheme or host; write them in lower case, because it is compared byte by byte")
	implied := u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80"
	c.that(!implied && !strings.HasSuffix(u.Host, ":"), key, "names the port that its scheme implies; leave it out")
}

// secureURL checks a URL to which secrets are sent, or whose answers are
// trusted.
func (c checker) secureURL(raw, key string) *url.URL {
	u := c.webURL(raw, key)
	if u != nil {
		c.that(u.Scheme == "https" || httpx.Loopback(u.Hostname()), key,
			"is http, which is taken only if the host is loopback (localhost, 127.0.0.0/8, ::1); write https")
	}
	return u
}

// webURL checks an http or https URL. It returns nil if the URL can't be
// checked any further.
func (c checker) webURL(raw, key string) *url.URL {
	u, err := httpx.Parse(raw)
	if err == nil && len(raw) > 256 {
		err = errors.New("has more than 256 characters; expected a shorter one")
	}
	if err != nil {
		c.that(false, key, "%s", err)
		return nil
	}
	c.that(!strings.ContainsAny(raw, "?#"), key, "has a query or a fragment; take it out")
	return u
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
