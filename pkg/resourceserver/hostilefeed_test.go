package resourceserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/verify"
)

// TestHostileFeedCostsLittle has an issuer answer a poll with as much as a
// page might have held, in the form that is dearest to decode.
func TestHostileFeedCostsLittle(t *testing.T) {
	for name, size := range map[string]int{"a long page": 64 << 20, "as long as a page may be": maxPageSize - 100} {
		t.Run(name, func(t *testing.T) {
			body := `{"cursor":"1","revocations":[` + strings.Repeat(`{},`, size/3) + `{}]}`
			f := polling(t, func(int) string { return body })
			before, most := allocated(), new(atomic.Uint64)
			done := make(chan struct{})
			go watchHeap(done, most)
			err := f.poll(t.Context())
			close(done)
			t.Logf("%v; %.0f MB allocated, heap at most %.0f MB", err, float64(allocated()-before)/1e6,
				float64(most.Load())/1e6)
			require.Error(t, err)
			require.Less(t, allocated()-before, uint64(8*maxPageSize), "bytes allocated in all, for one page")
			require.Zero(t, f.cfg.revocations.Len())
		})
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func watchHeap(done chan struct{}, most *atomic.Uint64) {
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most.Store(max(most.Load(), m.HeapInuse))
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// pages answers the n-th question, counted from 1.
type pages func(n int) string

type answering struct {
	asked *atomic.Int64
	pages
}

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	body := a.pages(int(a.asked.Add(1)))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func polling(t *testing.T, p pages) *subscriber {
	t.Helper()
	return pollingCounted(t, p, new(atomic.Int64))
}

func pollingCounted(t *testing.T, p pages, asked *atomic.Int64) *subscriber {
	t.Helper()
	cfg, err := Config{Issuer: testIssuer, Audience: testAudience, revocations: verify.NewRevocationSet(),
		Feed: &Feed{Token: func(context.Context) (string, error) { return "bearer", nil }}}.withDefaults()
	require.NoError(t, err)
	fetch := newFetcher(&http.Client{Transport: answering{asked, p}}, cfg.Timeout)
	disc := newDiscovery(cfg.Issuer, fetch, cfg.Clock)
	disc.last = &metadata{RevocationFeed: testIssuer + "/oauth2/revocations", fetched: time.Now(),
		notBefore: time.Now().Add(time.Hour)}
	return newSubscriber(cfg, fetch, disc, func() {})
}

// TestEndlessPagesEnd says that no reading goes on for ever, and that what was
// held stays as it was.
func TestEndlessPagesEnd(t *testing.T) {
	for name, c := range map[string]struct {
		page pages
		most int64
	}{
		"the same cursor": {func(int) string { return `{"cursor":"7","more":true,"revocations":[]}` }, 2},
		"pages without entry": {func(n int) string {
			return fmt.Sprintf(`{"cursor":"%d","more":true,"revocations":[]}`,
				n)
		}, maxEmptyPages + 1},
		"begins anew each time": {func(n int) string {
			return fmt.Sprintf(`{"cursor":"%d","more":true,"snapshot":true,"revocations":[{"jti":"t%d","exp":9}]}`,
				n, n)
		}, 4},
		"entries without end": {func(n int) string {
			return fmt.Sprintf(`{"cursor":"%d","more":true,"revocations":[%s{"jti":"x","exp":9}]}`,
				n, strings.Repeat(`{"org_id":"o","role":"`+strings.Repeat("r", 1000)+`","min_pol":1,"exp":9},`, 5000))
		}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			asked := new(atomic.Int64)
			f := pollingCounted(t, c.page, asked)
			f.cfg.Feed.MaxMemory = 16 << 20
			require.Error(t, f.poll(t.Context()))
			require.LessOrEqual(t, asked.Load(), c.most)
			require.Zero(t, f.cfg.revocations.Len())
			require.True(t, f.stale())
		})
	}
}

// TestHTTPSStaysHTTPS says that no metadata of an https issuer leads to an
// endpoint in clear, and that no redirect does.
func TestHTTPSStaysHTTPS(t *testing.T) {
	for _, endpoint := range []string{"http://localhost:1/x", "http://127.0.0.1/x", "http://auth.example/x",
		"//auth.example/x"} {
		for _, name := range []string{"jwks_uri", "introspection_endpoint", "revocation_feed_endpoint"} {
			body := fmt.Sprintf(`{"issuer":%q,"jwks_uri":"https://auth.example/jwks",%q:%q}`, testIssuer,
				name, endpoint)
			d := newDiscovery(testIssuer,
				newFetcher(&http.Client{Transport: answering{new(atomic.Int64), func(int) string { return body }}},
					time.Second), time.Now)
			_, err := d.get(t.Context(), false)
			require.ErrorContains(t, err, name)
			require.ErrorContains(t, err, "expected https")
		}
	}
}

// TestCursorsThatCanNotBeSentBackAreRefused says that a feed can't make its own
// next request impossible.
func TestCursorsThatCanNotBeSentBackAreRefused(t *testing.T) {
	for _, cursor := range []string{"", "1\n", "ü", "\x00", strings.Repeat("1", maxCursorSize+1)} {
		f := polling(t, func(int) string {
			return fmt.Sprintf(`{"cursor":%s,"snapshot":true,"revocations":[]}`, strconv.QuoteToASCII(cursor))
		})
		require.Error(t, f.poll(t.Context()), "%q", cursor)
		s := newStreaming(verify.NewRevocationSet())
		require.Error(t, s.apply(event{name: "snapshot", id: cursor, data: []byte(`{"revocations":[]}`)}, true), "%q",
			cursor)
		if cursor != "" {
			s.subscriber.cursor = "5"
			require.Error(t, s.apply(event{id: cursor, alive: true}, true), "%q", cursor)
			require.Equal(t, "5", s.subscriber.cursor)
		}
	}
}

// TestAFullSetIsReadAnew says what becomes of a feed whose entries add up: what
// has expired meanwhile makes room, and what is too much is refused.
func TestAFullSetIsReadAnew(t *testing.T) {
	f := polling(t, func(n int) string {
		return fmt.Sprintf(`{"cursor":"%d","snapshot":%v,"revocations":[{"jti":"a%d","exp":9},{"jti":"b%d","exp":9}]}`,
			n, n == 1 || n == 4, n, n)
	})
	f.cfg.Feed.MaxMemory = 5 * tokenWeight
	require.NoError(t, f.poll(t.Context()))
	require.NoError(t, f.poll(t.Context()))
	require.ErrorContains(t, f.poll(t.Context()), "MaxMemory")
	require.Empty(t, f.cursor)
	require.Equal(t, 4, f.cfg.revocations.Len())
	require.NoError(t, f.poll(t.Context()))
	require.Equal(t, 2, f.cfg.revocations.Len())
	require.Equal(t, "4", f.cursor)

	s := newStreaming(verify.NewRevocationSet())
	s.cfg.Feed.MaxMemory = 2 * tokenWeight
	require.NoError(t, s.apply(event{name: "snapshot", id: "1", data: []byte(`{"revocations":[{"jti":"a"}]}`)}, true))
	require.NoError(t, s.apply(event{name: "revocation", id: "2", data: []byte(`{"jti":"b"}`)}, true))
	require.Error(t, s.apply(event{name: "revocation", id: "3", data: []byte(`{"jti":"c"}`)}, true))
	require.Empty(t, s.subscriber.cursor)
	require.Error(t,
		s.apply(event{name: "snapshot", id: "1", data: []byte(`{"revocations":[{"jti":"a"},{"jti":"b"},{"jti":"c"}]}`)},
			true))
	require.Equal(t, 2, s.cfg.revocations.Len(), "what was held is in force")
}
