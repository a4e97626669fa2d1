package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/svcauth/svcauth/internal/token"
)

const maxForm = 16 << 10

// form is the parameters of an OAuth2 request, each at most once (RFC 6749 §3.2), empty ones left out.
type form struct {
	values    map[string]string
	resources []string // the one parameter that may be repeated (RFC 8707 §2)
}

func (f form) get(name string) string { return f.values[name] }

func badRequest(format string, args ...any) *token.Error {
	return token.Refuse(token.CodeInvalidRequest, "malformed", format, args...)
}

func inURL() *token.Error {
	return badRequest("a parameter stands in the URL: send all of them in the body, and no secret in a URL ever")
}

// readForm reads an OAuth2 request's parameters from its body. The URL's query must be empty, unless query names what may stand there:
// then, as old clients do, the body and its Content-Type may be absent.
func readForm(w http.ResponseWriter, r *http.Request, query ...string) (form, *token.Error) {
	f := form{values: make(map[string]string, 8)}
	if r.URL.RawQuery != "" {
		if len(query) == 0 {
			return f, inURL()
		}
		if err := f.add(r.URL.RawQuery, query); err != nil {
			return f, err
		}
	}
	header := r.Header.Values("Content-Type")
	if len(header) == 0 && len(query) > 0 && r.ContentLength == 0 {
		return f, nil
	}
	if !isForm(header) {
		e := badRequest("expected Content-Type: application/x-www-form-urlencoded")
		e.Status = http.StatusUnsupportedMediaType
		return f, e
	}
	if r.Header.Get("Content-Encoding") != "" {
		e := badRequest("the body is compressed: send it as it is")
		e.Status = http.StatusUnsupportedMediaType
		return f, e
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		e := badRequest("the body is too large: at most 16 KiB")
		e.Status = http.StatusRequestEntityTooLarge
		return f, e
	}
	if err != nil {
		return f, badRequest("the body could not be read")
	}
	return f, f.add(string(body), nil)
}

func isForm(header []string) bool {
	if len(header) != 1 {
		return false
	}
	if header[0] == "application/x-www-form-urlencoded" {
		return true
	}
	kind, _, err := mime.ParseMediaType(header[0])
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// add decodes pairs strictly. only, where not nil, lists what may be there at all.
func (f *form) add(text string, only []string) *token.Error {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err1 := unescape(rawName)
		value, err2 := unescape(rawValue)
		if err1 != nil || err2 != nil || !clean(name) || !clean(value) {
			return badRequest("a parameter is not form-urlencoded UTF-8 text without control characters")
		}
		if only != nil && !contains(only, name) {
			return inURL()
		}
		if value == "" || only == nil && f.surplus(name) {
			continue // RFC 6749 §3.2: without a value it is as if it were not there
		}
		if name == "resource" {
			f.resources = append(f.resources, value)
			continue
		}
		if _, again := f.values[name]; again {
			return badRequest("a parameter is repeated: send each once")
		}
		f.values[name] = value
	}
	return nil
}

// surplus keeps unknown names, which are ignored (RFC 6749 §3.2), from filling memory: of them only the first are watched for repetition.
func (f *form) surplus(name string) bool {
	switch name {
	case "grant_type", "scope", "client_id", "client_secret", "resource", "audience", "token", "token_type_hint":
		return false
	}
	_, again := f.values[name]
	return !again && len(f.values) > 64
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// unescape is url.QueryUnescape, which is skipped where nothing is escaped.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

func clean(s string) bool {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}
