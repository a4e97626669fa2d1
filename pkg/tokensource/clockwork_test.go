package tokensource

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// clockwork is a token endpoint inside a synctest bubble, without a network:
// time passes only when every goroutine waits.
type clockwork struct {
	mu       sync.Mutex
	at       []time.Duration // when it was asked, since the start
	start    time.Time
	lifetime int
	takes    time.Duration
	timeout  time.Duration
	status   int
	header   http.Header
}

func newClockwork() *clockwork {
	return &clockwork{start: time.Now(), lifetime: 3600, status: 200, header: http.Header{}}
}

func (c *clockwork) answer(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.at = append(c.at, time.Since(c.start))
	body := fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":%d}`, len(c.at), c.lifetime)
	takes, status, header := c.takes, c.status, c.header.Clone()
	c.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if status == 0 {
		return nil, errors.New("connection reset by peer")
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)),
		Request: r}, nil
}

func (c *clockwork) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.at)
}

func (c *clockwork) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *clockwork) source(t *testing.T) *Source {
	s, err := New(Config{TokenURL: "https://auth.example.com/token", ClientID: "sa", ClientSecret: "s",
		Timeout: c.timeout, HTTPClient: &http.Client{Transport: roundTrip(c.answer)}})
	require.NoError(t, err)
	return s
}
