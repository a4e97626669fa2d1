package tokensource

import (
	"fmt"
	"io"
	"net/http"
)

// Transport returns an [http.RoundTripper] that adds the token to each request
// as "Authorization: Bearer …" (RFC 6750 §2.1) and sends it through base. If
// base is nil, it uses the transport of the Source, which trusts the same
// certificates.
//
// A token for which a certificate was shown goes over a connection that shows
// just that one, also after the files have changed, if base is nil or has a
// [CertificateTransport] below it.
//
// If the API answers 401, the token is dropped, and the request is sent once
// more with a new one. That is possible if the request has no body or its
// GetBody is set, as net/http does for the usual readers. Otherwise the 401 is
// returned, and the next request has a new token. If there is no new token, the
// error says why (see [Source.Token]).
//
// With Config.DPoP each request carries a proof of its own (RFC 9449 §7.1), as
// "Authorization: DPoP …" and "DPoP: …". If the API refuses the proof, as when it
// asks for a nonce, the request is sent once more with another, under the same
// condition, and the token is kept.
//
// After a redirect to another host, or from https to http, no token is sent, nor
// if that redirects back.
func (s *Source) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = s.client.Transport
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return transport{s, base}
}

type transport struct {
	source *Source
	base   http.RoundTripper
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if elsewhere(req) {
		return t.base.RoundTrip(req)
	}
	first, err := t.source.valid(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	res, err := t.sendProven(req, req.Body, first)
	if err != nil || res.StatusCode != http.StatusUnauthorized || t.refusesProof(res) {
		return res, err
	}
	t.source.Drop(first.access)
	body, ok := again(req)
	if !ok {
		return res, nil
	}
	drain(res)
	second, err := t.source.valid(req.Context())
	if err != nil {
		if body != nil {
			_ = body.Close()
		}
		return nil, fmt.Errorf("the API refused the token (401), and a new one could not be had: %w", err)
	}
	// A second 401 is about the client rather than the token: the new one
	// stays.
	return t.sendProven(req, body, second)
}

// sendProven sends req, and once more with another proof if the API has refused
// the proof: for its nonce, or since a proxy, or net/http itself, had sent the
// request before.
func (t transport) sendProven(req *http.Request, body io.ReadCloser, with *token) (*http.Response, error) {
	res, err := t.send(req, body, with)
	if err != nil || !t.refusesProof(res) {
		return res, err
	}
	body, ok := again(req)
	if !ok {
		return res, nil
	}
	drain(res)
	return t.send(req, body, with)
}

// refusesProof reports whether an API has refused a proof rather than its
// token.
func (t transport) refusesProof(res *http.Response) bool {
	return t.source.binder != nil && refusesProof(res)
}

// drain reads an answer to its end, within reason, so that its connection can
// be used again.
func drain(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	_ = res.Body.Close()
}

// send sends a copy of req, since a RoundTripper must not change it. The
// returned answer refers to req, because the copy holds the token.
func (t transport) send(req *http.Request, body io.ReadCloser, with *token) (*http.Response, error) {
	out := req.Clone(showing(req.Context(), with.shown))
	out.Body = body
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	kind := typeBearer
	if by := t.source.binder; by != nil {
		kind = typeDPoP
		if err := by.prove(out, with.access); err != nil {
			closeBody(out)
			return nil, err
		}
	}
	out.Header.Set("Authorization", kind+" "+with.access)
	res, err := t.base.RoundTrip(out)
	if res != nil {
		if by := t.source.binder; by != nil {
			by.note(req.URL, res.Header)
		}
		res.Request = req
	}
	return res, err
}

// elsewhere reports whether req follows redirects that have led to another
// origin than the first request's, which may have led back. net/http removes
// the Authorization header from such requests, and it must not be added again
// here.
func elsewhere(req *http.Request) bool {
	for before := req; before.Response != nil && before.Response.Request != nil; {
		before = before.Response.Request
		if origin(before.URL) != origin(req.URL) {
			return true
		}
	}
	return false
}

// again returns the body to send a second time, and false if that is not
// possible.
func again(req *http.Request) (io.ReadCloser, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
