package tokensource

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// pair is a client certificate and its key, as the files had them at one time.
type pair struct {
	tls.Certificate
	sum [sha256.Size]byte // of both files
}

// readPair reads a certificate with its chain and its key. Its errors name the
// file.
func readPair(certFile, keyFile string) (*pair, error) {
	chain, err := readFile("the certificate file", certFile)
	if err != nil {
		return nil, err
	}
	key, err := readFile("the certificate's key file", keyFile)
	if err != nil {
		return nil, err
	}
	read, err := tls.X509KeyPair(chain, key)
	if err != nil {
		// The texts of crypto/tls name kinds of blocks, never what is in them.
		return nil, fmt.Errorf("the certificate file %s and the key file %s don't make a pair: %w",
			certFile, keyFile, err)
	}
	return &pair{read, sha256.Sum256(bytes.Join([][]byte{chain, key}, nil))}, nil
}

// pairKey is the key of the context's value that says which pair the
// connection of a request is to show.
type pairKey struct{}

// showing returns a context for requests whose connections show a certificate:
// the one that their token is bound to. If there is none, it returns ctx.
func showing(ctx context.Context, shown *pair) context.Context {
	if shown == nil {
		return ctx
	}
	return context.WithValue(ctx, pairKey{}, shown)
}

// CertificateTransport returns an [http.RoundTripper] that sends requests as
// base does, over connections that show the certificate in two PEM files. It
// reads them anew for each request, so that a renewed certificate is used
// without a restart. Connections of different certificates are kept apart: a
// token of a [Source] that is bound to a certificate (RFC 8705 §3) goes over
// one that shows just that, however often the files have changed since, and
// whichever other requests keep older connections busy.
//
// A Source does so by itself. This is for a Config.HTTPClient, or a base of
// [Source.Transport], that is not an [http.Transport] but has one below it.
func CertificateTransport(base *http.Transport, certFile, keyFile string) http.RoundTripper {
	return newCertTransport(base, certFile, keyFile)
}

func newCertTransport(base *http.Transport, certFile, keyFile string) *certTransport {
	return &certTransport{base: base, certFile: certFile, keyFile: keyFile}
}

type certTransport struct {
	base              *http.Transport
	certFile, keyFile string

	mu   sync.Mutex
	each []shownBy // the newest last
}

// shownBy is a transport whose connections all show one pair.
type shownBy struct {
	sum       [sha256.Size]byte
	transport *http.Transport
}

const (
	// maxShown is how many certificates have a transport at once. A Source
	// needs that of its token, and that of the next one.
	maxShown = 4
	// maxUnused is when an unused connection ends if base doesn't say: no later
	// request takes one that shows a certificate of the past.
	maxUnused = 90 * time.Second
)

// RoundTrip implements [http.RoundTripper].
func (t *certTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	shown, ok := req.Context().Value(pairKey{}).(*pair)
	if !ok {
		var err error
		if shown, err = readPair(t.certFile, t.keyFile); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	return t.of(shown).RoundTrip(req)
}

// of returns the transport of a pair. If it makes one, connections of others
// end as soon as they are idle.
func (t *certTransport) of(shown *pair) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.each, func(by shownBy) bool { return by.sum == shown.sum }); i >= 0 {
		return t.each[i].transport
	}
	for _, by := range t.each {
		by.transport.CloseIdleConnections()
	}
	own := t.base.Clone()
	own.IdleConnTimeout = cmp.Or(own.IdleConnTimeout, maxUnused)
	if own.TLSClientConfig == nil {
		own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	own.TLSClientConfig.Certificates = nil
	// Whatever authorities the server names: a certificate that is registered
	// itself (RFC 8705 §2.2) needs none.
	own.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &shown.Certificate, nil
	}
	if own.TLSClientConfig.ClientSessionCache != nil {
		// A session that is resumed has the certificate that it began with.
		own.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	t.each = append(t.each, shownBy{shown.sum, own})
	if len(t.each) > maxShown {
		t.each = slices.Delete(t.each, 0, 1) // its connections end by IdleConnTimeout
	}
	return own
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (t *certTransport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, by := range t.each {
		by.transport.CloseIdleConnections()
	}
}
