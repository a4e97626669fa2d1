package manage

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/svcauth/svcauth/internal/apidoc"
	"github.com/svcauth/svcauth/internal/oautherr"
)

// The security schemes of the OAuth2 endpoints.
const schemeBasic = "client_secret_basic"

// methodSchemes has the scheme of each way in which a client may authenticate.
// An empty one is a way that the document's format has no scheme for: the
// credential is a field of the form.
var methodSchemes = map[string]string{schemeBasic: schemeBasic, "client_secret_post": ""}

// oauthError is the body of a refusal, RFC 6749 §5.2.
type oauthError struct {
	Error       string `json:"error" doc:"What was wrong, for programs"`
	Description string `json:"error_description" doc:"What was wrong and what was expected, for people"`
}

// addEndpoint writes an endpoint that another face serves into the document.
func addEndpoint(doc *huma.OpenAPI, e apidoc.Endpoint) {
	op := &huma.Operation{
		OperationID: e.ID, Method: e.Method, Path: e.Path, Tags: []string{e.Tag},
		Summary: e.Summary, Description: e.Description,
		Security: securityOf(e), RequestBody: bodyOf(doc, e), Responses: map[string]*huma.Response{},
	}
	for _, p := range e.Query {
		op.Parameters = append(op.Parameters, parameterOf(p, "query"))
	}
	for _, p := range e.Header {
		op.Parameters = append(op.Parameters, parameterOf(p, "header"))
	}
	for _, a := range e.Answers {
		response := &huma.Response{Description: a.Text}
		for _, content := range a.Contents {
			if response.Content == nil {
				response.Content = map[string]*huma.MediaType{}
			}
			response.Content[content.Media] = mediaOf(doc, content)
		}
		op.Responses[strconv.Itoa(a.Status)] = response
	}
	addErrors(doc, op, e)
	doc.AddOperation(op)
}

// securityOf returns the ways to authenticate, of which one must be used.
func securityOf(e apidoc.Endpoint) []map[string][]string {
	all := []map[string][]string{} // empty, not absent: anybody may
	for _, method := range e.ClientMethods {
		one := map[string][]string{}
		if scheme := methodSchemes[method]; scheme != "" {
			one[scheme] = []string{}
		}
		all = append(all, one)
	}
	if e.Privilege != "" {
		all = append(all, map[string][]string{schemeToken: {e.Privilege}})
	}
	return all
}

func parameterOf(p apidoc.Parameter, in string) *huma.Param {
	out := &huma.Param{Name: p.Name, In: in, Description: p.Text, Required: p.Required, Schema: valueOf(p)}
	if p.Example != "" {
		out.Example = p.Example
	}
	return out
}

// valueOf returns the schema of a parameter's value.
func valueOf(p apidoc.Parameter) *huma.Schema {
	schema := &huma.Schema{Type: huma.TypeString}
	for _, v := range p.Values {
		schema.Enum = append(schema.Enum, v)
	}
	if p.Repeated {
		schema = &huma.Schema{Type: huma.TypeArray, Items: schema}
	}
	return schema
}

// bodyOf returns the body that an endpoint takes, or nil if it takes none.
func bodyOf(doc *huma.OpenAPI, e apidoc.Endpoint) *huma.RequestBody {
	if e.Body != nil {
		return &huma.RequestBody{Required: true,
			Content: map[string]*huma.MediaType{e.Body.Media: mediaOf(doc, *e.Body)}}
	}
	if len(e.Form) == 0 {
		return nil
	}
	schema := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}}
	example := map[string]any{}
	for _, p := range e.Form {
		value := valueOf(p)
		value.Description = p.Text
		schema.Properties[p.Name] = value
		if p.Required {
			schema.Required = append(schema.Required, p.Name)
		}
		if p.Usual {
			example[p.Name] = p.Example
		}
	}
	return &huma.RequestBody{Required: len(schema.Required) > 0, Content: map[string]*huma.MediaType{
		apidoc.FormType: {Schema: schema, Example: example},
	}}
}

// mediaOf returns a body in one media type.
func mediaOf(doc *huma.OpenAPI, c apidoc.Content) *huma.MediaType {
	media := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}, Example: c.Example}
	if c.Type != nil {
		t := reflect.TypeOf(c.Type)
		media.Schema = doc.Components.Schemas.Schema(t, true, t.Name())
	}
	return media
}

// addErrors writes the refusals, each status with its codes and what they mean.
// Every endpoint may be refused for want of a place, and may fail.
func addErrors(doc *huma.OpenAPI, op *huma.Operation, e apidoc.Endpoint) {
	if len(e.Errors) == 0 {
		return
	}
	base := doc.Components.Schemas.Schema(reflect.TypeFor[oauthError](), true, "")
	all := append(slices.Clone(e.Errors),
		apidoc.Error{Code: oautherr.CodeUnavailable}, apidoc.Error{Code: oautherr.CodeServerError})
	codes := map[int][]any{}
	texts := map[int][]string{}
	for _, one := range all {
		code, _ := oautherr.Lookup(one.Code)
		status := code.Status
		if one.Status != 0 {
			status = one.Status
		}
		codes[status] = append(codes[status], code.Name)
		texts[status] = append(texts[status], "`"+code.Name+"`: "+code.Meaning)
	}
	for status, names := range codes {
		first, _ := names[0].(string)
		response := &huma.Response{
			Description: strings.Join(texts[status], "\n\n"),
			Content: map[string]*huma.MediaType{apidoc.JSONType: {
				Schema: &huma.Schema{AllOf: []*huma.Schema{base, {
					Properties: map[string]*huma.Schema{"error": {Type: huma.TypeString, Enum: names}},
				}}},
				Example: oauthError{Error: first, Description: "…"},
			}},
		}
		switch status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			response.Headers = map[string]*huma.Param{"Retry-After": {
				Description: "How many seconds to wait", Schema: &huma.Schema{Type: huma.TypeInteger},
			}}
		case http.StatusUnauthorized:
			response.Headers = map[string]*huma.Param{"WWW-Authenticate": {
				Description: "The one challenge, Basic or Bearer", Schema: &huma.Schema{Type: huma.TypeString},
			}}
		}
		op.Responses[strconv.Itoa(status)] = response
	}
}
