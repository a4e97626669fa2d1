package redisproofs_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/ginauth"
	"github.com/svcauth/svcauth/pkg/resourceserver/redisproofs"
)

const (
	audience = "https://api.example"
	patience = 30 * time.Second
)

// caller has a token that is bound to its key.
type caller struct {
	*possession.Maker
	t      *testing.T
	issuer ed25519.PrivateKey
	token  string
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	_, issuer, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, own, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	maker, err := possession.NewMaker(own, "")
	require.NoError(t, err)
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"iss": "https://auth.example", "sub": "sa_1",
		"client_id": "sa_1", "aud": audience, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "t",
		"scope": "clusters:view", "cnf": map[string]any{"jkt": maker.Thumbprint()}})
	token.Header["typ"] = "at+jwt"
	text, err := token.SignedString(issuer)
	require.NoError(t, err)
	return &caller{maker, t, issuer, text}
}

// Key implements [resourceserver.KeySource].
func (c *caller) Key(context.Context, string) (string, crypto.PublicKey, error) {
	return "EdDSA", c.issuer.Public(), nil
}

func (c *caller) proof() string {
	text, err := c.Make(possession.Of{Method: "GET", URL: audience + "/clusters", Token: c.token, Now: time.Now()})
	require.NoError(c.t, err)
	return text
}

// instance is one of an API, which says what it logs.
type instance struct {
	http.Handler
	log bytes.Buffer
}

// instance returns one with a memory; with Gin, or with net/http.
func (c *caller) instance(server *redistest.Server, withGin bool) *instance {
	c.t.Helper()
	proofs, err := redisproofs.New(redisproofs.Config{URL: server.URL()})
	require.NoError(c.t, err)
	i := &instance{}
	v, err := resourceserver.New(resourceserver.Config{Issuer: "https://auth.example", Audience: audience, Keys: c,
		SharedProofs: proofs, Logger: slog.New(slog.NewTextHandler(&i.log, nil))})
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _, _ = v.Close(), proofs.Close() })
	if !withGin {
		i.Handler = v.Require("clusters:view")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		return i
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET("/clusters", ginauth.Require(v, "clusters:view"), func(*gin.Context) {})
	i.Handler = router
	return i
}

func (c *caller) ask(at http.Handler, proof string) int {
	req := httptest.NewRequest(http.MethodGet, "/clusters", nil)
	req.Header.Set("Authorization", "DPoP "+c.token)
	req.Header.Set("DPoP", proof)
	w := httptest.NewRecorder()
	at.ServeHTTP(w, req)
	return w.Code
}

// RFC 9449 §11.1 over instances: of all requests with one proof, whichever
// instance they are sent to, one passes; nor does it pass after a restart.
func TestOneProofPassesOnceOverInstances(t *testing.T) {
	server, c := redistest.Start(t), newCaller(t)
	one, two := c.instance(server, false), c.instance(server, true)
	for range 50 {
		proof := c.proof()
		var passed atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if c.ask([]http.Handler{one, two}[i%2], proof) == http.StatusOK {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, passed.Load())
	}
	used := c.proof()
	require.Equal(t, http.StatusOK, c.ask(one, used))
	require.Equal(t, http.StatusUnauthorized, c.ask(c.instance(server, false), used), "one that was started anew")

	keys := strings.Fields(server.Must("KEYS", "*"))
	require.Len(t, keys, 51)
	for _, key := range keys {
		require.True(t, strings.HasPrefix(key, redisproofs.DefaultPrefix), key)
		require.NotContains(t, key, c.Thumbprint())
		left, err := time.ParseDuration(server.Must("PTTL", key) + "ms")
		require.NoError(t, err)
		require.Positive(t, left)
		require.LessOrEqual(t, left, 2*time.Minute)
	}
}

// While Redis is gone, or hangs, each instance goes by its own memory, nobody
// waits long, and the log says it once. When it is back, it counts again.
func TestProofsWithoutRedis(t *testing.T) {
	server, c := redistest.Start(t), newCaller(t)
	one, two := c.instance(server, false), c.instance(server, true)
	for name, change := range map[string][2]func(){
		"gone":  {server.Kill, server.Start},
		"hangs": {server.Pause, server.Resume},
	} {
		t.Run(name, func(t *testing.T) {
			one.log.Reset()
			change[0]()
			began := time.Now()
			for range 20 {
				proof := c.proof()
				require.Equal(t, http.StatusOK, c.ask(one, proof))
				require.Equal(t, http.StatusUnauthorized, c.ask(one, proof))
				require.Equal(t, http.StatusOK, c.ask(two, proof), "it has a memory of its own")
				require.Equal(t, http.StatusUnauthorized, c.ask(two, proof))
			}
			require.Less(t, time.Since(began), 10*time.Second, "80 requests that each waited")
			require.Equal(t, 1, strings.Count(one.log.String(), "is of no help"), one.log.String())
			change[1]()
			require.Eventually(t, func() bool {
				proof := c.proof()
				return c.ask(one, proof) == http.StatusOK && c.ask(two, proof) == http.StatusUnauthorized
			}, patience, 50*time.Millisecond)
			require.Equal(t, 1, strings.Count(one.log.String(), "is back"), one.log.String())
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for _, c := range []struct {
		cfg  redisproofs.Config
		says string
	}{
		{redisproofs.Config{}, "expected one of them"},
		{redisproofs.Config{Client: client, URL: "redis://127.0.0.1:1"}, "both"},
		{redisproofs.Config{Client: client}, "ContextTimeoutEnabled"},
		{redisproofs.Config{URL: "http://user:hunter2@127.0.0.1"}, "invalid URL scheme"},
		{redisproofs.Config{URL: "redis://user:hunter2@127.0.0.1:x"}, "invalid port"},
		{redisproofs.Config{URL: "redis://user:hunter2@127.0.0.1/%zz"}, "invalid URL escape"},
	} {
		_, err := redisproofs.New(c.cfg)
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// deploy/docs/bound-tokens.md shows lines of the example, which is compiled.
func TestThePageShowsTheExample(t *testing.T) {
	page, err := os.ReadFile("../../../deploy/docs/bound-tokens.md")
	require.NoError(t, err)
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```go\nproofs,")
	require.True(t, found)
	block, _, found := strings.Cut("proofs,"+rest, "```")
	require.True(t, found)
	for line := range strings.Lines(block) {
		require.Contains(t, string(example), "\t"+line)
	}
}
