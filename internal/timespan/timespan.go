// Package timespan writes lengths of time for people, in errors, warnings and
// logs. Programs that read one another use the form of [time.Duration].
package timespan

import (
	"strings"
	"time"
)

// Text returns an exact length of time: 9h for what [time.Duration] calls
// 9h0m0s. [time.ParseDuration] reads it.
func Text(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
