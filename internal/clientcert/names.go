// Package clientcert owns what a client's certificate says of its client: the
// names by which it may be registered (RFC 8705 §2.1.2), how they are written
// and compared, and when authorities vouch for it.
//
// It refuses to know: whose certificate it is, and how it came here.
package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Kind is the kind of a name, or of a whole certificate.
type Kind string

// The kinds, by the field of [svcauth.NewCertificate] that has one.
const (
	SubjectDN   Kind = "subject_dn"
	SANDNS      Kind = "san_dns"
	SANURI      Kind = "san_uri"
	SANIP       Kind = "san_ip"
	SANEmail    Kind = "san_email"
	Certificate Kind = "certificate" // the SHA-256 of its DER, in hexadecimal digits
)

// Name is by what a certificate is known. Two are equal if they are the same to
// the letter, since each is written in one form only.
type Name struct {
	Kind  Kind
	Value string
}

// String returns the name as it is stored.
func (n Name) String() string { return string(n.Kind) + ":" + n.Value }

// ParseStored reads what String has written.
func ParseStored(text string) Name {
	kind, value, _ := strings.Cut(text, ":")
	return Name{Kind(kind), value}
}

var errControl = errors.New("holds a control character, a space or a letter beyond ASCII")

// Parse returns the name that a text stands for, in the one form in which names
// are compared. kind must not be [Certificate]. An error is for whoever wrote
// the text.
func Parse(kind Kind, text string) (Name, error) {
	if text == "" || len(text) > svcauth.MaxCertificateName {
		return Name{}, errors.New("is empty or too long")
	}
	switch kind {
	case SubjectDN:
		value, err := canonicalDN(text)
		return Name{kind, value}, err
	case SANIP:
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return Name{}, errors.New("is no IP address; expected one such as 192.0.2.7 or 2001:db8::7, no network")
		}
		return Name{kind, addr.Unmap().String()}, nil
	default:
		if !graphic(text) {
			return Name{}, errControl
		}
		return Name{kind, text}, nil
	}
}

// graphic reports whether a text is of visible letters of ASCII alone, as an
// IA5String of a certificate must be.
func graphic(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// Of returns the name of a whole certificate.
func Of(leaf *x509.Certificate) Name {
	sum := sha256.Sum256(leaf.Raw)
	return Name{Certificate, hex.EncodeToString(sum[:])}
}

// maxNames bounds how many names of one certificate are looked at.
const maxNames = 100

// Names returns the names that a certificate says, those of its subject
// alternative names (RFC 5280 §4.2.1.6) as they stand in it, and its subject
// first if it has one that can be written. Names that are too long are left
// out.
func Names(leaf *x509.Certificate) (names []Name) {
	if value, err := subjectDN(leaf.RawSubject); err == nil && value != "" {
		names = append(names, Name{SubjectDN, value})
	}
	var alternatives []asn1.RawValue
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			if rest, err := asn1.Unmarshal(extension.Value, &alternatives); err != nil || len(rest) > 0 {
				return names
			}
		}
	}
	for _, one := range alternatives[:min(len(alternatives), maxNames)] {
		if one.Class != asn1.ClassContextSpecific {
			continue
		}
		switch one.Tag {
		case 1:
			names = appendText(names, SANEmail, one.Bytes)
		case 2:
			names = appendText(names, SANDNS, one.Bytes)
		case 6:
			names = appendText(names, SANURI, one.Bytes)
		case 7:
			if addr, ok := netip.AddrFromSlice(one.Bytes); ok {
				names = append(names, Name{SANIP, addr.Unmap().String()})
			}
		}
	}
	return names
}

func appendText(names []Name, kind Kind, text []byte) []Name {
	if name, err := Parse(kind, string(text)); err == nil {
		names = append(names, name)
	}
	return names
}
