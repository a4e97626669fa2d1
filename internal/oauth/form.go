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
		name, value, err := decode(pair)
		if err == nil {
			err = isArray(name)
		}
		if err != nil {
			return err
		}
		if only != nil && !contains(only, name) {
			return inURL()
		}
		if value == "" || only == nil && f.surplus(name) {
			continue // RFC 6749 §3.2: without a value it counts as absent
		}
		if err := f.put(name, value); err != nil {
			return err
		}
	}
	return nil
}

// decode returns the name and the value of one parameter.
func decode(pair string) (name, value string, refusal *oautherr.Error) {
	name, value, _ = strings.Cut(pair, "=")
	name, err1 := clientauth.Unescape(name)
	value, err2 := clientauth.Unescape(value)
	switch {
	case err1 != nil || err2 != nil || !request.Clean(name) || !request.Clean(strings.TrimRight(value, "\r\n")):
		return "", "", badRequest("a parameter is not form-urlencoded UTF-8 text without control characters")
	case !request.Clean(value):
		return "", "", badRequest("a parameter ends in a line break: " +
			"send the body, and each value in it, without one (echo adds one, printf does not)")
	}
	return name, value, nil
}

// put keeps a parameter. One that may be repeated is added to the others.
func (f *form) put(name, value string) *oautherr.Error {
	if name == repeatable {
		f.resources = append(f.resources, value)
		return nil
	}
	if _, again := f.values[name]; again {
		if same, ok := f.inURL[name]; !ok || same != value {
			return repeated(name)
		}
		delete(f.inURL, name) // the same in both places, once each
	}
	f.values[name] = value
	return nil
}

// surplus reports whether a name need not be kept. Unknown names are ignored
// (RFC 6749 §3.2) and must not fill memory, so only the first of them are
// watched for repetition.
func (f *form) surplus(name string) bool {
	if known(name) {
		return false
	}
	_, again := f.values[name]
	return !again && len(f.values) > 64
}

// parameter is a known name.
type parameter struct {
	name, example string
	paths         []string // of the endpoints that read it; nil: each does
	text          string   // for the document
}

var (
	atToken     = []string{tokenPath}
	aboutTokens = []string{revokePath, introspectPath}
)

// parameters are the known names. The document is made of them too.
var parameters = []parameter{
	{grantTypeParam, "client_credentials", atToken, "The grant, RFC 6749 §4.4"},
	{"scope", "clusters:view", atToken, "Privileges in one value, with single spaces between. Without it, or with " +
		"`all-apis`: all that the client's roles grant. What is not granted is refused, never left out"},
	{repeatable, "https://api.cloud.example", atToken, "The audience of an API that the token shall be for (RFC " +
		"8707), once for each. Without it: the APIs that the token carries privileges of, never this server itself"},
	{"audience", "https://api.cloud.example", atToken, "The same, for clients that know only this name; once"},
	{"token", "$TOKEN", aboutTokens, "The access token that it is about"},
	{"token_type_hint", "access_token", aboutTokens, "Ignored: there is only one kind of token"},
	{"client_id", "", nil, "The client's id, if it authenticates in the body"},
	{"client_secret", "", nil, "The client's secret, if it authenticates in the body"},
	{"client_assertion_type", "", nil, "`" + clientauth.AssertionJWT + "`, if the client authenticates by an " +
		"assertion"},
	{"subject_token", "", atToken, "Of a token exchange (RFC 8693): a token of another issuer that fits a federated " +
		"credential. It stands for the client's authentication, too"},
	{"subject_token_type", "", atToken, "Of a token exchange: urn:ietf:params:oauth:token-type:jwt or …:id_token"},
	{"requested_token_type", "", atToken, "Of a token exchange: absent, or " +
		"urn:ietf:params:oauth:token-type:access_token"},
	{"actor_token", "", atToken, "Not supported: the token that is issued is the client's own"},
	{"actor_token_type", "", atToken, "Not supported"},
	{"client_assertion", "", nil, "A JWT that the client has signed with its private key (RFC 7523 §2.2): `iss` and " +
		"`sub` are its id, `aud` is the issuer alone, `exp` a minute ahead, `jti` random. Instead of a secret"},
}

// repeatable is the one parameter that may be sent more than once (RFC 8707
// §2).
const repeatable = "resource"

// known reports whether a name is one of the parameters.
func known(name string) bool {
	for i := range parameters {
		if parameters[i].name == name {
			return true
		}
	}
	return false
}

// isArray refuses a known name with a bracket or a dot behind it, as some
// libraries write lists (scope[]=, scope[0]=, scope.0=). If it were ignored
// like other unknown names (RFC 6749 §3.2), a client that asks for a narrow
// token would get the widest.
func isArray(name string) *oautherr.Error {
	at := strings.IndexAny(name, "[.")
	if at < 0 || !known(name[:at]) {
		return nil
	}
	plain, written := name[:at], name[:at]+"[...]"
	if name[at] == '.' {
		written = plain + ".0"
	}
	how := once(plain)
	if plain == repeatable {
		how = "as resource=..., once for each API, without brackets or dots"
	}
	return badRequest("%s is how some libraries write a list, and no parameter here: send %s %s", written, plain, how)
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
	if !known(name) {
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
