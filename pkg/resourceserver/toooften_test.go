package resourceserver

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// busy is an issuer that refuses some requests to its feed: 429, with the
// seconds to wait.
type busy struct {
	http.RoundTripper
	refuses func(req *http.Request) bool
	told    atomic.Int64 // until when to wait, as Unix nanoseconds
	early   atomic.Int64 // requests that came before
	refused atomic.Int64
}

func (b *busy) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.URL.Path, "/feed") {
		return b.RoundTripper.RoundTrip(req)
	}
	if time.Now().UnixNano() < b.told.Load() {
		b.early.Add(1)
	}
	if !b.refuses(req) {
		return b.RoundTripper.RoundTrip(req)
	}
	b.refused.Add(1)
	b.told.Store(time.Now().Add(7 * time.Second).UnixNano())
	return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"7"}},
		Body: http.NoBody, Request: req}, nil
}

// TestWhoAskedTooOftenWaitsAsLongAsToldAndLosesNothing says so of the stream,
// of polls and of receipts.
func TestWhoAskedTooOftenWaitsAsLongAsToldAndLosesNothing(t *testing.T) {
	page := `{"cursor":"7","snapshot":true,"revocations":[{"jti":"t1","exp":99999999999}]}`
	for name, poll := range map[string]bool{"stream": false, "poll": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, s := &issuer{page: page}, newSigner(t)
				if !poll {
					i.stream = beats
				}
				var asked atomic.Int64
				b := &busy{RoundTripper: i, refuses: func(*http.Request) bool { return asked.Add(1) == 1 }}
				v := following(t, i, s, func(c *Config) { c.Feed.Poll, c.HTTPClient.Transport = poll, b })
				defer v.Close()
				time.Sleep(11 * time.Second)
				require.EqualValues(t, 1, b.refused.Load())
				require.Zero(t, b.early.Load())
				require.False(t, v.feed.stale())
				_, err := v.Verify(t.Context(), s.token(t, claims(time.Now(), nil), nil))
				require.ErrorIs(t, err, ErrRevoked)
			})
		})
	}
	t.Run("receipt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			i, s := &issuer{stream: beats}, newSigner(t)
			b := &busy{RoundTripper: i}
			var acks atomic.Int64
			b.refuses = func(req *http.Request) bool {
				return strings.HasSuffix(req.URL.Path, "/ack") &&
					acks.Add(1) <= 2
			}
			v := following(t, i, s, func(c *Config) { c.HTTPClient.Transport = b })
			defer v.Close()
			time.Sleep(30 * time.Second)
			require.EqualValues(t, 3, acks.Load(), "it is said at last")
			require.Zero(t, b.early.Load())
			require.False(t, v.feed.stale())
		})
	})
}

// TestAReadingThatHasBegunGoesOnAfterARefusal has each page but the first
// refused once.
func TestAReadingThatHasBegunGoesOnAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{}, newSigner(t)
		seen := map[string]bool{}
		b := &busy{RoundTripper: paged{i}, refuses: func(req *http.Request) bool {
			since := req.URL.Query().Get("since")
			was := seen[since]
			seen[since] = true
			return req.Method == http.MethodGet && since != "" && !was
		}}
		v := following(t, i, s, func(c *Config) { c.Feed.Poll, c.HTTPClient.Transport = true, b })
		defer v.Close()
		time.Sleep(21 * time.Second)
		require.Equal(t, []string{"poll ", "poll 1", "poll 2"}, i.asked()[:3])
		require.EqualValues(t, 3, v.cfg.revocations.Len())
		require.Zero(t, b.early.Load())
		require.False(t, v.feed.stale())
	})
}

// TestAReadingThatIsAlwaysRefusedEnds says that it does not wait for ever.
func TestAReadingThatIsAlwaysRefusedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{}, newSigner(t)
		b := &busy{RoundTripper: paged{i},
			refuses: func(req *http.Request) bool { return req.URL.Query().Get("since") == "2" }}
		v := following(t, i, s, func(c *Config) { c.Feed.Poll, c.HTTPClient.Transport = true, b })
		defer v.Close()
		time.Sleep(refusedInARow*11*time.Second + time.Minute)
		require.Error(t, v.feed.lastError())
		require.Zero(t, v.cfg.revocations.Len(), "a part of a snapshot is none")
		require.Zero(t, b.early.Load())
	})
}

// TestWhoAskedTooOftenComesBackWhenToldTo has many refusals in a row: a longer
// wait of one's own would leave all turns to whoever asks more often.
func TestWhoAskedTooOftenComesBackWhenToldTo(t *testing.T) {
	tooMany := &statusError{status: http.StatusTooManyRequests, retryAfter: time.Second}
	require.LessOrEqual(t, untilRetry(10, tooMany), 1500*time.Millisecond)
	require.GreaterOrEqual(t, untilRetry(1, tooMany), time.Second)
	away := &statusError{status: http.StatusServiceUnavailable, retryAfter: time.Second}
	require.GreaterOrEqual(t, untilRetry(10, away), retryAtMost/2, "an issuer that is away is left alone for longer")
}
