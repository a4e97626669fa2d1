// Package manage is the management API under /v1, with its document and the
// page that shows it. A handler decodes, calls package access and encodes. Its
// errors are problems (RFC 9457).
//
// It refuses to know what is allowed (package access), SQL, Redis and private
// keys.
package manage

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/apidoc"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config is what the management API stands on.
type Config struct {
	Access *access.Service
	People *people.Service
	Token  *token.Service
	Logger *slog.Logger

	Issuer        string
	SessionCookie string // the name of the console's cookie, for the document

	// Callers bounds the calls of each caller. If it is nil, nothing does.
	Callers *limits.Callers
	// SessionActor returns the member who is signed in to the console, if
	// anybody is. It returns an error if this can't be known now. If
	// SessionActor is nil, the API takes bearer tokens only.
	SessionActor func(*http.Request) (actor access.Actor, ok bool, err error)
	// ResourceServers lists the connected subscribers of the revocation feed:
	// the organization's, or for the operator all. If it is nil, there are
	// none.
	ResourceServers func(ctx context.Context, orgID string, operator bool) []svcauth.ResourceServer
	// Enforced waits until every connected resource server enforces what this
	// node has committed by now, at most for wait. If it is nil, nobody is
	// connected.
	Enforced func(ctx context.Context, wait time.Duration) svcauth.Enforcement
	// Expect says that the caller will call Enforced after what it is about to
	// change, until done is called. Who has Enforced has it, too.
	Expect func(ctx context.Context) (done func())
}

// API is the management API. Its document at /openapi.json is made from the
// handlers.
type API struct {
	cfg         Config
	api         huma.API
	crossOrigin *http.CrossOriginProtection
}

// New returns the API. Mount serves it. New fails only if the issuer is not a
// URL.
func New(cfg Config) (*API, error) {
	m := &API{cfg: cfg, crossOrigin: http.NewCrossOriginProtection()}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	// Behind a proxy, Host may differ from what the browser sees.
	return m, m.crossOrigin.AddTrustedOrigin(issuer.Scheme + "://" + issuer.Host)
}

// Owns reports whether a path is the API's.
func Owns(path string) bool { return path == "/v1" || strings.HasPrefix(path, "/v1/") }

// Mount registers the API, its document and the page that shows it. endpoints
// are those of other faces, which the document describes too.
func (m *API) Mount(engine *gin.Engine, endpoints []apidoc.Endpoint) error {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	// The document shows Problem instead of the library's own error model, and
	// render turns one into the other. The library's global constructors stay
	// as they are.
	registry.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[svcauth.Problem]())
	format := huma.Format{Marshal: marshal, Unmarshal: unmarshal}
	config := huma.Config{
		OpenAPI:       openAPI(m.cfg.Issuer, m.cfg.SessionCookie, registry),
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json", RejectUnknownQueryParameters: true,
		Transformers: []huma.Transformer{m.render},
	}
	m.api = humagin.New(engine, config)
	m.api.UseMiddleware(m.authenticate, m.readRequest)
	m.serviceAccounts()
	m.secrets()
	m.keys()
	m.federated()
	m.certificates()
	m.applicationKeys()
	m.roles()
	m.members()
	m.organizations()
	m.catalogue()
	m.audit()
	m.signingKeys()
	return m.mountDocument(engine, endpoints)
}

// operation describes a call. requires is the privilege that the rules ask
// for. It is empty if they ask for none, or if it depends.
func operation(id, method, path, tag, requires, summary, description string) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{tag},
		Summary: summary, Description: description, MaxBodyBytes: MaxBody + 1,
		Security: []map[string][]string{{schemeToken: {}}, {schemeSession: {}}},
	}
	if requires != "" {
		op.Security[0][schemeToken] = []string{requires}
		op.Description = strings.TrimSpace(op.Description + "\n\nNeeds the privilege `" + requires + "`.")
	}
	// Each call lists every status that it may be answered with: a generated
	// client takes a status that is not listed for a fault of the server.
	op.Errors = []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusUnprocessableEntity, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if strings.Contains(path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	if method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusConflict, http.StatusRequestEntityTooLarge)
	}
	switch method {
	case http.MethodPatch:
		op.Errors = append(op.Errors, http.StatusPreconditionFailed, http.StatusUnsupportedMediaType)
	case http.MethodPost, http.MethodPut:
		op.Errors = append(op.Errors, http.StatusUnsupportedMediaType)
	}
	return op
}

