package manage

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/apidoc"
	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The names of the security schemes in the document.
const (
	schemeToken   = "token"
	schemeSession = "session"
)

func openAPI(issuer, sessionCookie string, registry huma.Registry) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "svcauth API", Version: "1",
			Description: "The OAuth2 endpoints give tokens to programs, revoke them, and tell resource servers of " +
				"it. The management API under `/v1` has the members, roles, service accounts, their secrets " +
				"and tokens, application keys and the audit log of an organization.\n\n" +
				"For `/v1` send an access token of this server as `Authorization: Bearer …`: its audience must be " +
				"this server (ask for it with `resource` and this server's issuer), and it carries the " +
				"privileges that each call names. Its errors are problems (RFC 9457): `code` is stable, " +
				"`detail` says what to do. Lists come newest first, a page at a time: send `next_cursor` " +
				"as `cursor` until it is null; what is added meanwhile is neither missed nor repeated. " +
				"Times are RFC 3339 in UTC. Unknown fields are refused. An `ETag` sent back as `If-Match` " +
				"keeps a change from overwriting somebody else's."},
		Servers:    []*huma.Server{{URL: issuer}},
		Tags:       documentTags(),
		Components: &huma.Components{Schemas: registry, SecuritySchemes: securitySchemes(issuer, sessionCookie)},
	}
}

// documentTags are the sections of the document, in its order.
func documentTags() []*huma.Tag {
	return []*huma.Tag{
		{
			Name: apidoc.TagTokens,
			Description: "What an OAuth2 client does with tokens. It authenticates by Basic, or by " +
				"`client_id` and `client_secret` in the body (client_secret_post, for which OpenAPI " +
				"has no scheme). Errors are those of RFC 6749 §5.2.",
		},
		{
			Name: apidoc.TagFeed,
			Description: "How resource servers hear what they must refuse though it is not expired. The token's " +
				"audience must be this server.",
		},
		{Name: apidoc.TagMetadata, Description: "What anybody may read, from pages of any origin."},
		{
			Name:        tagAccounts,
			Description: "Machine identities of the organization: OAuth2 clients that depend on no member.",
		},
		{Name: tagSecrets, Description: "The credentials of a service account: secrets and public keys."},
		{
			Name: tagFederated,
			Description: "Trust in tokens of other issuers (GitHub Actions, Kubernetes …), by which a service " +
				"account proves who it is without a secret, up to 20 at once.",
		},
		{
			Name:        tagCertificates,
			Description: "By what certificates a service account proves who it is in mutual TLS.",
		},
		{Name: tagKeys, Description: "OAuth2 clients that act as the member who made them."},
		{Name: tagMembers, Description: "People who sign in to the console."},
		{Name: tagRoles, Description: "Named sets of privileges, given to members and service accounts alike."},
		{Name: tagCatalog, Description: "The APIs that tokens can be for, and their privileges."},
		{Name: tagOrganizations, Description: "Your own organization, and for the operator all of them."},
		{Name: tagAudit, Description: "What was done, and why something is allowed or not."},
		{
			Name:        tagSigning,
			Description: "The keys that sign tokens, and the resource servers that follow revocations.",
		},
		{Name: apidoc.TagHealth, Description: "For load balancers and monitors."},
	}
}

// securitySchemes are the ways to authenticate.
func securitySchemes(issuer, sessionCookie string) map[string]*huma.SecurityScheme {
	scopes := map[string]string{}
	for _, p := range builtin.Privileges(issuer) {
		scopes[p.Name] = p.Description
	}
	return map[string]*huma.SecurityScheme{
		schemeToken: {
			Type: "oauth2",
			Description: "An access token of this server, by the client credentials of a " +
				"service account or an application key",
			Flows: &huma.OAuthFlows{ClientCredentials: &huma.OAuthFlow{
				TokenURL: issuer + "/oauth2/token",
				Scopes:   scopes,
			}},
		},
		schemeBasic: {
			Type: "http", Scheme: "basic",
			Description: "The client's id and secret, form-urlencoded before they go into the header (RFC 6749 " +
				"§2.3.1). Or send `client_id` and `client_secret` in the body: one of both, not both",
		},
		schemeSession: {
			Type: "apiKey", In: "cookie", Name: sessionCookie,
			Description: "The console's session, from the console's own pages only",
		},
	}
}

// mountDocument completes the document with what other faces serve, writes it
// once and serves it with the page that shows it.
func (m *API) mountDocument(engine *gin.Engine, endpoints []apidoc.Endpoint) error {
	doc := m.api.OpenAPI()
	for _, e := range endpoints {
		addEndpoint(doc, e)
	}
	requests := map[string]bool{}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil || op.RequestBody == nil {
				continue
			}
			if body := op.RequestBody.Content[apidoc.JSONType]; body != nil {
				requests[strings.TrimPrefix(body.Schema.Ref, "#/components/schemas/")] = true
			}
		}
	}
	for name, schema := range doc.Components.Schemas.Map() {
		describe(name, schema, requests[name])
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("write the OpenAPI document: %w", err)
	}
	serve(engine, "/openapi.json", "application/json", text)
	return mountDocs(engine)
}

// serve answers GET with fixed content.
func serve(engine gin.IRoutes, path, kind string, content []byte) {
	engine.GET(path, newDocument(kind, content).serve)
}

// document is content that is ready to be served, with its entity tag.
type document struct {
	kind    string // the Content-Type
	content []byte
	tag     string
}

