package tokensource

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binding is a token endpoint that wants a nonce, and answers with a token of a
// type.
type binding struct {
	*httptest.Server
	kind    string
	nonce   string // empty: it wants none, and gives none
	calls   atomic.Int32
	proofs  atomic.Int32 // with the nonce
	nothing bool         // asks for a nonce and gives none
}

func newBinding(t *testing.T, b *binding) *Source {
	t.Helper()
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.calls.Add(1)
		if b.nonce != "" && !b.nothing {
			w.Header().Set("DPoP-Nonce", b.nonce)
		}
		w.Header().Set("Content-Type", "application/json")
		if b.nonce != "" && !strings.Contains(payloadOf(r.Header.Get("DPoP")), `"nonce":"`+b.nonce+`"`) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
			return
		}
		b.proofs.Add(1)
		_, _ = fmt.Fprintf(w, `{"access_token":"t","token_type":"%s","expires_in":60}`, b.kind)
	}))
	t.Cleanup(b.Close)
	s, err := New(Config{TokenURL: b.URL, ClientID: "c", ClientSecret: "a-long-secret", DPoP: true, MaxRetries: -1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// payloadOf returns the claims of a JWS, or nothing.
func payloadOf(text string) string {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return string(payload)
}

// A nonce is asked for once, and the newest is used from then on (RFC 9449 §8).
func TestTheTokenEndpointWantsANonce(t *testing.T) {
	b := &binding{kind: "dpop", nonce: "n-1"}
	s := newBinding(t, b)
	token, err := s.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "DPoP", token.TokenType)
	require.EqualValues(t, 2, b.calls.Load())
	s.Drop(token.AccessToken)
	_, err = s.Token(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, b.calls.Load(), "with the nonce at once")
	require.EqualValues(t, 2, b.proofs.Load())
}

// Of a server that binds no tokens, or asks for what it does not give, there is
// no token and no loop.
func TestAServerThatBindsNoTokens(t *testing.T) {
	for want, b := range map[string]*binding{
		"switch DPoP off": {kind: "Bearer"},
		"use_dpop_nonce":  {kind: "DPoP", nonce: "n-1", nothing: true},
	} {
		_, err := newBinding(t, b).Token(t.Context())
		require.ErrorContains(t, err, want)
		require.EqualValues(t, 1, b.calls.Load())
	}
	stubborn := &binding{kind: "DPoP", nonce: strings.Repeat("n", maxNonce+1)}
	_, err := newBinding(t, stubborn).Token(t.Context())
	require.ErrorContains(t, err, "use_dpop_nonce")
	require.EqualValues(t, 1, stubborn.calls.Load(), "nobody gives such a nonce")
}

// Of an API's refusals (RFC 9449 §7.1, §9), those of the proof cost a new proof
// and no new token, and each token has its try with a nonce.
func TestAnAPIThatRefusesProofs(t *testing.T) {
	var issued atomic.Int32
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"t-%d","token_type":"DPoP","expires_in":60}`, issued.Add(1))
	}))
	defer as.Close()
	for _, c := range []struct {
		name    string
		answers []string // errors of the API, one a request; "" is 200
		calls   []string // the tokens of the requests
	}{
		{"a nonce that is too old, and a token that is revoked",
			[]string{"invalid_token", codeUseNonce, ""}, []string{"t-1", "t-2", "t-2"}},
		{"the other way round", []string{codeUseNonce, "invalid_token", ""}, []string{"t-1", "t-1", "t-2"}},
		{"a proof that a proxy has sent twice", []string{"invalid_dpop_proof", ""}, []string{"t-1", "t-1"}},
		{"a URL that the API does not know as its own", []string{"invalid_dpop_proof", "invalid_dpop_proof"},
			[]string{"t-1", "t-1"}},
		{"no end of it", []string{codeUseNonce, codeUseNonce}, []string{"t-1", "t-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			issued.Store(0)
			var calls []string
			proofs := map[string]bool{}
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP "))
				proofs[r.Header.Get("DPoP")] = true
				body, _ := io.ReadAll(r.Body)
				if string(body) != "x" {
					w.WriteHeader(http.StatusTeapot)
				} else if answer := c.answers[len(calls)-1]; answer != "" {
					w.Header().Set("DPoP-Nonce", "n")
					w.Header().Set("WWW-Authenticate", `DPoP error="`+answer+`"`)
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			defer api.Close()
			s, err := New(Config{TokenURL: as.URL, ClientID: "c", ClientSecret: "a-long-secret", DPoP: true})
			require.NoError(t, err)
			defer s.Close()
			client := &http.Client{Transport: s.Transport(nil)}
			res, err := client.Post(api.URL, "text/plain", strings.NewReader("x"))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, c.calls, calls)
			require.Len(t, proofs, len(calls), "each request has a proof of its own")
			refused := c.answers[len(c.answers)-1] != ""
			require.Equal(t, refused, res.StatusCode == http.StatusUnauthorized)
			token, err := s.Token(t.Context())
			require.NoError(t, err)
			require.Equal(t, calls[len(calls)-1], token.AccessToken, "a token that was not refused is kept")
		})
	}
}

// A proof is for the URL that the server sees (RFC 9449 §4.2).
func TestAProofIsForWhatTheServerSees(t *testing.T) {
	b, err := newBinder(time.Now)
	require.NoError(t, err)
	for url, htu := range map[string]string{
		"https://api.example/a%2Fb?x=y#z":    "https://api.example/a%2Fb",
		"https://u:password@api.example/a":   "https://api.example/a",
		"https://[2001:db8::1]:8443//a/../b": "https://[2001:db8::1]:8443//a/../b",
	} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		require.NoError(t, err)
		require.NoError(t, b.prove(req, "t"))
		require.Contains(t, payloadOf(req.Header.Get("DPoP")), `"htu":"`+htu+`"`)
	}
	req, err := http.NewRequest(http.MethodGet, "https://192.0.2.1/a", nil)
	require.NoError(t, err)
	req.Host = "api.example"
	require.NoError(t, b.prove(req, "t"))
	require.Contains(t, payloadOf(req.Header.Get("DPoP")), `"htu":"https://api.example/a"`)
}

// What is remembered of nonces is bounded.
func TestNoncesAreBounded(t *testing.T) {
	b, err := newBinder(nil)
	require.NoError(t, err)
	for i := range 3 * maxNonces {
		req := httptest.NewRequest(http.MethodGet, fmt.Sprintf("https://api-%d.example/x", i), nil)
		require.True(t, b.note(req.URL, http.Header{"Dpop-Nonce": {"n"}}))
		require.LessOrEqual(t, len(b.nonces), maxNonces)
	}
}

// TestLoadDPoP: the one switch, from an option, the environment or a profile.
func TestLoadDPoP(t *testing.T) {
	variables := map[string]string{"SVCAUTH_URL": "https://auth.example.com", "SVCAUTH_CLIENT_ID": "c",
		"SVCAUTH_CLIENT_SECRET": "s"}
	load := func(variable, option string) (Config, error) {
		config, _, err := Load(LoadOptions{DPoP: option, Getenv: func(name string) string {
			if name == "SVCAUTH_DPOP" {
				return variable
			}
			return variables[name]
		}})
		return config, err
	}
	for _, c := range []struct {
		variable, option string
		want             bool
	}{{"", "", false}, {"true", "", true}, {"false", "", false}, {"true", "false", false}, {"false", "true", true}} {
		config, err := load(c.variable, c.option)
		require.NoError(t, err)
		require.Equal(t, c.want, config.DPoP, c)
	}
	_, err := load("yes", "")
	require.ErrorContains(t, err, "dpop (from environment SVCAUTH_DPOP) is neither true nor false")
}
