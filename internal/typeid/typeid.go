// Package typeid makes TypeIDs: a prefix, "_", and a UUIDv7 (RFC 9562 §5.7) as
// 26 characters of Crockford's base32 in lower case. Which prefixes there are,
// and whether an id is valid, package svcauth says.
package typeid

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
)

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// New returns a new id with the given prefix, made at a time. Its first 48 bits
// are the time in milliseconds, so that ids sort by creation; the other 74 free
// bits come from crypto/rand.
func New(prefix string, at time.Time) string {
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
