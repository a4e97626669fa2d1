// Package apidoc owns the form in which an endpoint outside /v1 says what it
// takes and what it answers, for the document at /openapi.json.
//
// The face that serves an endpoint describes it beside its handler, from the
// tables that the handler goes by. Package manage writes the document. This
// package refuses to know HTTP, JSON Schema and OpenAPI.
package apidoc

// The groups of the document, in its order.
const (
	TagTokens   = "Tokens"
	TagFeed     = "Revocation feed"
	TagMetadata = "Metadata and keys"
	TagHealth   = "Health"
)

// FormType is the media type of a form.
const FormType = "application/x-www-form-urlencoded"

// JSONType is the media type of a body or an answer in JSON.
const JSONType = "application/json"

// Endpoint is one method at one path.
type Endpoint struct {
	ID     string // unique in the document
	Method string
	Path   string
	Tag    string

	Summary     string // a title
	Description string // paragraphs; code in backquotes

	// ClientMethods are the ways in which a client may authenticate, by their
	// names in the metadata. It is empty if clients do not.
	ClientMethods []string
	// Privilege is what a bearer token must carry. It is empty if the endpoint
	// takes no bearer token.
	Privilege string

	Query  []Parameter
	Header []Parameter
	Form   []Parameter // the body is a form, unless Form is empty
	Body   *Content    // the body, if it is no form

	Answers []Answer
	Errors  []Error
}

// Parameter is one of the URL's query, of the header or of a form.
type Parameter struct {
	Name     string
	Text     string
	Example  string
	Values   []string // all that it may be; empty: anything
	Required bool
	Repeated bool // it may be sent more than once
	Usual    bool // the example of a whole form has it
}

// Answer is what a request that went well may get.
type Answer struct {
	Status   int
	Text     string
	Contents []Content // empty: no body
	Headers  []Parameter
}

// Content is a body in one media type.
type Content struct {
	Media string
	// Type is a value of the body's type, whose fields say by their tags what
	// they are. It is nil if the body is plain text.
	Type    any
	Example any
}

// Error is a refusal with an error code of package oautherr.
type Error struct {
	Code   string
	Status int // zero: the code's own
}
