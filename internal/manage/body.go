package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	MaxBody  = 64 << 10 // bytes
	maxDepth = 8        // of nested arrays and objects; no body here needs more than two
)

// readRequest reads the body within its bounds. It refuses what two readers
// could understand differently, before the library sees it.
func (m *API) readRequest(ctx huma.Context, next func(huma.Context)) {
	c := humagin.Unwrap(ctx)
	c.Request.Header.Del("Accept") // there is one representation
	p := checkQuery(c.Request.URL, ctx.Operation())
	if p == nil {
		p = checkConditions(c.Request, ctx.Operation())
	}
	if p != nil {
		m.problem(c, p, nil)
		return
	}
	raw, p := readJSON(c, ctx.Operation().RequestBody != nil)
	if p != nil {
		m.problem(c, p, nil)
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(raw))
	if len(raw) > 0 {
		// It was found to be JSON; the library compares bytes.
		c.Request.Header.Set("Content-Type", "application/json")
	}
	next(ctx)
}

// checkConditions refuses a change under a condition that its call ignores. To
// make the change all the same is what the caller wanted to rule out (RFC 9110
// §13.1.1, §13.1.2).
func checkConditions(r *http.Request, op *huma.Operation) *svcauth.Problem {
	if r.Method == http.MethodGet {
		return nil
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		takes := slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == name })
		if given := strings.TrimSpace(r.Header.Get(name)); !takes && given != "" &&
			!(name == "If-Match" && given == "*") {
			return svcauth.InvalidField("header."+name,
				"This call takes no such condition, so nothing was done; leave %s out. "+
					"Changes by PATCH take If-Match.", name)
		}
	}
	return nil
}

// checkQuery refuses a query that is not form-urlencoded UTF-8 text, since a
// database would. A parameter may be repeated only if the call takes a list.
func checkQuery(u *url.URL, op *huma.Operation) *svcauth.Problem {
	takesList := func(name string) bool {
		return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool {
			return p.In == "query" && p.Name == name && p.Schema != nil && p.Schema.Type == huma.TypeArray
		})
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return svcauth.NewProblem(svcauth.CodeMalformed, "The URL's query is not form-urlencoded.")
	}
	for name, values := range query {
		if !request.Clean(name) {
			return svcauth.NewProblem(svcauth.CodeMalformed, "The URL's query has a name that is no text.")
		}
		if len(values) > 1 && !takesList(name) {
			return svcauth.InvalidField("query."+name[:min(len(name), maxLocation)],
				"This parameter is repeated; give it once.")
		}
		for _, value := range values {
			if !request.Clean(value) || !utf8.ValidString(value) {
				return svcauth.InvalidField("query."+name[:min(len(name), maxLocation)],
					"Expected UTF-8 text without control characters.")
			}
		}
	}
	return nil
}

func readJSON(c *gin.Context, expected bool) ([]byte, *svcauth.Problem) {
	raw, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, MaxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) && large.Limit == 0 {
		return nil, noBody() // of a GET nothing was read
	}
	if errors.As(err, &large) {
		return nil, svcauth.NewProblem(svcauth.CodeTooLarge, "The body is too large: at most 64 KiB.")
	}
	if err != nil {
		return nil, svcauth.NewProblem(svcauth.CodeMalformed, "The body could not be read to its end.")
	}
	if len(raw) == 0 {
		return nil, nil
	}
	if !expected {
		if string(bytes.TrimSpace(raw)) == "{}" { // what clients send for nothing
			return nil, nil
		}
		return nil, noBody()
	}
	if kind := c.Request.Header.Values("Content-Type"); len(kind) != 1 || !isJSON(kind[0]) ||
		c.GetHeader("Content-Encoding") != "" {
		return nil, svcauth.NewProblem(svcauth.CodeUnsupportedMedia,
			"Expected Content-Type: application/json, in UTF-8 and not compressed.")
	}
	return raw, checkJSON(raw)
}

