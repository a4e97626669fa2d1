package oauth

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/svcauth/svcauth/internal/apidoc"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// tokenResponse is the answer of the token endpoint, RFC 6749 §5.1, for the
// document. The handler writes the same text without reflection.
type tokenResponse struct {
	AccessToken string `json:"access_token" doc:"The token, RFC 9068: send it to the API as Authorization, behind the token_type"`
	TokenType   string `json:"token_type" doc:"How it is sent: Bearer, or DPoP if it is bound to a key"`
	ExpiresIn   int64  `json:"expires_in" doc:"How long it lives, in seconds. There is no refresh token: ask again shortly before"`
	Scope       string `json:"scope" doc:"The privileges that it carries, sorted, with spaces between"`
}

// feedPage is a page of the feed as its readers hold it.
type feedPage wire.Page[[]svcauth.Revocation]

// keySet is a key set, RFC 7517 §5.
type keySet struct {
	Keys []jwk.Key `json:"keys" doc:"The public keys: those that sign, that will sign, and that have signed tokens which still live"`
}

// Describe returns what the endpoints take and answer, in the order of the
// document.
func (e *Endpoints) Describe() []apidoc.Endpoint {
	all := []apidoc.Endpoint{e.describeToken("")}
	for _, path := range e.cfg.TokenAliases {
		all = append(all, e.describeToken(path))
	}
	return append(all, e.describeRevoke(), e.describeIntrospect(), e.describeFeed(), e.describeReceipt(),
		e.describeMetadata(metadataPath, "getMetadata"), e.describeMetadata(discoveryPath, "getDiscovery"),
		e.describeKeys())
}

// formOf returns the parameters of the form that an endpoint takes. required
// is the one that must be there.
func (e *Endpoints) formOf(path, required string) (form []apidoc.Parameter) {
	for _, p := range parameters {
		if p.paths != nil && !slices.Contains(p.paths, path) {
			continue
		}
		described := apidoc.Parameter{Name: p.name, Text: p.text, Example: p.example,
			Required: p.name == required, Repeated: p.name == repeatable,
			Usual: p.name == required}
		if p.name == grantTypeParam {
			described.Values = e.cfg.Token.GrantTypes()
		}
		form = append(form, described)
	}
	return form
}

// ofForms are the refusals of every endpoint that clients send a form to.
func ofForms(more ...apidoc.Error) []apidoc.Error {
	return append([]apidoc.Error{
		{Code: oautherr.CodeInvalidRequest},
		{Code: oautherr.CodeInvalidRequest, Status: http.StatusRequestEntityTooLarge},
		{Code: oautherr.CodeInvalidRequest, Status: http.StatusUnsupportedMediaType},
		{Code: oautherr.CodeInvalidClient},
		{Code: oautherr.CodeSlowDown},
	}, more...)
}

// describeToken describes the token endpoint, or its alias at a path.
func (e *Endpoints) describeToken(alias string) apidoc.Endpoint {
	d := apidoc.Endpoint{
		ID: "getToken", Method: http.MethodPost, Path: tokenPath, Tag: apidoc.TagTokens,
		Summary: "Get a token",
		Description: "The client credentials grant (RFC 6749 §4.4). The client authenticates by Basic, or by " +
			"`client_id` and `client_secret` in the body: in one of both, and never in the URL. Keep the " +
			"token and use it until shortly before its end. For `/v1` and the revocation feed ask with " +
			"`resource` and the issuer. With a proof in the header field `DPoP` (RFC 9449) the token is bound to " +
			"the proof's key: whoever only has the token can't use it. Where `token.reuse` is set, a client that " +
			"asks again soon, with its secret, at the same address and for the same, gets the same token again; " +
			"`reuse=false` asks for one that nobody else has.",
		ClientMethods: e.cfg.ClientAuth.MethodNames(),
		Form:          e.formOf(tokenPath, grantTypeParam),
		Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "A token", Contents: []apidoc.Content{{
			Media: apidoc.JSONType, Type: tokenResponse{},
			Example: tokenResponse{AccessToken: "eyJhbGciOiJFUzI1NiIsImtpZCI6…", TokenType: "Bearer", ExpiresIn: 3600,
				Scope: "clusters:view"},
		}}}},
		Errors: ofForms(
			apidoc.Error{Code: oautherr.CodeUnsupportedGrantType},
			apidoc.Error{Code: oautherr.CodeUnauthorizedClient},
			apidoc.Error{Code: oautherr.CodeInvalidScope},
			apidoc.Error{Code: oautherr.CodeInvalidTarget},
			apidoc.Error{Code: oautherr.CodeInvalidProof},
			apidoc.Error{Code: oautherr.CodeUseNonce},
		),
	}
	if alias == "" {
		return d
	}
	d.ID = "getTokenAt" + strconv.Itoa(slices.Index(e.cfg.TokenAliases, alias)+1)
	d.Path, d.Summary = alias, "Get a token (alias)"
	d.Description = "The token endpoint at a path that clients knew before (`token.aliases`). It also takes " +
		"`grant_type` and `scope` from the URL's query, and then a request without a body. Never a credential."
	for _, p := range d.Form {
		if slices.Contains(inAliasURL, p.Name) {
			p.Required = false
			d.Query = append(d.Query, p)
		}
	}
	for i := range d.Form {
		d.Form[i].Required = false
	}
	return d
}

