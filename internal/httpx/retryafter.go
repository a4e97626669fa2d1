package httpx

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const retryAfter = "Retry-After"

// RetryAfter returns how long an answer asks to wait, in either form of the
// header (RFC 9110 §10.2.3). It returns 0 if the header is missing or can't be
// read, or if the time has passed. A number that overflows counts as the
// largest possible one.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get(retryAfter))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// SetRetryAfter asks the client to wait for d, rounded up to whole seconds. It
// sets nothing if d is 0.
func SetRetryAfter(header http.Header, d time.Duration) {
	if d > 0 {
		header.Set(retryAfter, strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
	}
}
