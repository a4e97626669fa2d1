package clientauth

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Basic is the client id and the secret of an Authorization header (RFC 6749
// §2.3.1).
type Basic struct {
	ClientID string
	Secret   svcauth.Secret
	Fault    string // what is wrong with the header, for the caller; empty: nothing
}

// What can be wrong with the header. Line breaks come from tools: base64 wraps
// its output, echo ends what it encodes with one.
const (
	noBasic = "the Authorization header is not HTTP Basic with client id and secret, each form-urlencoded"
	wrapped = "the Authorization header has a space or line break within its base64 text: " +
		"base64 wraps at 76 characters, base64 -w0 does not"
	lineBreak = "the client id or secret in the Authorization header ends in a line break: " +
		"encode it without (echo adds one, printf does not)"
)

// maxBasic bounds the base64 text, in bytes.
const maxBasic = 4096

// parseBasic reads the credentials of RFC 7617 §2 with the form-urlencoding of
// RFC 6749 §2.3.1.
func parseBasic(header string) *Basic {
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") || len(text) > maxBasic {
		return &Basic{Fault: noBasic}
	}
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, " \t\r\n") {
		return &Basic{Fault: wrapped}
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return &Basic{Fault: noBasic}
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	id, err1 := Unescape(id)
	secret, err2 := Unescape(secret)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return &Basic{Fault: noBasic}
	case Clean(id) && Clean(secret):
		return &Basic{ClientID: id, Secret: svcauth.Secret(secret)}
	case Clean(strings.TrimRight(id, "\r\n")) && Clean(strings.TrimRight(secret, "\r\n")):
		return &Basic{Fault: lineBreak}
	}
	return &Basic{Fault: noBasic}
}

// refusal returns the refusal of a header that can't be read, or nil.
func (b *Basic) refusal() *oautherr.Error {
	if b.Fault == "" {
		return nil
	}
	return oautherr.New(oautherr.CodeInvalidClient, "malformed_basic", "%s", b.Fault)
}

// Unescape decodes form-urlencoded text. It is [url.QueryUnescape], which is
// skipped if nothing is escaped.
func Unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// Clean reports whether text is UTF-8 without control characters, as all
// parameters of a request must be.
func Clean(s string) bool {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}
