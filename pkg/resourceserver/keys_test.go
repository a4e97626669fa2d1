package resourceserver

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
)

// keyServer is an issuer's metadata and JWKS over real TLS, that answers as a
// test says.
type keyServer struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc] // of the JWKS
	fetches atomic.Int64                     // of the JWKS
}

func newKeyServer(t *testing.T) *keyServer {
	k := &keyServer{}
	k.serve(http.NotFound)
	k.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/.well-known/oauth-authorization-server" {
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, k.URL, k.URL+"/jwks")
			return
		}
		k.fetches.Add(1)
		(*k.answer.Load())(w, r)
	}))
	k.Config.ErrorLog = log.New(io.Discard, "", 0) // answers that break off are meant to
	k.StartTLS()
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) serve(answer http.HandlerFunc) { k.answer.Store(&answer) }

// publish serves a JWKS of these signers' keys.
func (k *keyServer) publish(t *testing.T, signers ...*signer) {
	body := jwksOf(t, signers...)
	k.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

func jwksOf(t *testing.T, signers ...*signer) []byte {
	keys := []map[string]string{}
	for _, s := range signers {
		point, err := s.key.PublicKey.Bytes()
		require.NoError(t, err)
		keys = append(keys, map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": s.kid,
			"x": base64.RawURLEncoding.EncodeToString(point[1:33]),
			"y": base64.RawURLEncoding.EncodeToString(point[33:])})
	}
	body, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	return body
}

func (k *keyServer) verifier(t *testing.T, edit func(*Config)) *Verifier {
	return verifierOf(t, nil, func(c *Config) {
		c.Issuer, c.HTTPClient = k.URL, k.Client()
		if edit != nil {
			edit(c)
		}
	})
}

func (k *keyServer) token(t testing.TB, s *signer, jti string) string {
	return s.token(t, claims(time.Now(), map[string]any{"iss": k.URL, "jti": jti}), nil)
}

func status(err error) int {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Status
	}
	return 0
}

func TestTenThousandFirstRequestsFetchTheKeysOnce(t *testing.T) {
	k, s := newKeyServer(t), newSigner(t)
	body, all := jwksOf(t, s), make(chan struct{})
	k.serve(func(w http.ResponseWriter, _ *http.Request) {
		<-all // until everybody waits
		_, _ = w.Write(body)
	})
	v, token := k.verifier(t, nil), k.token(t, s, "t1")
	var waiting, done sync.WaitGroup
	var good atomic.Int64
	for range 10_000 {
		waiting.Add(1)
		done.Go(func() {
			waiting.Done()
			if _, err := v.Verify(t.Context(), token); err == nil {
				good.Add(1)
			}
		})
	}
	waiting.Wait()
	close(all)
	done.Wait()
	require.EqualValues(t, 10_000, good.Load())
	require.EqualValues(t, 1, k.fetches.Load())
}

