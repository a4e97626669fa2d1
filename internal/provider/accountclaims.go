package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// defaultResourceAttribute is what the tokens of an account are for if nothing
// is asked for.
func defaultResourceAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true,
		Computed: true,
		Default:  stringdefault.StaticString(""),
		MarkdownDescription: "The audience of the API that its tokens are for if a request names neither resource " +
			"nor scope, for programs that can name none: `svcauth_api` finds it. Default: empty, every API of " +
			"which it holds a privilege.",
	}
}

// noClaims is the value of an attribute for claims if there are none.
const noClaims = "{}"

// claimsAttribute is for an account's own claims. It is JSON, because claims
// are of any type, and each apply must give back what the configuration says.
func claimsAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		Optional:   true,
		Computed:   true,
		Default:    stringdefault.StaticString(noClaims),
		Validators: []validator.String{claimsValidator{}},
		MarkdownDescription: "Claims of its own in its tokens, a JSON object of at most 2048 bytes: " +
			"`jsonencode({ tier = \"gold\" })`. The operator lists the names for each API, as `account_claims` in " +
			"the catalogue; a token has those that every API of its audience lists. Tokens that it has stay as they " +
			"are. Changing them needs every privilege of the account. Default: `{}`, none.",
	}
}

// claimsIn returns the claims of an attribute, none for an unknown one.
func claimsIn(v types.String) (claims map[string]any) {
	_ = json.Unmarshal([]byte(v.ValueString()), &claims) // the validator has refused what is no object
	return claims
}

// sameClaims reports whether an attribute has these claims, however it writes
// them.
func sameClaims(v types.String, claims map[string]any) bool {
	had := claimsIn(v)
	return had != nil && (len(had)+len(claims) == 0 || reflect.DeepEqual(had, claims))
}

// claimsText returns claims for an attribute: as prior writes them, if it has
// the same.
func claimsText(prior types.String, claims map[string]any) types.String {
	if sameClaims(prior, claims) {
		return prior
	}
	text, _ := svcauth.ClaimsText(claims) // they come out of JSON
	return types.StringValue(cmp.Or(text, noClaims))
}

// claimsValidator refuses what is no JSON object. Which claims there may be,
// the server knows.
type claimsValidator struct{}

func (claimsValidator) Description(context.Context) string {
	return "a JSON object, by jsonencode({ … })"
}

func (v claimsValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v claimsValidator) ValidateString(
	ctx context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if claimsIn(req.ConfigValue) == nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not claims", "Expected "+v.Description(ctx)+".")
	}
}