func noBody() *svcauth.Problem {
	return svcauth.InvalidField("body", "This call takes no body; send none.")
}

func isJSON(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	charset, has := params["charset"]
	return err == nil && kind == "application/json" && (!has || strings.EqualFold(charset, "utf-8"))
}

// foreign are the fields whose objects have names of others: claims of another
// issuer, by names such as "https://example.com/team" or JSON pointers, and
// keys.
var foreign = map[string]bool{"claims": true, "jwk": true, "jwks": true}

// checkJSON reads the text once, token by token. It refuses text that is too
// deep, repeated names, and names that differ from ours only in case, which the
// decoder would take.
func checkJSON(raw []byte) *svcauth.Problem {
	if !utf8.Valid(raw) {
		return malformedJSON("it is not UTF-8")
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(raw, new(json.RawMessage)); errors.As(err, &syntax) {
		return malformedJSON(fmt.Sprintf("there is a fault at byte %d", syntax.Offset))
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var at position
	for {
		t, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return malformedJSON("it can't be read")
		}
		if p := at.take(t); p != nil {
			return p
		}
	}
}

// position is how far a JSON text has been read.
type position struct {
	levels      []level // the objects and arrays that are open, the outermost first
	othersNames bool    // in the value of a field of the outermost object that is foreign
}

// level is an object or an array that is open.
type level struct {
	names map[string]bool // of the object so far; nil in an array
	value bool            // the next token is a value
}

// take goes on by one token.
func (at *position) take(t json.Token) *svcauth.Problem {
	if text, ok := t.(string); ok && strings.ContainsRune(text, 0) {
		return malformedJSON("a text holds the character U+0000")
	}
	if len(at.levels) > 0 && t != json.Delim('}') {
		switch top := &at.levels[len(at.levels)-1]; {
		case top.names == nil: // an array has values only
		case top.value:
			top.value = false
		default:
			top.value = true
			return at.takeName(t, top)
		}
	}
	switch t {
	case json.Delim('{'):
		at.levels = append(at.levels, level{names: map[string]bool{}})
	case json.Delim('['):
		at.levels = append(at.levels, level{})
	case json.Delim('}'), json.Delim(']'):
		at.levels = at.levels[:len(at.levels)-1]
	}
	if len(at.levels) > maxDepth {
		return malformedJSON("it is nested too deeply")
	}
	return nil
}

// takeName takes a token that is a name in an object.
func (at *position) takeName(t json.Token, object *level) *svcauth.Problem {
	name, _ := t.(string)
	outermost := len(at.levels) == 1
	if outermost {
		at.othersNames = foreign[name]
	}
	return checkName(name, object.names, !outermost && at.othersNames)
}

func malformedJSON(why string) *svcauth.Problem {
	return svcauth.NewProblem(svcauth.CodeMalformed, "The body is not the JSON that was expected: %s.", why)
}

// checkName refuses a name that is repeated, and one that is not written as
// ours are, unless it is others'.
func checkName(name string, seen map[string]bool, others bool) *svcauth.Problem {
	if seen[name] {
		return malformedJSON("a name is repeated in an object")
	}
	seen[name] = true
	if others {
		return nil
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' { // none of ours
			shown := strings.ToValidUTF8(name[:min(len(name), maxLocation)], "")
			return svcauth.InvalidField("body."+shown,
				"There is no field %q here; take it out. Names are in lower case.", shown)
		}
	}
	return nil
}

// unmarshal decodes into a Go value for the library. It replaces the decoder's
// own errors: they show values, and a value may be a secret.
func unmarshal(raw []byte, into any) error {
	err := json.Unmarshal(raw, into)
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind) && kind.Field == "":
		return errors.New("a value in it has another type than was expected, or is a number out of range")
	case errors.As(err, &kind):
		return fmt.Errorf("the value of %q can't be taken: it has another type or is out of range", kind.Field)
	default:
		return errors.New("a value in it can't be taken")
	}
}