// Invented key ids lead to one fetch per KeyCooldown, however many there are,
// and a rotated key is found at once.
func TestAnUnknownKidIsLookedForOnceACooldown(t *testing.T) {
	k, s, next := newKeyServer(t), newSigner(t), newSigner(t)
	next.kid = "k2"
	k.publish(t, s)
	var ahead atomic.Int64
	v := k.verifier(t, func(c *Config) {
		c.KeyRefresh, c.KeyCooldown = time.Hour, time.Minute
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	require.NoError(t, v.Ready(t.Context()))
	k.publish(t, s, next)
	_, err := v.Verify(t.Context(), k.token(t, next, "t2"))
	require.NoError(t, err, "a new key is found out of turn")
	require.EqualValues(t, 2, k.fetches.Load())
	for i := range 1000 {
		stranger := *s
		stranger.kid = fmt.Sprint("invented-", i)
		_, err = v.Verify(t.Context(), k.token(t, &stranger, "t3"))
		require.Equal(t, http.StatusUnauthorized, status(err))
	}
	require.EqualValues(t, 2, k.fetches.Load())
	ahead.Store(int64(2 * time.Minute))
	stranger := *s
	stranger.kid = "invented"
	for range 2 {
		_, err = v.Verify(t.Context(), k.token(t, &stranger, "t4"))
		require.Equal(t, http.StatusUnauthorized, status(err))
	}
	require.EqualValues(t, 3, k.fetches.Load())
}

func TestAWithdrawnKeyTakesItsTokensAlong(t *testing.T) {
	k, s, next := newKeyServer(t), newSigner(t), newSigner(t)
	next.kid = "k2"
	k.publish(t, s, next)
	v := k.verifier(t, func(c *Config) { c.KeyRefresh = 20 * time.Millisecond })
	old, young := k.token(t, s, "t1"), k.token(t, next, "t2")
	for _, token := range []string{old, young} {
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
	}
	k.publish(t, next)
	require.Eventually(t,
		func() bool { _, err := v.Verify(t.Context(), old); return status(err) == http.StatusUnauthorized },
		30*time.Second, 10*time.Millisecond)
	_, err := v.Verify(t.Context(), young)
	require.NoError(t, err)

	imposter := newSigner(t) // another key under the same id: the issuer's word on it is the last one
	imposter.kid = "k2"
	k.publish(t, imposter)
	require.Eventually(t,
		func() bool { _, err := v.Verify(t.Context(), young); return status(err) == http.StatusUnauthorized },
		30*time.Second, 10*time.Millisecond)
}

// A broken JWKS lets no token pass and makes no valid one fail: 503 if there
// never was a good set, otherwise the last good set is used.
func TestAJWKSThatIsNoGood(t *testing.T) {
	s := newSigner(t)
	text := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(body))
		}
	}
	good := string(jwksOf(t, s))
	const kind = "application/json"
	for name, bad := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) },
		"404 with keys": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(good))
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"slow in the body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(good[:20]))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte(good))
			panic(http.ErrAbortHandler)
		},
		"huge": text(kind, strings.TrimSuffix(good, "}")+strings.Repeat(" ", jwk.MaxSetSize)+"}"),
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			for filler := []byte(strings.Repeat(" ", 64<<10)); ; {
				if _, err := w.Write(filler); err != nil {
					return
				}
			}
		},
		"wrong type":    text("text/html", good),
		"no type":       text("", good),
		"no JSON":       text(kind, "<html>"),
		"JSON, no JWKS": text(kind, `[]`),
		"no keys":       text(kind, `{"keys":[]}`),
		"secret keys":   text(kind, `{"keys":[{"kty":"oct","kid":"k1","k":"AAAA","alg":"HS256"}]}`),
		"off the curve": text(kind, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","x":"`+strings.Repeat("A", 42)+
			`E","y":"`+strings.Repeat("A", 42)+`E"}]}`),
		"small RSA": text(kind, `{"keys":[{"kty":"RSA","kid":"k1","e":"AQAB","n":"`+
			strings.Repeat("_", 170)+`"}]}`),
		"too many keys": text(kind, `{"keys":[`+strings.TrimSuffix(strings.Repeat(`{"kty":"EC"},`, maxKeys+1), ",")+
			`]}`),
		"elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/moved", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyServer(t)
			patience := func(c *Config) { c.KeyRefresh, c.Timeout = 10*time.Millisecond, 500*time.Millisecond }
			k.serve(bad)
			v, token := k.verifier(t, patience), k.token(t, s, "t1")
			_, err := v.Verify(t.Context(), token)
			require.Equal(t, http.StatusServiceUnavailable, status(err), "%v", err)
			require.Error(t, v.missing())

			k.publish(t, s)
			require.Eventually(t, func() bool { _, err := v.Verify(t.Context(), token); return err == nil },
				30*time.Second, 10*time.Millisecond, "it recovers")
			k.serve(bad)
			before := k.fetches.Load()
			require.Eventually(t, func() bool { return k.fetches.Load() > before+1 }, 30*time.Second,
				10*time.Millisecond)
			_, err = v.Verify(t.Context(), k.token(t, s, "t2"))
			require.NoError(t, err, "the last good set counts")
		})
	}
}

func TestKeysComeFromATrustedServerOnly(t *testing.T) {
	k, s := newKeyServer(t), newSigner(t)
	k.publish(t, s)
	v := k.verifier(t,
		// does not know the test's authority
		func(c *Config) { c.HTTPClient = &http.Client{Transport: &http.Transport{}} })
	_, err := v.Verify(t.Context(), k.token(t, s, "t1"))
	require.Equal(t, http.StatusServiceUnavailable, status(err))
	require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
	require.Zero(t, k.fetches.Load())
}