// add registers a call. An error of the handler is rendered as a problem.
func add[I, O any](m *API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.Middlewares = append(op.Middlewares, m.checkIDs(op.Path))
	huma.Register(m.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if errors.Is(err, access.ErrDryRun) {
			return nil, dryRun{err}
		}
		if err != nil {
			return nil, m.refusal(ctx, err)
		}
		if where, ok := any(out).(located); ok {
			where.under(request.IssuerPath(m.cfg.Issuer))
		}
		return out, nil
	})
}

// addMade is add for a call that is answered by 201.
func addMade[I, O any](m *API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.DefaultStatus = http.StatusCreated
	add(m, op, handle)
}

// addDone is add for a call that takes something away. The answer is 204, or
// with ?wait= 200 and how far it is enforced.
func addDone[I any](m *API, op huma.Operation, handle func(context.Context, *I) (*done, error)) {
	op.Responses = map[string]*huma.Response{
		"204": {Description: "Done"},
		"200": {Description: "Done, and with `wait` how many resource servers enforce it already"},
	}
	add(m, op, handle)
}

// cautious returns the operation of a call that takes a [svcauth.Caution], and
// is answered by 204 if that asks for a dry run.
func cautious(op huma.Operation) huma.Operation {
	op.Responses = map[string]*huma.Response{
		"204": {Description: "Nothing was changed: it was a dry run, and there is nothing to refuse or to warn of"},
	}
	return op
}

// dryRun is the answer to a dry run, as the library takes it.
type dryRun struct{ error }

// GetStatus is asked by the library.
func (dryRun) GetStatus() int { return http.StatusNoContent }

// addGrant is add for a call that is answered by 204, or by 200 if there is
// something to say.
func addGrant[I any](m *API, op huma.Operation, handle func(context.Context, *I) (*granted, error)) {
	op.Responses = map[string]*huma.Response{
		"204": {Description: "Done, or a dry run that nothing is to be said of"},
		"200": {Description: "Done, with warnings"},
	}
	add(m, op, handle)
}

// idKinds maps the path segment before an id to the id's prefix.
var idKinds = map[string]string{
	"service-accounts": svcauth.PrefixServiceAccount,
	"application-keys": svcauth.PrefixApplicationKey,
	"members":          svcauth.PrefixMember,
	"roles":            svcauth.PrefixRole,
	"organizations":    svcauth.PrefixOrganization,
	"secrets":          svcauth.PrefixSecret,

	"federated-credentials": svcauth.PrefixFederated,
}

// secretAt returns the part of a URL that has the form of a client secret. It
// returns "" if none has.
func secretAt(u url.URL) string {
	if untrusted.HoldsSecret(u.Path) {
		return "path"
	}
	for name, values := range u.Query() {
		if untrusted.HoldsSecret(name) {
			return "query"
		}
		if slices.ContainsFunc(values, untrusted.HoldsSecret) {
			return "query." + name
		}
	}
	return ""
}

// checkIDs answers 404 if an id in the path is malformed, before anything is
// looked up.
func (m *API) checkIDs(path string) func(huma.Context, func(huma.Context)) {
	type id struct{ param, kind, prefix string }
	var ids []id
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			kind := segments[i-1]
			noun := strings.TrimSuffix(strings.ReplaceAll(kind, "-", " "), "s")
			ids = append(ids, id{strings.TrimSuffix(name, "}"), noun, idKinds[kind]})
		}
	}
	return func(ctx huma.Context, next func(huma.Context)) {
		if at := secretAt(ctx.URL()); at != "" {
			m.problem(humagin.Unwrap(ctx), svcauth.InvalidField(at, "The text %s.", untrusted.ErrSecretInText), nil)
			return
		}
		for _, id := range ids {
			given := ctx.Param(id.param)
			if id.prefix != "" && !svcauth.ValidID(id.prefix, given) ||
				len(given) > maxOtherID || !request.Clean(given) {
				p := svcauth.NewProblem(svcauth.CodeNotFound,
					"There is no %s with this id in your organization.", id.kind)
				m.problem(humagin.Unwrap(ctx), p, nil)
				return
			}
		}
		next(ctx)
	}
}

// maxOtherID bounds the ids that are not ours alone: jti and kid.
const maxOtherID = 128
