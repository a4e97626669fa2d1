package resourceserver

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/verify"
)

// boundTokens checks that callers have what their tokens are bound to: the key
// of a proof (RFC 9449 §7), or a certificate (RFC 8705 §3).
type boundTokens struct {
	proofs      *dpop.Checker
	external    string // Config.ExternalURL; empty: not set
	audience    string // the origin of Config.Audience; empty: it has none
	certificate func(*http.Request) *x509.Certificate
	unknown     func() // says once that it is not known how callers reach this API
}

func newBoundTokens(cfg Config) *boundTokens {
	key := cfg.ProofNonceKey
	if len(key) == 0 {
		key = make([]byte, minNonceKey)
		_, _ = rand.Read(key)
	}
	replays := dpop.Replays(dpop.NewMemory(cfg.RememberProofs))
	if cfg.SharedProofs != nil {
		replays = &sharedProofs{own: replays, shared: cfg.SharedProofs, clock: cfg.Clock, log: cfg.Logger}
	}
	b := &boundTokens{
		external: cfg.ExternalURL, certificate: cfg.ClientCertificate,
		proofs: dpop.NewChecker(dpop.Config{
			Mode: dpop.Mode(cfg.ProofNonces), Nonces: dpop.NewNonces(func() []byte { return key }, cfg.Clock),
			Replays: replays, Clock: cfg.Clock,
		}),
		unknown: sync.OnceFunc(func() { warnOfURL(cfg.Logger) }),
	}
	if u, err := url.Parse(cfg.Audience); err == nil && httpx.CheckBase(u.Scheme+"://"+u.Host) == nil {
		b.audience = u.Scheme + "://" + u.Host
	}
	return b
}

func warnOfURL(log *slog.Logger) {
	log.Warn("a token that is bound to a key was refused, since it is not known by which URL callers reach this API: " +
		"set Config.ExternalURL")
}

// check checks that a request's caller has what a valid token is bound to. An
// error is an [*Error].
func (b *boundTokens) check(r *http.Request, scheme, token string, claims *verify.Claims) (nonce string, err error) {
	nonce, err = b.proofs.Bound(r.Context(), claims, dpop.Presented{
		Scheme: scheme, Token: token,
		Request: func() dpop.Request {
			return dpop.Request{Proofs: r.Header[dpop.Header], Method: r.Method, Bases: b.bases(r), Path: sentPath(r)}
		},
		Certificate: func() *x509.Certificate { return b.certificate(r) },
	})
	var refusal *verify.Error
	if errors.As(err, &refusal) {
		return "", (*Error)(refusal)
	}
	return nonce, err
}

// bases returns the URLs by which callers may have reached this API.
func (b *boundTokens) bases(r *http.Request) (bases []string) {
	if b.external != "" {
		return []string{b.external}
	}
	if b.audience != "" {
		bases = append(bases, b.audience)
	}
	if own := ownAddress(r); own != "" {
		bases = append(bases, own)
	}
	if len(bases) == 0 {
		b.unknown()
	}
	return bases
}

// ownAddress returns the URL that a request names, if it is the very address
// that its connection came to, or empty. A name could be anybody's, and another
// port another API's.
func ownAddress(r *http.Request) string {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return ""
	}
	named := url.URL{Scheme: "http", Host: r.Host}
	port := "80"
	if r.TLS != nil {
		named.Scheme, port = "https", "443"
	}
	host := named.Hostname()
	ip := net.ParseIP(host)
	if !(ip != nil && ip.Equal(local.IP)) && !(httpx.Loopback(host) && local.IP.IsLoopback()) ||
		cmp.Or(named.Port(), port) != strconv.Itoa(local.Port) {
		return ""
	}
	return named.Scheme + "://" + r.Host
}

// sentPath returns the path that a caller sent, encoded as it was. A mux that
// strips a prefix changes the one in r.URL.
func sentPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	return r.URL.EscapedPath()
}

func shownInTLS(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// boundAlone returns the refusal of a bound token without its request.
func boundAlone(c *verify.Claims) *Error {
	refusal := &Error{Status: http.StatusUnauthorized, Code: CodeInvalidToken,
		Description: "the token is bound to a key or a certificate, which can't be checked here: send one that is not"}
	if c.BoundKey != "" {
		refusal.Scheme = dpop.Scheme
	}
	return refusal
}

// ofProof has the challenge of a refusal ask by the scheme DPoP, as the request
// came.
func ofProof(err error) error {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return err
	}
	own := *refusal
	own.Scheme = dpop.Scheme
	return &own
}

// schemeOf returns the scheme of the challenge for a token that is valid.
func schemeOf(p *Principal) string {
	if p.BoundKey != "" {
		return dpop.Scheme
	}
	return ""
}
