package resourceserver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

const (
	testIssuer   = "https://auth.example"
	testAudience = "https://api.example"
)

// signer is an issuer's key, and a KeySource.
type signer struct {
	kid string
	key *ecdsa.PrivateKey
}

func newSigner(t testing.TB) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &signer{"k1", key}
}

func (s *signer) Key(_ context.Context, kid string) (string, crypto.PublicKey, error) {
	if kid != s.kid {
		return "", nil, ErrUnknownKey
	}
	return "ES256", &s.key.PublicKey, nil
}

// claims are those of a good token.
func claims(now time.Time, changes map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{"iss": testIssuer, "sub": "sa_1", "client_id": "sa_1", "aud": testAudience, "iat": now.Unix(),
		"exp": now.Add(time.Hour).Unix(), "jti": "t1",
		"scope": "clusters:view clusters:edit", "roles": []string{"Operator"}, "org_id": "org_1", "epoch": 1, "pol": 1,
		"cred": "sec_1"}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func (s *signer) token(t testing.TB, c jwt.MapClaims, header map[string]any) string {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header["typ"], token.Header["kid"] = "at+jwt", s.kid
	maps.Copy(token.Header, header)
	text, err := token.SignedString(s.key)
	require.NoError(t, err)
	return text
}

// issuer is a scripted issuer without a network, so that tests can make the
// clock jump.
type issuer struct {
	mu     sync.Mutex
	stream func(w io.Writer, ctx context.Context, lastID string) // nil: the feed is JSON only
	status int                                                   // of the feed; 0: 200
	page   string                                                // the answer to a poll
	// streamStatus is the status of the stream alone; 0: 200.
	streamStatus int
	ackDelay     time.Duration
	acks         []string
	acking       int
	ackingMax    int
	requests     []string // to the feed: "stream <Last-Event-ID>" or "poll <since>"
	times        []time.Time
	cut          func() // ends the stream
	active       bool   // what introspection says
	introspections,
	away int // away > 0: introspection fails
}

func (i *issuer) RoundTrip(req *http.Request) (*http.Response, error) {
	answer := func(status int, kind string, body io.ReadCloser) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: body,
			Request: req}, nil
	}
	text := func(status int, s string) (*http.Response, error) {
		return answer(status, "application/json", io.NopCloser(strings.NewReader(s)))
	}
	switch req.URL.Path {
	case "/.well-known/oauth-authorization-server":
		return text(200,
			fmt.Sprintf(`{"issuer":%q,"jwks_uri":"https://auth.example/jwks","introspection_endpoint":"https://auth.example/introspect","revocation_feed_endpoint":"https://auth.example/feed"}`, testIssuer))
	case "/introspect":
		i.mu.Lock()
		defer i.mu.Unlock()
		i.introspections++
		if i.away > 0 {
			return text(503, `{}`)
		}
		return text(200, fmt.Sprintf(`{"active":%v}`, i.active))
	case "/feed/ack":
		return i.ack(req, text)
	}
	i.mu.Lock()
	stream, status, page, streamStatus := i.stream, i.status, i.page, i.streamStatus
	wants := strings.Contains(req.Header.Get("Accept"), "text/event-stream")
	if wants {
		i.requests = append(i.requests, "stream "+req.Header.Get("Last-Event-ID"))
	} else {
		i.requests = append(i.requests, "poll "+req.URL.Query().Get("since"))
	}
	i.times = append(i.times, time.Now())
	i.mu.Unlock()
	switch {
	case status != 0:
		return text(status, `{}`)
	case wants && streamStatus != 0:
		return text(streamStatus, `{}`)
	case !wants || stream == nil:
		return text(200, page)
	}
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(req.Context())
	i.set(func() { i.cut = cancel })
	go func() {
		stream(w, ctx, req.Header.Get("Last-Event-ID"))
		_ = w.Close()
	}()
	context.AfterFunc(ctx, func() { _ = r.CloseWithError(ctx.Err()) })
	return answer(200, "text/event-stream", r)
}

func (i *issuer) ack(req *http.Request, text func(int, string) (*http.Response, error)) (*http.Response, error) {
	var said struct{ Cursor string }
	_ = json.NewDecoder(req.Body).Decode(&said)
	i.mu.Lock()
	i.acking++
	i.ackingMax = max(i.ackingMax, i.acking)
	i.acks = append(i.acks, said.Cursor)
	delay := i.ackDelay
	i.mu.Unlock()
	time.Sleep(delay)
	i.mu.Lock()
	i.acking--
	i.mu.Unlock()
	return text(200, `{}`)
}

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) asked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.requests...)
}

var discard = slog.New(slog.DiscardHandler)

// beats sends a snapshot if there is no cursor, then signs of life every 3 s
// until the reader is gone.
func beats(w io.Writer, ctx context.Context, lastID string) {
	if lastID == "" {
		_, _ = io.WriteString(w, "event: snapshot\nid: 1\ndata: {\"revocations\":[]}\n\n")
	}
	for {
		if _, err := io.WriteString(w, ": heartbeat\n\n"); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(3 * time.Second):
		}
	}
}

// following makes a verifier that follows the scripted issuer.
func following(t *testing.T, i *issuer, s *signer, edit func(*Config)) *Verifier {
	cfg := Config{Issuer: testIssuer, Audience: testAudience, Keys: s, HTTPClient: &http.Client{Transport: i},
		Feed: &Feed{Token: func(context.Context) (string, error) { return "bearer", nil }}}
	if edit != nil {
		edit(&cfg)
	}
	v, err := New(cfg)
	require.NoError(t, err)
	return v
}
