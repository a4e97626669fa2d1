package config

import (
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// clientCertificates checks where clients show a certificate (RFC 8705).
func (c checker) clientCertificates(cfg *Config) {
	t := cfg.TLS
	if t.MTLSListen != "" {
		c.listenAddress(t.MTLSListen, "tls.mtls_listen")
		c.that(!slices.Contains([]string{cfg.Listen, cfg.Ops.Listen}, t.MTLSListen) || anyPort(t.MTLSListen),
			"tls.mtls_listen", "is the same as listen or ops.listen; give it an address or a port of its own, "+
				"so that browsers are not asked for a certificate")
		c.that(t.CertFile != "", "tls.mtls_listen", "is set, but tls.cert_file is empty; "+
			"set tls.cert_file and tls.key_file, or let a proxy ask for certificates (tls.client_cert_header)")
		c.that(t.MTLSURL != "", "tls.mtls_url", "is empty, but tls.mtls_listen is set; "+
			"write the URL by which clients reach that address, such as https://mtls.auth.example.com")
	}
	if t.MTLSURL != "" {
		c.identity(t.MTLSURL, "tls.mtls_url")
		c.that(strings.HasPrefix(t.MTLSURL, "https://"), "tls.mtls_url", "is not https; "+
			"a certificate is shown in TLS only")
		c.that(t.MTLSURL != cfg.Issuer, "tls.mtls_url", "is the issuer itself; leave it empty if certificates are "+
			"asked for there, or give the address that asks for them a name or a port of its own")
		c.that(t.MTLSListen != "" || t.ClientCertHeader != "", "tls.mtls_url", "is set, but neither tls.mtls_listen "+
			"nor tls.client_cert_header is; set one of them, or take this away")
	}
	if issuer, err := url.Parse(cfg.Issuer); err == nil && t.MTLSListen != "" {
		u, err := url.Parse(t.MTLSURL)
		c.that(err != nil || strings.TrimSuffix(u.Path, "/") == "" || u.Path == issuer.Path, "tls.mtls_url",
			"has another path than the issuer; expected the issuer's, or none")
	}
	c.that(t.ClientCAFile == "" || t.MTLSListen != "" || t.ClientCertHeader != "", "tls.client_ca_file",
		"is set, but neither tls.mtls_listen nor tls.client_cert_header is, so that no certificate is ever seen; "+
			"set one of them, or take this away")
	c.certificateHeaders(cfg)
}

// fieldName matches the name of a header field. RFC 9110 §5.6.2 allows more,
// which proxies drop or take for something else.
var fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// takenFields are the header fields that mean something else to the server.
var takenFields = []string{"Accept", "Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Dpop",
	"Forwarded", "Host", "If-Match", "If-None-Match", "Origin", "Referer", "Traceparent", "Tracestate",
	"Transfer-Encoding", "User-Agent", "X-Forwarded-For"}

// certificateHeaders checks the header fields in which a proxy hands on a
// certificate.
func (c checker) certificateHeaders(cfg *Config) {
	t := cfg.TLS
	for key, name := range map[string]string{
		"tls.client_cert_header": t.ClientCertHeader, "tls.client_cert_verified_header": t.ClientCertVerifiedHeader,
	} {
		if name == "" {
			continue
		}
		c.that(fieldName.MatchString(name), key, "is %s; expected the name of a header field of letters, digits "+
			"and -, such as Client-Cert", quoteName(name))
		c.that(!slices.Contains(takenFields, textproto.CanonicalMIMEHeaderKey(name)), key,
			"is %s, which means something else; have the proxy write a field of its own", quoteName(name))
	}
	c.oneOf(t.ClientCertFormat, "tls.client_cert_format", "rfc9440", "pem-urlencoded", "xfcc")
	c.that(t.ClientCertHeader == "" || len(cfg.TrustedProxies) > 0 || c.broken["trusted_proxies"],
		"tls.client_cert_header", "is set, but trusted_proxies is empty, so that nobody may send it; "+
			"name the proxy there")
	c.that(t.ClientCertVerifiedHeader == "" || t.ClientCertHeader != "", "tls.client_cert_verified_header",
		"is set, but tls.client_cert_header is empty; set it, or take this away")
	c.that(t.ClientCertVerifiedHeader == "" || t.ClientCertHeader == "" || t.ClientCAFile != "" || t.MTLSListen != "",
		"tls.client_ca_file",
		"is empty, so that no certificate counts that the proxy has checked; name the file of the authorities "+
			"that the proxy has too")
	same := textproto.CanonicalMIMEHeaderKey(t.ClientCertVerifiedHeader) ==
		textproto.CanonicalMIMEHeaderKey(t.ClientCertHeader)
	c.that(t.ClientCertVerifiedHeader == "" || !same, "tls.client_cert_verified_header",
		"is the same as tls.client_cert_header; the proxy writes two fields")
}

// anyPort reports whether the system chooses the port, another one each time.
func anyPort(listen string) bool { return strings.HasSuffix(listen, ":0") }
