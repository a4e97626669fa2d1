package typeid

import (
	"strings"
	"time"
)

// timeDigits is how many characters of an id hold its 48 bits of time: 5 bits
// each, of which the first 2 are zero.
const timeDigits = 10

// Time returns when an id was made, to the millisecond. It returns the zero
// time for a text that has not the form of an id.
func Time(id string) time.Time {
	_, digits, _ := strings.Cut(id, "_")
	if len(digits) != 26 {
		return time.Time{}
	}
	var ms int64
	for _, c := range digits[:timeDigits] {
		v := strings.IndexRune(crockford, c)
		if v < 0 {
			return time.Time{}
		}
		ms = ms<<5 | int64(v)
	}
	return time.UnixMilli(ms).UTC()
}
