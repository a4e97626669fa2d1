package svcauth

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
)

// The prefixes of ids. An id is a TypeID: a prefix, "_", and a UUIDv7 (RFC 9562
// §5.7) as 26 characters of Crockford's base32 in lower case.
const (
	PrefixOrganization   = "org"
	PrefixMember         = "mem"
	PrefixServiceAccount = "sa"
	PrefixApplicationKey = "ak"
	PrefixSecret         = "sec"
	PrefixRole           = "role"
	PrefixGrant          = "grt"
	PrefixEvent          = "evt"
)

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID returns a new id with the given prefix, one of the Prefix constants.
// Its first 48 bits are the time in milliseconds, so that ids sort by creation;
// the other 74 free bits come from crypto/rand.
func NewID(prefix string) string { return NewIDAt(prefix, time.Now()) }

// NewIDAt is like [NewID], with the time that the caller passes.
func NewIDAt(prefix string, at time.Time) string {
	var u [16]byte
	_, _ = rand.Read(u[6:]) // never fails: crypto/rand ends the program instead
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(u[:6], ms[2:])
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	hi, lo := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	var b strings.Builder
	b.Grow(len(prefix) + 27)
	b.WriteString(prefix)
	b.WriteByte('_')
	for shift := 125; shift >= 0; shift -= 5 { // 130 bits for 128: the two highest are zero
		var v uint64
		switch {
		case shift >= 64:
			v = hi >> (shift - 64)
		case shift > 59:
			v = lo>>shift | hi<<(64-shift)
		default:
			v = lo >> shift
		}
		b.WriteByte(crockford[v&31])
	}
	return b.String()
}

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
