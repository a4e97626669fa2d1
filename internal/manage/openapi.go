package manage

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/request"
)

// The names of the security schemes in the document.
const (
	schemeToken   = "token"
	schemeSession = "session"
)

func openAPI(issuer, sessionCookie string, registry huma.Registry) *huma.OpenAPI {
	scopes := map[string]string{}
	for _, p := range builtin.Privileges(issuer) {
		scopes[p.Name] = p.Description
	}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "svcauth management API", Version: "1",
			Description: "Members, roles, service accounts, their secrets and tokens, application keys and " +
				"the audit log of an organization.\n\n" +
				"Send an access token of this server as `Authorization: Bearer …`: its audience must be " +
				"this server (ask for it with `resource` and this server's issuer), and it carries the " +
				"privileges that each call names. Errors are problems (RFC 9457): `code` is stable, " +
				"`detail` says what to do. Lists come newest first, a page at a time: send `next_cursor` " +
				"as `cursor` until it is null; what is added meanwhile is neither missed nor repeated. " +
				"Times are RFC 3339 in UTC. Unknown fields are refused. An `ETag` sent back as `If-Match` " +
				"keeps a change from overwriting somebody else's."},
		Servers: []*huma.Server{{URL: issuer}},
		Tags: []*huma.Tag{
			{
				Name:        tagAccounts,
				Description: "Machine identities of the organization: OAuth2 clients that depend on no member.",
			},
			{Name: tagSecrets, Description: "The credentials of a service account, up to 5 at once."},
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
		},
		Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{
			schemeToken: {
				Type: "oauth2",
				Description: "An access token of this server, by the client credentials of a " +
					"service account or an application key",
				Flows: &huma.OAuthFlows{ClientCredentials: &huma.OAuthFlow{
					TokenURL: issuer + "/oauth2/token",
					Scopes:   scopes,
				}},
			},
			schemeSession: {
				Type: "apiKey", In: "cookie", Name: sessionCookie,
				Description: "The console's session, from the console's own pages only",
			},
		}},
	}
}

// mountDocument completes the document, writes it once and serves it with the
// page that shows it.
func (m *API) mountDocument(engine *gin.Engine) error {
	doc := m.api.OpenAPI()
	requests := map[string]bool{}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			if op.RequestBody != nil {
				requests[strings.TrimPrefix(
					op.RequestBody.Content["application/json"].Schema.Ref,
					"#/components/schemas/",
				)] = true
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
	sum := sha256.Sum256(content)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	engine.GET(path, func(c *gin.Context) {
		c.Header("Cache-Control", "public, max-age=300")
		if request.NotModified(c, tag) {
			return
		}
		c.Data(http.StatusOK, kind, content)
	})
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
	"CreatedOrganization": "An organization just made",
	"Creator": "Who made something. The address stays readable after that " +
		"member is gone",
	"EmptyObject": "Nothing",
	"Enforcement": "How many of the connected resource servers enforce a " +
		"revocation already",
	"ExplainRequest": "About what to explain: one of token, jti and client_id; and " +
		"what it should be able to do",
	"ExplainStep":       "One link of the chain",
	"Explanation":       "Why something is allowed or not",
	"Grant":             "A role that a principal holds",
	"GrantRequest":      "How a role is granted",
	"Invitation":        "What may be known of a member's one-time link",
	"LiveToken":         "The record of an issued token; never the token",
	"Me":                "The caller",
	"Member":            "A person who signs in to the console",
	"MemberPatch":       "A change; what is absent stays",
	"NewApplicationKey": "An application key to be made",
	"NewMember":         "A person to be invited",
	"NewOrganization":   "An organization to be made",
	"NewRole":           "A role to be made",
	"NewSecretRequest":  "A secret to be made",
	"NewServiceAccount": "A service account to be made",
	"Organization":      "A tenant",
	"OrganizationPatch": "A change; what is absent stays",
	"GrantAnswer":       "What is to be said of a grant",
	"SecretWarning": "A secret whose maker does not hold what its account has just " +
		"gained, or not for as long: whoever kept it can use that now",
	"SizeWarning": "An account that gets a token by scope or resource only, as it " +
		"would be too long",
	"Privilege":           "One permission, the unit of OAuth2 scope",
	"Problem":             "An error, RFC 9457",
	"ProblemField":        "Which part of a request was refused and why",
	"Ref":                 "A thing by id and by what people call it",
	"ResourceServer":      "A follower of the revocation feed",
	"Revoked":             "What a revocation breaks",
	"Role":                "A named set of privileges",
	"RolePatch":           "A change; what is absent stays",
	"SecretInfo":          "What may be known of a secret",
	"SecretPatch":         "A change; what is absent stays",
	"ServiceAccount":      "A machine identity of an organization. It depends on no member",
	"ServiceAccountPatch": "A change; what is absent stays",
	"SigningKey":          "What may be known of a signing key",
}
