package clientcert

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// attributeTypes are the types of a distinguished name's attributes that have a
// short name, by RFC 4514 §3, RFC 4519 and what openssl prints.
var attributeTypes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "TITLE", "2.5.4.17": "POSTALCODE",
	"2.5.4.42": "GN", "2.5.4.97": "ORGANIZATIONIDENTIFIER", "0.9.2342.19200300.100.1.1": "UID",
	"0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "EMAILADDRESS",
}

// otherNames are further short names of the same types.
var otherNames = map[string]string{
	"S": "ST", "E": "EMAILADDRESS", "EMAIL": "EMAILADDRESS", "GIVENNAME": "GN", "SURNAME": "SN", "USERID": "UID",
	"T": "TITLE", "COUNTRYNAME": "C", "COMMONNAME": "CN", "ORGANIZATIONNAME": "O",
}

// subjectDN writes a distinguished name as RFC 4514 says: the last part of the
// sequence in the certificate first, types by their short name in capitals or
// by their number, and in a part of several attributes (+) these in order. What
// the certificate calls the type of a text (PrintableString, UTF8String) makes
// no difference. A name with something else than text can't be written.
func subjectDN(der []byte) (string, error) {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &sequence); err != nil || len(rest) > 0 {
		return "", errors.New("the subject can't be read")
	}
	var parts []string
	for _, part := range slices.Backward(sequence) {
		var attributes []string
		for _, a := range part {
			text, ok := a.Value.(string)
			if !ok || !utf8.ValidString(text) {
				return "", errors.New("the subject holds something else than text")
			}
			number := a.Type.String()
			name, ok := attributeTypes[number]
			if !ok {
				name = number
			}
			attributes = append(attributes, name+"="+escapeDN(text))
		}
		slices.Sort(attributes)
		parts = append(parts, strings.Join(attributes, "+"))
	}
	value := strings.Join(parts, ",")
	if len(value) > svcauth.MaxCertificateName {
		return "", errors.New("the subject is too long")
	}
	return value, nil
}

// escapeDN escapes a value as RFC 4514 §2.4 says.
func escapeDN(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case strings.ContainsRune(`"+,;<>\`, r), i == 0 && (r == ' ' || r == '#'), i == len(text)-1 && r == ' ':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

var (
	attributeNumber = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]{0,15})){1,20}$`)
	errDN           = errors.New("is no distinguished name; expected one such as CN=deployer,OU=ci,O=Example, " +
		"as openssl x509 -subject -nameopt RFC2253 prints it")
)

// canonicalDN reads a distinguished name as RFC 4514 §3 writes it and writes it
// as subjectDN does. Spaces around commas and equals signs, and short names in
// small letters, are taken too.
func canonicalDN(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errDN
	}
	var parts, attributes []string
	for rest := text; ; {
		name, after, ok := strings.Cut(rest, "=")
		if name = attributeName(name); !ok || name == "" {
			return "", errDN
		}
		value, end, tail, err := cutDN(after)
		if err != nil || value == "" || !utf8.ValidString(value) {
			return "", errDN
		}
		attributes = append(attributes, name+"="+escapeDN(value))
		if end != '+' {
			slices.Sort(attributes)
			parts, attributes = append(parts, strings.Join(attributes, "+")), nil
		}
		if end == 0 {
			return strings.Join(parts, ","), nil
		}
		rest = tail
	}
}

// attributeName returns the one way to write a type, or the empty string if
// there is none.
func attributeName(text string) string {
	text = strings.ToUpper(strings.TrimSpace(text))
	text = strings.TrimPrefix(text, "OID.")
	if other, ok := otherNames[text]; ok {
		text = other
	}
	for number, name := range attributeTypes {
		if text == name || text == number {
			return name
		}
	}
	if attributeNumber.MatchString(text) {
		return text
	}
	return ""
}

// cutDN returns the value at the beginning of a text without its escapes, the
// character that ends it (0: the end of the text), and what follows.
func cutDN(text string) (value string, end byte, rest string, err error) {
	text = strings.TrimLeft(text, " ")
	if strings.HasPrefix(text, "#") || strings.HasPrefix(text, `"`) {
		return "", 0, "", errDN // the DER of a value, and what RFC 1779 had
	}
	var b strings.Builder
	kept := 0 // up to where spaces at the end belong to the value
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\\':
			n, err := unescapeDN(text[i+1:], &b)
			if err != nil {
				return "", 0, "", err
			}
			i, kept = i+n, b.Len()
		case ',', '+':
			return b.String()[:max(kept, len(strings.TrimRight(b.String(), " ")))], c, text[i+1:], nil
		case '"', ';', '<', '>', 0:
			return "", 0, "", errDN
		default:
			b.WriteByte(c)
		}
	}
	return b.String()[:max(kept, len(strings.TrimRight(b.String(), " ")))], 0, "", nil
}

// unescapeDN writes what an escape stands for, RFC 4514 §3, and returns how
// long it is behind the backslash.
func unescapeDN(text string, to *strings.Builder) (int, error) {
	if text != "" && strings.IndexByte(` "#+,;<=>\`, text[0]) >= 0 {
		to.WriteByte(text[0])
		return 1, nil
	}
	if len(text) >= 2 {
		if raw, err := hex.DecodeString(text[:2]); err == nil {
			to.Write(raw)
			return 2, nil
		}
	}
	return 0, errDN
}
