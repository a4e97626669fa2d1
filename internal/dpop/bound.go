package dpop

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/svcauth/svcauth/internal/verify"
)

// Presented is how a request shows an access token.
type Presented struct {
	Scheme string // of Authorization
	Token  string
	// Request is what the token comes with, but for Token and Key. It is called
	// only for a token that is bound to a key.
	Request func() Request
	// Certificate returns the one that the caller has shown in TLS, or nil. It
	// is called only for a token that is bound to a certificate.
	Certificate func() *x509.Certificate
}

// Bound checks that whoever shows a valid token has what it is bound to: the
// private key of a proof (RFC 9449 §7.1), which is used up, or that of a
// certificate (RFC 8705 §3). A bearer token needs no more than the scheme. The
// nonce, if it is not empty, is to be sent beside the answer. An error is a
// [*verify.Error].
func (c *Checker) Bound(ctx context.Context, claims *verify.Claims, p Presented) (nonce string, err error) {
	withProof := strings.EqualFold(p.Scheme, Scheme)
	switch {
	case !claims.Bound() && !withProof:
		return "", nil
	case withProof && claims.BoundKey == "":
		return "", refused(CodeInvalidToken, "", "the token is not bound to a key: send it as Authorization: Bearer")
	case !withProof && claims.BoundKey != "":
		return "", refused(CodeInvalidToken, Scheme, "the token is bound to a key: send it as Authorization: DPoP, "+
			"with a proof in the header field DPoP (RFC 9449)")
	}
	if claims.BoundCertificate != "" {
		if err := hasCertificate(claims, p); err != nil {
			return "", err
		}
	}
	if claims.BoundKey == "" {
		return "", nil
	}
	r := p.Request()
	r.Token, r.Key, r.Owner = p.Token, claims.BoundKey, cmp.Or(claims.OrgID, claims.ClientID)
	proof, err := c.Check(ctx, r)
	if err == nil {
		err = c.Use(ctx, proof)
	}
	if err == nil {
		return proof.Nonce, nil
	}
	refusal := Refusal(err)
	if refusal == nil {
		return "", verify.Unavailable("the proof could not be checked; try again", err)
	}
	answer := refused(refusal.Code, Scheme, refusal.Description)
	answer.Nonce = refusal.Nonce
	return "", answer
}

// hasCertificate checks that the caller has shown the certificate that a token
// is bound to.
func hasCertificate(claims *verify.Claims, p Presented) error {
	scheme := ""
	if claims.BoundKey != "" {
		scheme = Scheme
	}
	shown := p.Certificate()
	if shown == nil {
		return refused(CodeInvalidToken, scheme, "the token is bound to a client certificate, and none was shown: "+
			"send it over mutual TLS, with the certificate that it was got with (RFC 8705)")
	}
	thumbprint := CertificateThumbprint(shown)
	if subtle.ConstantTimeCompare([]byte(thumbprint), []byte(claims.BoundCertificate)) != 1 {
		return refused(CodeInvalidToken, scheme, "the token is bound to another client certificate than the one "+
			"that was shown: get a new token with this one")
	}
	return nil
}

// CertificateThumbprint returns a certificate's x5t#S256 (RFC 8705 §3.1).
func CertificateThumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// refused returns a refusal with a challenge of a scheme; empty: Bearer.
func refused(code, scheme, description string) *verify.Error {
	return &verify.Error{Status: http.StatusUnauthorized, Code: code, Scheme: scheme, Description: description}
}
