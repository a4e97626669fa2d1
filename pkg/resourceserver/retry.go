package resourceserver

import (
	"errors"
	"net/http"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
)

// feedBackoff is how long to wait after the feed could not be read.
var feedBackoff = httpx.Backoff{First: 200 * time.Millisecond, Most: retryAtMost}

// untilRetry returns how long to wait after so many failures in a row. An issuer
// that got too many requests knows best when it takes the next.
func untilRetry(failures int, err error) time.Duration {
	if wait := tooOften(err); wait > 0 {
		return httpx.Spread(wait)
	}
	return feedBackoff.Wait(failures, askedToWait(err))
}

// askedToWait returns how long the issuer has asked to wait.
func askedToWait(err error) time.Duration {
	var status *statusError
	if !errors.As(err, &status) {
		return 0
	}
	return min(status.retryAfter, retryAtMost)
}

// tooOften returns how long the issuer wants no request at all, because it got
// too many (RFC 6585 §4). It is 0 for any other answer.
func tooOften(err error) time.Duration {
	var status *statusError
	if !errors.As(err, &status) || status.status != http.StatusTooManyRequests {
		return 0
	}
	return askedToWait(err)
}
