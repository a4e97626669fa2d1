package ginauth_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/ginauth"
)

type key struct{ ed25519.PrivateKey }

func (k key) Key(context.Context, string) (string, crypto.PublicKey, error) {
	return "EdDSA", k.Public(), nil
}

func (k key) token(t *testing.T, scope string) string {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA,
		jwt.MapClaims{"iss": "https://auth.example", "sub": "sa_1", "client_id": "sa_1", "aud": "https://api.example",
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "token with " + scope, "scope": scope})
	token.Header["typ"] = "at+jwt"
	text, err := token.SignedString(k.PrivateKey)
	require.NoError(t, err)
	return text
}

func TestGinHandlersRunOnlyWithTheirPrivileges(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	k := key{private}
	v, err := resourceserver.New(resourceserver.Config{Issuer: "https://auth.example",
		Audience: "https://api.example", Keys: k})
	require.NoError(t, err)
	defer v.Close()

	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	handler := func(c *gin.Context) {
		p, ok := ginauth.PrincipalFrom(c)
		require.True(t, ok)
		same, _ := resourceserver.PrincipalFrom(c.Request.Context())
		require.Same(t, p, same)
		c.String(http.StatusOK, p.Subject)
	}
	router.GET("/any-token", ginauth.Require(v), handler)
	router.GET("/both", ginauth.Require(v, "clusters:view", "clusters:edit"), handler)
	router.GET("/one-of", ginauth.RequireAny(v, "clusters:view", "clusters:edit"), handler)
	router.GET("/open", func(c *gin.Context) {
		_, ok := ginauth.PrincipalFrom(c)
		require.False(t, ok)
	})
	for _, c := range []struct {
		path, scope string
		status      int
		challenge   string
	}{
		{"/open", "-", 200, ""},
		{"/any-token", "-", 401, `Bearer realm="https://api.example"`},
		{"/any-token", "", 200, ""},
		{"/both", "clusters:view clusters:edit", 200, ""},
		{"/both", "clusters:view", 403, `error="insufficient_scope"`},
		{"/one-of", "clusters:view", 200, ""},
		{"/one-of", "clusters:viewer", 403, `scope="clusters:view clusters:edit"`},
	} {
		req := httptest.NewRequest(http.MethodGet, c.path, nil)
		if c.scope != "-" {
			req.Header.Set("Authorization", "Bearer "+k.token(t, c.scope))
		}
		w := httptest.NewRecorder()
		router.ServeHTTP(w, req)
		require.Equal(t, c.status, w.Code, "%s with %q", c.path, c.scope)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), c.challenge)
		if c.status == 200 && c.path != "/open" {
			require.Equal(t, "sa_1", w.Body.String())
		}
		if c.status != 200 {
			require.NotContains(t, w.Body.String(), "sa_1", "the handler did not run")
		}
	}
}
