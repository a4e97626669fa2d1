package oauth

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"strings"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// MaxForm has room for the longest token and four KiB for the client's
// credential beside it.
const MaxForm = svcauth.MaxTokenSize + 4<<10

// form is the parameters of an OAuth2 request, each at most once (RFC 6749
// §3.2). Empty ones are left out.
type form struct {
	values    map[string]string
	inURL     map[string]string // those that the URL's query had; nil if it had none
	resources []string          // the one parameter that may be repeated (RFC 8707 §2)
}

func (f form) get(name string) string { return f.values[name] }

func inURL() *oautherr.Error {
	return badRequest("a parameter stands in the URL: send all of them in the body, and no secret in a URL ever")
}

// readForm reads an OAuth2 request's parameters from its body. The URL's query
// must be empty, unless query names what may stand there. Then the body and its
// Content-Type may be absent, as old clients do.
func readForm(w http.ResponseWriter, r *http.Request, query ...string) (form, *oautherr.Error) {
	f := form{values: make(map[string]string, 8)}
	if r.URL.RawQuery != "" {
		if len(query) == 0 {
			return f, inURL()
		}
		if err := f.add(r.URL.RawQuery, query); err != nil {
			return f, err
		}
		f.inURL = maps.Clone(f.values)
	}
	if len(query) > 0 && empty(r) {
		return f, nil // whatever its Content-Type
	}
	header := r.Header.Values("Content-Type")
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
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxForm))
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

// empty reports whether a request has no body. For a chunked request that is
// known only once it is read.
func empty(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength == 0
	}
	body := bufio.NewReaderSize(r.Body, 512)
	_, err := body.Peek(1)
	r.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	return errors.Is(err, io.EOF)
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

// add decodes pairs strictly. only lists the names that may be there. If it is
// nil, any may.
func (f *form) add(text string, only []string) *oautherr.Error {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err1 := clientauth.Unescape(rawName)
		value, err2 := clientauth.Unescape(rawValue)
		switch {
		case err1 == nil && err2 == nil && request.Clean(name) &&
			request.Clean(strings.TrimRight(value, "\r\n")) && !request.Clean(value):
			return badRequest("a parameter ends in a line break: send the body, and each value in it, without one " +
				"(echo adds one, printf does not)")
		case err1 != nil || err2 != nil || !request.Clean(name) || !request.Clean(value):
			return badRequest("a parameter is not form-urlencoded UTF-8 text without control characters")
		}
		if err := isArray(name); err != nil {
			return err
		}
		if only != nil && !contains(only, name) {
			return inURL()
		}
		if value == "" || only == nil && f.surplus(name) {
			continue // RFC 6749 §3.2: without a value it counts as absent
		}
		if name == "resource" {
			f.resources = append(f.resources, value)
			continue
		}
		if _, again := f.values[name]; again {
			if same, ok := f.inURL[name]; !ok || same != value {
				return repeated(name)
			}
			delete(f.inURL, name) // the same in both places, once each
		}
		f.values[name] = value
	}
	return nil
}

// surplus reports whether a name need not be kept. Unknown names are ignored
// (RFC 6749 §3.2) and must not fill memory, so only the first of them are
// watched for repetition.
func (f *form) surplus(name string) bool {
	if contains(parameters, name) {
		return false
	}
	_, again := f.values[name]
	return !again && len(f.values) > 64
}

// parameters are the known names.
var parameters = []string{
	"grant_type", "scope", "client_id", "client_secret",
	"resource", "audience", "token", "token_type_hint",
}

// isArray refuses a known name with a bracket or a dot behind it, as some
// libraries write lists (scope[]=, scope[0]=, scope.0=). If it were ignored
// like other unknown names (RFC 6749 §3.2), a client that asks for a narrow
// token would get the widest.
func isArray(name string) *oautherr.Error {
	at := strings.IndexAny(name, "[.")
	if at < 0 || !contains(parameters, name[:at]) {
		return nil
	}
	known, written := name[:at], name[:at]+"[...]"
	if name[at] == '.' {
		written = known + ".0"
	}
	how := once(known)
	if known == "resource" {
		how = "as resource=..., once for each API, without brackets or dots"
	}
	return badRequest("%s is how some libraries write a list, and no parameter here: send %s %s", written, known, how)
}

// once returns how to send a parameter that may be sent only once.
func once(name string) string {
	if name == "scope" {
		return "once, as scope=a b: its privileges in one value, with spaces between"
	}
	return "once"
}

// repeated refuses a parameter that is sent twice (RFC 6749 §3.2). Only known
// names go into the answer.
func repeated(name string) *oautherr.Error {
	if !contains(parameters, name) {
		return badRequest("a parameter is repeated: send each once")
	}
	return badRequest("%s is repeated: send it %s", name, once(name))
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}
