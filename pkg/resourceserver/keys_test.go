package resourceserver

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keyServer is an issuer over TLS with a private CA whose key set can be changed and broken.
type keyServer struct {
	*httptest.Server
	fetches atomic.Int64
	mu      sync.Mutex
	signers []*signer
	answer  http.HandlerFunc // instead of the key set; nil: the key set
}

func newKeyServer(t *testing.T, signers ...*signer) *keyServer {
	k := &keyServer{signers: signers}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, k.URL, k.URL+"/jwks")
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		k.fetches.Add(1)
		k.mu.Lock()
		answer, body := k.answer, k.jwks(t)
		k.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	})
	k.Server = httptest.NewTLSServer(mux)
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) jwks(t *testing.T) string {
	var keys []string
	for _, s := range k.signers {
		point, err := s.key.PublicKey.Bytes()
		require.NoError(t, err)
		enc := base64.RawURLEncoding.EncodeToString
		keys = append(keys, fmt.Sprintf(`{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":%q,"x":%q,"y":%q}`, s.kid, enc(point[1:33]), enc(point[33:])))
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

func (k *keyServer) set(answer http.HandlerFunc, signers ...*signer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answer, k.signers = answer, signers
}

func (k *keyServer) verifier(t *testing.T, edit func(*Config)) *Verifier {
	cfg := Config{Issuer: k.URL, Audience: testAudience, HTTPClient: k.Client()}
	if edit != nil {
		edit(&cfg)
	}
	v, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func (k *keyServer) token(t *testing.T, s *signer) string {
	return s.token(t, claims(time.Now(), map[string]any{"iss": k.URL}), nil)
}

func named(t *testing.T, kid string) *signer {
	s := newSigner(t)
	s.kid = kid
	return s
}

func TestTenThousandFirstRequestsShareOneFetch(t *testing.T) {
	one := named(t, "one")
	k := newKeyServer(t, one)
	v := k.verifier(t, nil)
	token := k.token(t, one)
	var all sync.WaitGroup
	var failed atomic.Int64
	for range 10_000 {
		all.Go(func() {
			if _, err := v.Verify(t.Context(), token); err != nil {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	require.Zero(t, failed.Load())
	require.EqualValues(t, 1, k.fetches.Load())
}

func TestANewKeyIsFetchedOutOfTurnAndAFloodOfUnknownOnesIsNot(t *testing.T) {
	one, two, evil := named(t, "one"), named(t, "two"), named(t, "evil")
	k := newKeyServer(t, one)
	v := k.verifier(t, nil)
	_, err := v.Verify(t.Context(), k.token(t, one))
	require.NoError(t, err)
	k.set(nil, one, two)
	_, err = v.Verify(t.Context(), k.token(t, two))
	require.NoError(t, err, "rotated: the new key is found at once")
	before := k.fetches.Load()
	for range 1000 {
		_, err = v.Verify(t.Context(), k.token(t, evil))
		require.Error(t, err)
	}
	require.Equal(t, before, k.fetches.Load(), "within the cool-down nobody makes us fetch again")
}

func TestAWithdrawnKeyTakesRememberedTokensAlong(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	k := newKeyServer(t, one)
	v := k.verifier(t, func(c *Config) { c.KeyRefresh = 50 * time.Millisecond })
	token := k.token(t, one)
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	k.set(nil, two)
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), token)
		return err != nil
	}, 20*time.Second, 10*time.Millisecond)
	impostor := named(t, "two") // the same name, another key
	_, err = v.Verify(t.Context(), k.token(t, impostor))
	require.Error(t, err)
}

func TestBrokenKeySets(t *testing.T) {
	kind := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, broken := range map[string]http.HandlerFunc{
		"500":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"404":         http.NotFound,
		"slow":        func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"huge":        kind("application/json", `{"keys":[],"x":"`+strings.Repeat("x", 2<<20)+`"}`),
		"wrong type":  kind("text/html", `{"keys":[]}`),
		"no JSON":     kind("application/json", `<html>`),
		"no keys":     kind("application/json", `{}`),
		"redirection": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := named(t, "one")
			k := newKeyServer(t, one)
			short := func(c *Config) { c.FetchTimeout, c.KeyRefresh = 200*time.Millisecond, 50*time.Millisecond }
			had := k.verifier(t, short)
			token := k.token(t, one)
			require.Eventually(t, func() bool { _, err := had.Verify(t.Context(), token); return err == nil }, 20*time.Second, 10*time.Millisecond)
			k.set(broken, one)
			before := k.fetches.Load()
			require.Eventually(t, func() bool { return k.fetches.Load() > before+1 }, 20*time.Second, 10*time.Millisecond)
			_, err := had.Verify(t.Context(), token)
			require.NoError(t, err, "the last good set is kept")

			first := k.verifier(t, short)
			_, err = first.Verify(t.Context(), token)
			var refusal *Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, 503, refusal.Status, "without any keys it is not the token's fault: %v", err)
			require.NotZero(t, refusal.RetryAfter)
			k.set(nil, one)
			require.Eventually(t, func() bool { _, err := first.Verify(t.Context(), token); return err == nil }, 20*time.Second, 20*time.Millisecond)
		})
	}
}
