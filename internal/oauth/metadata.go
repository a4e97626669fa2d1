package oauth

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/dpop"
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
		body, _ := json.Marshal(e.metadataOf(algorithms))
		m = &metadata{algorithms: algorithms, body: body}
		e.metadata.Store(m)
	}
	return m.body
}

// serverMetadata is the metadata of RFC 8414 §2, with what OpenID discovery
// requires beside it.
type serverMetadata struct {
	DPoPAlgorithms       []string     `json:"dpop_signing_alg_values_supported" doc:"The algorithms of DPoP proofs (RFC 9449 §5.1)"`
	GrantTypes           []string     `json:"grant_types_supported" doc:"What grant_type may be"`
	IDTokenAlgorithms    []string     `json:"id_token_signing_alg_values_supported" doc:"The algorithms of the published keys, by the name that OpenID discovery has for them"`
	IntrospectionURL     string       `json:"introspection_endpoint" doc:"Where to introspect tokens"`
	IntrospectionMethods []string     `json:"introspection_endpoint_auth_methods_supported" doc:"How clients authenticate there"`
	IntrospectionSigning []string     `json:"introspection_endpoint_auth_signing_alg_values_supported" doc:"The algorithms of their assertions"`
	Issuer               string       `json:"issuer" doc:"The iss of tokens, to the letter"`
	KeysURL              string       `json:"jwks_uri" doc:"Where the public keys are"`
	MTLSAliases          *mtlsAliases `json:"mtls_endpoint_aliases,omitempty" doc:"The endpoints that ask for a certificate, for clients that show one (RFC 8705 §5)"`
	ResponseTypes        []string     `json:"response_types_supported" doc:"None: there is no authorization endpoint"`
	RevocationURL        string       `json:"revocation_endpoint" doc:"Where to revoke tokens"`
	RevocationMethods    []string     `json:"revocation_endpoint_auth_methods_supported" doc:"How clients authenticate there"`
	RevocationSigning    []string     `json:"revocation_endpoint_auth_signing_alg_values_supported" doc:"The algorithms of their assertions"`
	FeedURL              string       `json:"revocation_feed_endpoint" doc:"The revocation feed, which is this server's own"`
	Documentation        string       `json:"service_documentation" doc:"Pages for people"`
	CertificateBound     bool         `json:"tls_client_certificate_bound_access_tokens,omitempty" doc:"Whether tokens can be bound to a client certificate (RFC 8705 §3.3), for accounts whose token_binding says so"`
	SubjectTypes         []string     `json:"subject_types_supported" doc:"A subject is the same for every API"`
	TokenURL             string       `json:"token_endpoint" doc:"Where to get tokens"`
	TokenMethods         []string     `json:"token_endpoint_auth_methods_supported" doc:"How clients authenticate there"`
	TokenSigning         []string     `json:"token_endpoint_auth_signing_alg_values_supported" doc:"The algorithms of their assertions"`
}

// mtlsAliases are the endpoints of clients that show a certificate, RFC 8705
// §5.
type mtlsAliases struct {
	IntrospectionURL string `json:"introspection_endpoint" doc:"Where to introspect tokens"`
	RevocationURL    string `json:"revocation_endpoint" doc:"Where to revoke tokens"`
	FeedURL          string `json:"revocation_feed_endpoint" doc:"The revocation feed"`
	TokenURL         string `json:"token_endpoint" doc:"Where to get tokens"`
}

// mtlsAliasesAt returns the endpoints at a URL, or nil if it is empty.
func mtlsAliasesAt(base string) *mtlsAliases {
	if base == "" {
		return nil
	}
	return &mtlsAliases{
		IntrospectionURL: base + introspectPath, RevocationURL: base + revokePath, FeedURL: base + feedPath,
		TokenURL: base + tokenPath,
	}
}

// metadataOf returns the metadata for the algorithms of the published keys.
func (e *Endpoints) metadataOf(algorithms []string) serverMetadata {
	i, methods, signing := e.cfg.Issuer, e.cfg.ClientAuth.MethodNames(), clientauth.AssertionAlgorithms()
	return serverMetadata{
		Issuer: i, KeysURL: i + keysPath, FeedURL: i + feedPath, Documentation: i + "/docs",
		TokenURL: i + tokenPath, TokenMethods: methods, TokenSigning: signing,
		RevocationURL: i + revokePath, RevocationMethods: methods, RevocationSigning: signing,
		IntrospectionURL: i + introspectPath, IntrospectionMethods: methods, IntrospectionSigning: signing,
		MTLSAliases:    mtlsAliasesAt(e.cfg.MTLSURL),
		DPoPAlgorithms: dpop.Algorithms(), CertificateBound: e.cfg.CertificateBound,
		GrantTypes: e.cfg.Token.GrantTypes(), ResponseTypes: []string{},
		IDTokenAlgorithms: algorithms, SubjectTypes: []string{"public"},
	}
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
