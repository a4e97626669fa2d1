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

	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The names of the security schemes in the document.
const (
	schemeToken   = "token"
	schemeSession = "session"
)

func openAPI(issuer, sessionCookie string, registry huma.Registry) *huma.OpenAPI {
	scopes := map[string]string{}
	for _, p := range svcauth.BuiltinPrivileges(issuer) {
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

// describe sets the descriptions of a schema's fields and, in requests, their
// bounds. The library then holds requests to them.
func describe(name string, schema *huma.Schema, request bool) {
	if schema.Description = schemaWords[name]; schema.Description == "" && strings.HasPrefix(name, "List") {
		schema.Description = "One page of a list"
	}
	if !request {
		schema.AdditionalProperties = nil // readers must live with fields that come later
	}
	for field, property := range schema.Properties {
		if property.Type == huma.TypeArray {
			property.Nullable = false
		}
		words, own := fieldWords[name+"."+field]
		if !own {
			words = fieldWords[field]
		}
		property.Description = words
		if request {
			bound(name+"."+field, field, property)
		}
		property.PrecomputeMessages()
	}
	slices.Sort(schema.Required)
}

func bound(at, field string, p *huma.Schema) {
	size := func(n int) *int { return &n }
	number := func(n float64) *float64 { return &n }
	switch field {
	case "name":
		p.MinLength, p.MaxLength = size(1), size(svcauth.MaxNameLength)
	case "first_name", "last_name":
		p.MaxLength = size(svcauth.MaxNameLength)
	case "description":
		p.MaxLength = size(svcauth.MaxDescriptionLength)
	case "email", "admin_email":
		p.MinLength, p.MaxLength = size(3), size(254)
	case "token_ttl_seconds":
		p.Minimum, p.Maximum = number(0), number(svcauth.MaxTokenTTLSeconds)
	case "role_ids":
		p.MaxItems = size(svcauth.MaxRolesPerPrincipal)
	case "privileges":
		p.MaxItems = size(svcauth.MaxPrivilegesPerRole)
	case "client_secret":
		p.Pattern = `^svcs_[0-9A-Za-z]{49}$`
	case "token":
		p.MaxLength = size(16 << 10)
	case "jti", "client_id", "privilege", "audience":
		p.MaxLength = size(256)
	}
	if at == "SecretPatch.expires_at" {
		p.Nullable = true
	}
}
