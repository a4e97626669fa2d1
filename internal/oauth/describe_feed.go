package oauth

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/svcauth/svcauth/internal/apidoc"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ofFeed are the refusals of the feed and of receipts.
var ofFeed = []apidoc.Error{
	{Code: oautherr.CodeInvalidRequest},
	{Code: oautherr.CodeInvalidToken},
	{Code: oautherr.CodeInvalidProof, Status: http.StatusUnauthorized},
	{Code: oautherr.CodeUseNonce, Status: http.StatusUnauthorized},
	{Code: oautherr.CodeInsufficientScope},
	{Code: oautherr.CodeSlowDown},
}

func (e *Endpoints) describeFeed() apidoc.Endpoint {
	entry, _ := json.Marshal(exampleRevocation)
	events := wire.AppendEvent(nil, wire.EventSnapshot, "41", []byte(`{"revocations":[]}`))
	events = wire.AppendEvent(events, wire.EventRevocation, "42", entry)
	events = wire.AppendHeartbeat(events, "42")
	return apidoc.Endpoint{
		ID: "followRevocations", Method: http.MethodGet, Path: feedPath, Tag: apidoc.TagFeed,
		Summary: "Follow the revocations",
		Description: "What resource servers must refuse though it is not expired: of the caller's " +
			"organization, and in the operator's organization of all. With `Accept: text/event-stream` it is " +
			"a stream of server-sent events, else one page. The events are `" +
			strings.Join([]string{wire.EventSnapshot, wire.EventRevocation, wire.EventKeys,
				wire.EventConfirm, wire.EventReset, wire.EventHeartbeat}, "`, `") +
			"`: the reference says what each is for.",
		Privilege: svcauth.TokensIntrospect,
		Query: []apidoc.Parameter{{Name: wire.SinceParam, Example: "42",
			Text: "For a page: the cursor of the page before. Without it the page is a snapshot"}},
		Header: append([]apidoc.Parameter{{Name: wire.HeaderLastEventID, Example: "42",
			Text: "For a stream: the last `id` that was read. Without it the stream begins with a snapshot"}},
			feedHeaders...),
		Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "A page, or the stream", Contents: []apidoc.Content{
			{Media: apidoc.JSONType, Type: feedPage{},
				Example: feedPage{Cursor: "42", Revocations: []svcauth.Revocation{exampleRevocation}}},
			{Media: wire.EventStream, Example: string(events)},
		}}},
		Errors: ofFeed,
	}
}

// feedHeaders are what a resource server may say of itself.
var feedHeaders = []apidoc.Parameter{
	{Name: wire.HeaderName, Example: "clusters", Text: "The resource server's name, for people"},
	{Name: wire.HeaderAudience, Example: "https://api.cloud.example", Text: "Its audience, for people"},
	{Name: wire.HeaderInstance, Example: "pod-1",
		Text: "Tells the processes of one client apart. Who sends it is listed as a resource server"},
	{Name: wire.HeaderVersion, Example: wire.Version, Text: "The version of pkg/resourceserver that it runs. Who " +
		"sends none is taken not to check what tokens are bound to"},
	{Name: wire.HeaderInterval, Example: "1s", Text: "The time between two pages that are asked for"},
}

func (e *Endpoints) describeReceipt() apidoc.Endpoint {
	return apidoc.Endpoint{
		ID: "acknowledgeRevocations", Method: http.MethodPost, Path: receiptPath, Tag: apidoc.TagFeed,
		Summary: "Confirm what is enforced",
		Description: "A resource server says up to which cursor it enforces the revocations. Those who revoke with " +
			"`wait` wait for it.",
		Privilege: svcauth.TokensIntrospect,
		Body: &apidoc.Content{Media: apidoc.JSONType, Type: wire.Receipt{}, Example: wire.Receipt{
			Cursor: "42", Name: "clusters", Audience: "https://api.cloud.example", Instance: "pod-1",
			Version: wire.Version,
		}},
		Answers: []apidoc.Answer{{Status: http.StatusNoContent, Text: "Noted"}},
		Errors:  ofFeed,
	}
}

// describeMetadata describes the metadata at one of its paths.
func (e *Endpoints) describeMetadata(path, id string) apidoc.Endpoint {
	d := apidoc.Endpoint{
		ID: id, Method: http.MethodGet, Path: path, Tag: apidoc.TagMetadata,
		Summary: "Read the metadata",
		Description: "RFC 8414: where the endpoints are, and what the server takes. If the issuer has a path, it is " +
			"served behind the well-known part too.",
		Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "The metadata", Contents: []apidoc.Content{{
			Media: apidoc.JSONType, Type: serverMetadata{}, Example: e.metadataOf([]string{jwk.ES256}),
		}}}},
	}
	if path == discoveryPath {
		d.Summary = "Read the metadata (OpenID)"
		d.Description = "The same document, for clients that know only OpenID discovery."
	}
	return d
}

func (e *Endpoints) describeKeys() apidoc.Endpoint {
	return apidoc.Endpoint{
		ID: "getKeys", Method: http.MethodGet, Path: keysPath, Tag: apidoc.TagMetadata,
		Summary: "Read the public keys",
		Description: "RFC 7517: what tokens are verified with. Keep it for as long as `Cache-Control` says, " +
			"and fetch it anew if a token names a key that it does not have.",
		Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "The key set", Contents: []apidoc.Content{{
			Media: apidoc.JSONType, Type: keySet{}, Example: keySet{[]jwk.Key{{
				Kty: "EC", Use: "sig", Alg: jwk.ES256, Kid: "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", Crv: "P-256",
				X: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", Y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
			}}},
		}}}},
	}
}
