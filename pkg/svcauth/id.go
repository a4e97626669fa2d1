package svcauth

import (
	"time"

	"github.com/svcauth/svcauth/internal/typeid"
)

// The prefixes of ids. An id is a TypeID: a prefix, "_", and a UUIDv7 (RFC 9562
// §5.7) as 26 characters of Crockford's base32 in lower case.
const (
	PrefixOrganization   = "org"
	PrefixMember         = "mem"
	PrefixServiceAccount = "sa"
	PrefixApplicationKey = "ak"
	PrefixSecret         = "sec"
	PrefixKey            = "key" // a public key
	PrefixFederated      = "fed" // a federated credential
	PrefixCertificate    = "crt"
	PrefixRole           = "role"
	PrefixGrant          = "grt"
	PrefixEvent          = "evt"
	PrefixRequest        = "req" // the header X-Request-Id of each answer
)

// NewID returns a new id with the given prefix, one of the Prefix constants.
// Its first 48 bits are the time in milliseconds, so that ids sort by creation;
// the other 74 free bits come from crypto/rand.
func NewID(prefix string) string { return typeid.New(prefix, time.Now()) }

// ValidID reports whether s has the form of an id with the given prefix. Such
// an id need not exist.
func ValidID(prefix, s string) bool {
	if len(s) != len(prefix)+27 || s[:len(prefix)] != prefix || s[len(prefix)] != '_' || s[len(prefix)+1] > '7' {
		return false
	}
	for i := len(prefix) + 1; i < len(s); i++ {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u') {
			return false
		}
	}
	return true
}

// ValidClientID reports whether s has the form of a client_id: the id of a
// service account or of an application key.
func ValidClientID(s string) bool {
	return ValidID(PrefixServiceAccount, s) || ValidID(PrefixApplicationKey, s)
}