func newDocument(kind string, content []byte) document {
	sum := sha256.Sum256(content)
	return document{kind, content, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

func (d document) serve(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=300")
	if request.NotModified(c, d.tag) {
		return
	}
	c.Data(http.StatusOK, d.kind, d.content)
}

// describe completes what struct tags can't say of a schema.
func describe(name string, schema *huma.Schema, request bool) {
	if schema.Description = schemaTexts[name]; schema.Description == "" && strings.HasPrefix(name, "List") {
		schema.Description = "One page of a list"
	}
	if !request {
		schema.AdditionalProperties = nil // readers must live with fields that come later
	}
	for _, property := range schema.Properties {
		if property.Type == huma.TypeArray {
			property.Nullable = false
		}
	}
	slices.Sort(schema.Required)
}

// schemaTexts describes the schemas. Their fields are described by the struct
// tags of the nouns; a type can have no tag.
var schemaTexts = map[string]string{
	"API": "A resource server: an audience and the privileges it understands",
	"ApplicationKey": "An OAuth2 client that acts as the member who made it, and dies " +
		"with that member",
	"AuditActor":          "Who did it, readable after it is gone",
	"AuditEvent":          "One change, or refusals of one kind within a minute",
	"AuditTarget":         "What it was done to",
	"Certificate":         "By what certificate a service account proves who it is, RFC 8705",
	"CreatedOrganization": "An organization just made",
	"Creator": "Who made something. The address stays readable after that " +
		"member is gone",
	"EmptyObject": "Nothing",
	"Enforcement": "How many of the connected resource servers enforce a " +
		"revocation already",
	"ExplainRequest": "About what to explain: one of token, jti, client_id and " +
		"request_id; and what it should be able to do",
	"ExplainStep":   "One link of the chain",
	"FeedPage":      "A page of the revocation feed",
	"Introspection": "What is known of a token, RFC 7662 §2.2",
	"Confirmation":  "What a token is bound to, RFC 7800 §3.1",
	"Key":           "A public key, RFC 7517 §4",
	"KeySet":        "The public keys, RFC 7517 §5",
	"Liveness":      "That the process lives",
	"OauthError":    "An error of the OAuth2 endpoints, RFC 6749 §5.2",
	"Readiness":     "Whether this node should get traffic",
	"Receipt":       "What a resource server enforces",
	"Revocation": "One entry of the revocation feed. It denies a token that all of its fields match; " +
		"epoch, pol and exp match nothing",
	"ServerMetadata":    "What the server is and takes, RFC 8414 §2",
	"TokenResponse":     "An access token, RFC 6749 §5.1",
	"Explanation":       "Why something is allowed or not",
	"Grant":             "A role that a principal holds",
	"GrantRequest":      "How a role is granted",
	"KeyRotation":       "Which signing keys are rotated",
	"Invitation":        "What may be known of a member's one-time link",
	"LiveToken":         "The record of an issued token; never the token",
	"Me":                "The caller",
	"Member":            "A person who signs in to the console",
	"MemberPatch":       "A change; what is absent stays",
	"NewApplicationKey": "An application key to be made",
	"MtlsAliases":       "The endpoints that ask for a certificate, RFC 8705 §5",
	"NewCertificate":    "A certificate to be registered, by a name or itself",
	"NewMember":         "A person to be invited",
	"NewOrganization":   "An organization to be made",
	"NewRole":           "A role to be made",
	"NewSecretRequest":  "A secret to be made",
	"NewServiceAccount": "A service account to be made",
	"Organization":      "A tenant",
	"OrganizationPatch": "A change; what is absent stays",
	"GrantAnswer":       "What is to be said of a grant",
	"CredentialWarning": "A credential whose maker does not hold what its account has just " +
		"gained, or not for as long: whoever made or kept it can use that now",
	"SecretUsers": "Whom it stops to refuse secrets",
	"SecretUser":  "A service account that has nothing but secrets",
	"DefaultWarning": "An account that gets a token by scope or resource only: without, the " +
		"request is refused",
	"Privilege":           "One permission, the unit of OAuth2 scope",
	"Profile":             "The form of the tokens for one API",
	"Problem":             "An error, RFC 9457",
	"ProblemField":        "Which part of a request was refused and why",
	"Ref":                 "A thing by id and by what people call it",
	"Refusal":             "What a client was refused at the OAuth2 endpoints: equal refusals within an hour",
	"ResourceServer":      "A subscriber of the revocation feed",
	"Revoked":             "What a revocation breaks",
	"Role":                "A named set of privileges",
	"RolePatch":           "A change; what is absent stays",
	"SecretInfo":          "What may be known of a secret",
	"SecretPatch":         "A change; what is absent stays",
	"ServiceAccount":      "A machine identity of an organization. It depends on no member",
	"ServiceAccountPatch": "A change; what is absent stays",
	"SigningKey":          "What may be known of a signing key",

	"FederatedCredential": "Trust in the tokens of another issuer that have exactly these values: whoever has one " +
		"is the service account",
	"FederatedCredentialPatch": "A change; what is absent stays",
	"FederatedTest":            "A token of another issuer to be tried",
	"FederatedTestMatch":       "Whether a token fits a credential, or why not",
	"FederatedTestResult":      "Which credentials a token fits",
	"FederatedWarning":         "A way in which others could come to have tokens that fit a credential",
	"NewFederatedCredential":   "A federated credential to be made",

	"ServiceAccountKey": "A public key of a service account",
	"KeyPatch":          "A change; what is absent stays",
	"NewKey":            "A public key to be added",
}

// schemaName returns the name of a type's schema. Key is that of the published
// key set already.
func schemaName(t reflect.Type, hint string) string {
	if t == reflect.TypeFor[svcauth.Key]() {
		return "ServiceAccountKey"
	}
	return huma.DefaultSchemaNamer(t, hint)
}
