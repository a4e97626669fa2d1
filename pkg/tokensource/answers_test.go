package tokensource

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestWhatIsRetriedAndWhatIsNot(t *testing.T) {
	cut := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"access_token":"half`))
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		again  bool
	}{
		"429": {plain(429, `{"error":"slow_down"}`), true}, "502": {plain(502, "<html>"), true},
		"503": {plain(503, ""), true}, "504": {plain(504, ""), true},
		"connection cut": {cut, true}, "cut in the body": {half, true},
		"429 that has passed": {plain(429, "", "Retry-After: Mon, 02 Jan 2006 15:04:05 GMT"), true},
		"400":                 {plain(400, `{"error":"invalid_scope"}`), false},
		"401":                 {plain(401, `{"error":"invalid_client"}`), false}, "403": {plain(403, ""), false},
		"404": {plain(404, ""), false}, "500": {plain(500, ""), false}, "501": {plain(501, ""), false},
		"201": {plain(201, `{"access_token":"x","token_type":"Bearer"}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t)
			e.next(c.answer)
			got, err := e.source(t).Token(soon(t))
			if c.again {
				require.NoError(t, err)
				require.Equal(t, "token-2", got.AccessToken)
				return
			}
			require.Error(t, err)
			require.Equal(t, 1, e.asked())
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	e := newEndpoint(t)
	for range 10 {
		e.next(plain(503, ""))
	}
	refused := failure(t, e.source(t, func(c *Config) { c.MaxRetries = 1 }))
	require.Equal(t, 2, refused.Attempts)
	require.Equal(t, 2, e.asked())
	require.Contains(t, refused.Error(), "503 Service Unavailable (after 2 attempts)")
	require.Equal(t, 1, failure(t, e.source(t, func(c *Config) { c.MaxRetries = -1 })).Attempts)
}

func TestErrorsAreTypedAndCarryTheServersWords(t *testing.T) {
	e := newEndpoint(t)
	e.next(plain(400, `{"error":"invalid_scope","error_description":"clusters:edit is not\ngranted"}`))
	refused := failure(t, e.source(t))
	require.Equal(t, Error{Status: 400, Code: "invalid_scope", Description: "clusters:edit is not granted",
		Attempts: 1, URL: e.URL + "/oauth2/token"}, *refused)
	require.Equal(t, "no token from "+e.URL+"/oauth2/token: 400 invalid_scope: clusters:edit is not granted",
		refused.Error())

	e.next(plain(400, `{"error":"x","error_description":"`+strings.Repeat("ü", 5000)+`"}`))
	require.LessOrEqual(t, len(failure(t, e.source(t)).Description), 520)
}

func TestNoErrorShowsASecretOrToken(t *testing.T) {
	e := newEndpoint(t)
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(e.id) + ":" + url.QueryEscape(e.secret)))
	echo := fmt.Sprintf(`{"error":%q,"error_description":"you sent %s and %s and %s"}`, e.secret, e.secret,
		url.QueryEscape(e.secret), basic)
	e.next(plain(401, echo), plain(401, echo),
		plain(200, `{"access_token":"tok-secret","token_type":"tok-secret"}`),
		plain(200, `{"access_token":"tok-secret\u0000","token_type":"Bearer"}`),
		plain(200, `{"access_token":1234567890,"token_type":"Bearer"}`), plain(200, `{"access_token":"tok-secret`))
	post := func(c *Config) { c.AuthStyle = Post }
	transport := func(err error) func(*Config) {
		return func(c *Config) {
			c.TokenURL, c.MaxRetries = e.URL+"/oauth2/token?key=in-the-query", -1
			c.HTTPClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return nil, err
			})}
		}
	}
	for _, s := range []*Source{e.source(t), e.source(t, post), e.source(t), e.source(t), e.source(t), e.source(t),
		e.source(t, transport(errors.New("could not send Authorization: Basic "+basic))),
		e.source(t, transport(fmt.Errorf("body %s, %s", e.secret, url.QueryEscape(e.secret))))} {
		_, err := s.Token(soon(t))
		require.Error(t, err)
		for ; err != nil; err = errors.Unwrap(err) {
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
				for _, hidden := range []string{e.secret, url.QueryEscape(e.secret), basic, "tok-secret", "123456789",
					"in-the-query"} {
					require.NotContains(t, text, hidden)
				}
			}
			require.NotErrorAs(t, err, new(*url.Error))
		}
	}
}

