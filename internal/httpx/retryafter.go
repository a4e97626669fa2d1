package httpx

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const retryAfter = "Retry-After"

// RetryAfter returns for how long an answer asks to be left alone, by either
// form of its header (RFC 9110 §10.2.3). It returns 0 if there is none that can
// be read, or if the moment has passed. A number too big to be counted is a
// long time rather than none.
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

// SetRetryAfter asks to be left alone for d, in whole seconds and never for
// less. It sets nothing if d is 0.
func SetRetryAfter(header http.Header, d time.Duration) {
	if d > 0 {
		header.Set(retryAfter, strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
	}
}
