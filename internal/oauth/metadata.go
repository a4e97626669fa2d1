package oauth

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
)

// metadata is the document as it was written for some algorithms.
type metadata struct {
	algorithms []string
	body       []byte
}

// document returns the metadata. It is written anew if the algorithms of the
// published keys have changed.
func (e *Endpoints) document() []byte {
	algorithms := e.cfg.Algorithms()
	m := e.metadata.Load()
	if m == nil || !slices.Equal(m.algorithms, algorithms) {
		m = &metadata{algorithms: algorithms, body: e.renderMetadata(algorithms)}
		e.metadata.Store(m)
	}
	return m.body
}

// renderMetadata returns the metadata of RFC 8414 §2, with what OpenID
// discovery requires beside it.
func (e *Endpoints) renderMetadata(algorithms []string) []byte {
	i := e.cfg.Issuer
	methods := e.cfg.ClientAuth.MethodNames()
	body, _ := json.Marshal(map[string]any{
		"issuer": i, "token_endpoint": i + tokenPath, "jwks_uri": i + keysPath,
		"revocation_endpoint": i + revokePath, "introspection_endpoint": i + introspectPath,
		"revocation_feed_endpoint": i + feedPath,
		"grant_types_supported":    e.cfg.Token.GrantTypes(), "response_types_supported": []string{},
		"token_endpoint_auth_methods_supported": methods, "revocation_endpoint_auth_methods_supported": methods,
		"introspection_endpoint_auth_methods_supported": methods,
		"id_token_signing_alg_values_supported":         algorithms, "subject_types_supported": []string{"public"},
		"service_documentation": i + "/docs",
	})
	return body
}

func (e *Endpoints) serveMetadata(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=300")
	c.Data(http.StatusOK, "application/json", e.document())
}

func (e *Endpoints) serveJWKS(c *gin.Context) {
	body, etag := e.cfg.JWKS()
	c.Header("Cache-Control", "public, max-age="+strconv.Itoa(int(e.cfg.JWKSMaxAge/time.Second)))
	if request.NotModified(c, etag) {
		return
	}
	c.Data(http.StatusOK, "application/json", body)
}