func TestUnusableAnswers(t *testing.T) {
	for want, body := range map[string]string{
		"not the JSON of a token":  "<html>sign in</html>",
		"no usable access_token":   `{"token_type":"Bearer"}`,
		"only Bearer can be used":  `{"access_token":"x","token_type":"DPoP","expires_in":60}`,
		"token_type is \"\"":       `{"access_token":"x","expires_in":60}`,
		"is longer than 256 KiB":   `{"access_token":"` + strings.Repeat("x", maxAnswer) + `","token_type":"Bearer"}`,
		"not the JSON of a token ": `{"access_token":"x","token_type":"Bearer"} trailing`,
	} {
		e := newEndpoint(t)
		e.next(plain(200, body))
		require.ErrorContains(t, failure(t, e.source(t)), want)
		require.Equal(t, 1, e.asked())
	}
	e := newEndpoint(t)
	e.next(plain(200, `{"access_token":"x","token_type":"bEARER","expires_in":60,"more":{}}`,
		"Content-Type: text/plain"))
	got, err := e.source(t).Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, "x", got.AccessToken)
}

func TestRedirectsGetNoCredential(t *testing.T) {
	reached := make(chan string, 10)
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.URL.String()
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		e := newEndpoint(t)
		e.next(plain(status, "", "Location: "+other.URL))
		refused := failure(t, e.source(t, func(c *Config) {
			c.HTTPClient.CheckRedirect = nil
			// the other server would be believed
			c.HTTPClient.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true
		}))
		require.Equal(t, status, refused.Status)
		require.ErrorContains(t, refused, "the server redirects")
		require.Equal(t, 1, e.asked())
	}
	require.Empty(t, reached)
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	e := newEndpoint(t)
	refused := failure(t, e.source(t, func(c *Config) { c.HTTPClient = nil }))
	var untrusted *tls.CertificateVerificationError
	require.ErrorAs(t, refused, &untrusted)
	require.Equal(t, 1, refused.Attempts)
	require.Zero(t, e.asked())
}

func TestServerThatNeverAnswers(t *testing.T) {
	e := newEndpoint(t)
	e.hold = make(chan struct{})
	defer close(e.hold)
	refused := failure(t,
		e.source(t,
			func(c *Config) { c.TokenURL, c.Timeout, c.MaxRetries = e.URL+"/oauth2/token", 50*time.Millisecond, 1 }))
	require.ErrorIs(t, refused, os.ErrDeadlineExceeded)
	require.Equal(t, 2, refused.Attempts)
	require.Zero(t, refused.Status)
}

func TestServerThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	s, err := New(Config{Issuer: address, ClientID: "sa", ClientSecret: svcauth.NewSecret(), MaxRetries: 1})
	require.NoError(t, err)
	defer s.Close()
	refused := failure(t, s)
	require.Equal(t, 2, refused.Attempts)
	var op *net.OpError
	require.ErrorAs(t, refused, &op)
	require.True(t,
		strings.HasPrefix(refused.Error(), "no token from "+address+"/.well-known/oauth-authorization-server: "),
		refused.Error())
}

func TestLifetimes(t *testing.T) {
	for _, c := range []struct {
		said any
		want time.Duration // 0: refused
	}{{3600, time.Hour}, {"3600", time.Hour}, {59.5, 59500 * time.Millisecond}, {nil, unknownLifetime},
		{1e300, maxLifetime}, {0, 0}, {-1, 0}, {"soon", 0}, {[]int{1}, 0}, {true, 0}} {
		e := newEndpoint(t)
		e.lifetime = c.said
		s := e.source(t)
		before := time.Now()
		got, err := s.Token(soon(t))
		if c.want == 0 {
			require.ErrorContains(t, err, "expires_in", "%v", c.said)
			continue
		}
		require.NoError(t, err)
		require.WithinRange(t, got.Expiry, before.Add(c.want-time.Second), time.Now().Add(c.want), "%v", c.said)
	}
}

func TestMistypedSecretIsToldFromAWrongOne(t *testing.T) {
	e := newEndpoint(t)
	secret := svcauth.NewSecret()
	wrong := e.source(t, func(c *Config) { c.ClientSecret = secret })
	require.NotContains(t, failure(t, wrong).Error(), "mistyped")
	typo := []byte(secret.Reveal())
	typo[10] ^= 1 // another letter or digit, save at the ends of their ranges
	for typo[10] < '0' || typo[10] > '9' && typo[10] < 'A' || typo[10] > 'Z' && typo[10] < 'a' || typo[10] > 'z' {
		typo[10] = 'k'
	}
	mistyped := e.source(t, func(c *Config) { c.ClientSecret = svcauth.Secret(typo) })
	refused := failure(t, mistyped)
	require.ErrorIs(t, refused, svcauth.ErrSecretChecksum)
	require.Equal(t, http.StatusUnauthorized, refused.Status)
	require.NotContains(t, refused.Error(), string(typo))
}
