package clientauth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/url"
	"strings"
)

// maxChain bounds the certificates that are looked at of one client: its own,
// and those of the authorities between it and one that is trusted. It bounds
// how many signatures a stranger can have checked.
const maxChain = 4

var errLongChain = errors.New("holds too many certificates; expected at most 4, the client's own first")

// parseByteSequences reads the field Client-Cert, RFC 9440 §2.2: one byte
// sequence, RFC 9651 §3.3.5, with the DER of a certificate.
func parseByteSequences(value string) ([]*x509.Certificate, error) {
	encoded, ok := strings.CutPrefix(value, ":")
	if ok {
		encoded, ok = strings.CutSuffix(encoded, ":")
	}
	if !ok {
		return nil, errors.New("is not in the form of RFC 9440; expected one certificate in base64 between two colons")
	}
	der, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("is not in the form of RFC 9440; what stands between the colons is not base64")
	}
	return parseDER(der)
}

// parseByteSequenceList reads the field Client-Cert-Chain, RFC 9440 §2.3: a
// list of byte sequences, without the client's own certificate.
func parseByteSequenceList(value string) (chain []*x509.Certificate, err error) {
	if value == "" {
		return nil, nil
	}
	if strings.Count(value, ",") > maxChain-2 {
		return nil, errLongChain
	}
	for member := range strings.SplitSeq(value, ",") {
		one, err := parseByteSequences(strings.Trim(member, " \t"))
		if err != nil {
			return nil, err
		}
		chain = append(chain, one...)
	}
	return chain, nil
}

// parseEscapedPEM reads certificates in PEM, RFC 7468 §5, that are escaped like
// a part of a URL: $ssl_client_escaped_cert of nginx, and what AWS writes,
// which leaves + as it is.
func parseEscapedPEM(value string) (chain []*x509.Certificate, err error) {
	text, err := url.PathUnescape(value)
	if err != nil {
		return nil, errors.New("is not a URL-encoded PEM certificate")
	}
	for rest := strings.TrimSpace(text); rest != ""; {
		if !strings.HasPrefix(rest, "-----BEGIN CERTIFICATE-----") {
			return nil, errors.New("is not a URL-encoded PEM certificate; expected -----BEGIN CERTIFICATE-----")
		}
		block, after := pem.Decode([]byte(rest))
		if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			return nil, errors.New("is not a URL-encoded PEM certificate; it is cut or has something else in it")
		}
		if len(chain) == maxChain {
			return nil, errLongChain
		}
		one, err := parseDER(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain, rest = append(chain, one...), strings.TrimSpace(string(after))
	}
	if len(chain) == 0 {
		return nil, errors.New("holds no certificate")
	}
	return chain, nil
}

// parseXFCC reads the field x-forwarded-client-cert as Envoy and Istio write
// it: pairs of key and value, joined by semicolons, of one client. Two elements
// are refused, since the first of them would be what a caller has sent.
//
// Envoy writes names of the certificate, which the client may have chosen, as
// they are, so that they may pretend to be further pairs. Hash is always there
// and is the proxy's own: it must be that of Cert, and no key may come twice.
func parseXFCC(value string) ([]*x509.Certificate, error) {
	pairs, err := splitXFCC(value)
	if err != nil {
		return nil, err
	}
	if pairs["cert"] == "" || pairs["hash"] == "" {
		return nil, errors.New("has no Cert or no Hash; have the proxy set the details of the certificate, cert: true")
	}
	leaf, err := parseEscapedPEM(pairs["cert"])
	if err != nil || len(leaf) != 1 {
		return nil, errors.New("has a Cert that is not one URL-encoded PEM certificate")
	}
	sum := sha256.Sum256(leaf[0].Raw)
	if !strings.EqualFold(hex.EncodeToString(sum[:]), pairs["hash"]) {
		return nil, errors.New("has a Hash that is not its Cert's")
	}
	if pairs["chain"] == "" {
		return leaf, nil
	}
	chain, err := parseEscapedPEM(pairs["chain"])
	if err != nil || !chain[0].Equal(leaf[0]) {
		return nil, errors.New("has a Chain that does not begin with its Cert")
	}
	return chain, nil
}

// splitXFCC returns the pairs of the one element of an x-forwarded-client-cert,
// by their keys in lower case. A name of the certificate (URI, DNS) may come
// several times, and only the last is kept.
func splitXFCC(value string) (map[string]string, error) {
	pairs := map[string]string{}
	for rest := value; rest != ""; {
		key, after, ok := strings.Cut(rest, "=")
		if key = strings.ToLower(strings.TrimSpace(key)); !ok || key == "" || strings.ContainsAny(key, "\",;") {
			return nil, errors.New("is not in the form of x-forwarded-client-cert; expected Key=Value;Key=Value")
		}
		var text string
		var closed bool
		if text, rest, closed = cutXFCC(after); !closed {
			return nil, errors.New("is not in the form of x-forwarded-client-cert: " +
				"a quote does not end, or stands within a value, or there are several elements; " +
				"have the proxy write its own alone (sanitize_set)")
		}
		if _, twice := pairs[key]; twice && key != "uri" && key != "dns" {
			return nil, errors.New("has a key of x-forwarded-client-cert twice")
		}
		pairs[key] = text
	}
	return pairs, nil
}

// cutXFCC returns the value at the beginning of a text, without its quotes, and
// what follows its semicolon. It reports whether the value ends as it must.
func cutXFCC(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ";")
		return value, rest, !strings.ContainsAny(value, `",`)
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case text[i] == '"':
			after, more := strings.CutPrefix(text[i+1:], ";")
			return b.String(), after, more || after == ""
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", false
}

// parseDER reads one certificate. What the parser says is not repeated, since
// it may quote the certificate.
func parseDER(der []byte) ([]*x509.Certificate, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("holds something that is not an X.509 certificate")
	}
	return []*x509.Certificate{certificate}, nil
}