func (e *Endpoints) describeRevoke() apidoc.Endpoint {
	return apidoc.Endpoint{
		ID: "revokeOwnToken", Method: http.MethodPost, Path: revokePath, Tag: apidoc.TagTokens,
		Summary: "Revoke a token",
		Description: "RFC 7009, for a client's own tokens. The answer comes once the revocation is durable, " +
			"and it is the same for a token that is unknown or expired.",
		ClientMethods: e.cfg.ClientAuth.MethodNames(),
		Query: []apidoc.Parameter{{Name: waitParam, Example: "2s", Text: "Hold the answer until every connected " +
			"resource server enforces the revocation, for at most this long (such as 2s, up to " +
			timespan.Text(svcauth.MaxWait) + "), and say how many do"}},
		Form: e.formOf(revokePath, "token"),
		Answers: []apidoc.Answer{{
			Status: http.StatusOK, Text: "Revoked. With `wait` the body says how many enforce it, else there is none",
			Contents: []apidoc.Content{{Media: apidoc.JSONType, Type: svcauth.Enforcement{},
				Example: svcauth.Enforcement{Enforced: 11, Connected: 12, ElapsedMS: 2000}}},
		}},
		Errors: ofForms(apidoc.Error{Code: oautherr.CodeInvalidGrant}),
	}
}

func (e *Endpoints) describeIntrospect() apidoc.Endpoint {
	return apidoc.Endpoint{
		ID: "introspectToken", Method: http.MethodPost, Path: introspectPath, Tag: apidoc.TagTokens,
		Summary: "Ask whether a token is live",
		Description: "RFC 7662. A client may ask about its own tokens. With the privilege `" +
			svcauth.TokensIntrospect + "` it may ask about those of its organization, and in the operator's " +
			"organization about all.",
		ClientMethods: e.cfg.ClientAuth.MethodNames(), Privilege: svcauth.TokensIntrospect,
		Form: e.formOf(introspectPath, "token"),
		Answers: []apidoc.Answer{{
			Status: http.StatusOK, Text: "What is known of a live token; for any other exactly `{\"active\":false}`",
			Contents: []apidoc.Content{{Media: apidoc.JSONType, Type: introspection{}, Example: introspection{
				Active: true, Scope: "clusters:view", ClientID: exampleAccount, Subject: exampleAccount,
				Audience: "https://api.cloud.example", Issuer: e.cfg.Issuer, IssuedAt: 1767225600,
				ExpiresAt: 1767229200, JTI: "3q2-7wEjSxG0bN0yYJ8v8A", TokenType: "Bearer", Roles: []string{"Viewer"},
				OrgID: exampleOrganization,
			}}},
		}},
		Errors: ofForms(
			apidoc.Error{Code: oautherr.CodeInvalidToken},
			apidoc.Error{Code: oautherr.CodeInvalidProof, Status: http.StatusUnauthorized},
			apidoc.Error{Code: oautherr.CodeUseNonce, Status: http.StatusUnauthorized},
		),
	}
}

const (
	exampleAccount      = "sa_01h455vb4pex5vsknk084sn02q"
	exampleOrganization = "org_01h455vb4pex5vsknk084sn02q"
)

// exampleRevocation takes a role from a client.
var exampleRevocation = svcauth.Revocation{
	ClientID: exampleAccount, Role: "Viewer", MinEpoch: 8, OrgID: exampleOrganization, Epoch: 7, Pol: 1,
	Exp: 1767229200,
}
