package httpx

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetryAfterIsRead(t *testing.T) {
	now := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "86400": 24 * time.Hour,
		"99999999999999999999": math.MaxInt32 * time.Second, "4294967296": math.MaxInt32 * time.Second,
		"-5": 0, "+5": 0, "1.5": 0, "5s": 0, "soon": 0,
		"Thu, 31 Jan 2030 12:00:20 GMT":     20 * time.Second,
		"Thursday, 31-Jan-30 12:00:20 GMT":  20 * time.Second, // RFC 9110 §5.6.7: the obsolete forms too
		"Thu Jan 31 12:00:20 2030":          20 * time.Second,
		"Thu, 31 Jan 2030 11:59:00 GMT":     0,
		"Thu, 31 Jan 2030 12:00:20 +0100 x": 0,
	} {
		require.Equal(t, want, RetryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
	require.Zero(t, RetryAfter(http.Header{}, now))
}

func TestRetryAfterIsWritten(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "", 0: "", 1: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Minute: "5400",
	} {
		h := http.Header{}
		SetRetryAfter(h, d)
		require.Equal(t, want, h.Get("Retry-After"), d)
		require.Equal(t, want != "", RetryAfter(h, time.Now()) >= d && d > 0, d)
	}
}
