package provider

import (
	"cmp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// tokenBindingAttribute is what the tokens of an account must be bound to.
func tokenBindingAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		Optional:   true,
		Computed:   true,
		Default:    stringdefault.StaticString(svcauth.TokenBindingNone),
		Validators: []validator.String{stringvalidator.OneOf(svcauth.TokenBindings()...)},
		MarkdownDescription: "What its tokens must be bound to, so that whoever only has one can't use it: `none` " +
			"(a DPoP proof binds if it is sent), `any` (a proof or a client certificate), `dpop` (a proof) or " +
			"`mtls` (a client certificate). A token request that shows nothing of it is refused. " +
			"**Asking for more ends those of its tokens that are not bound so, at once**: a client that does not " +
			"bind them yet stops until it does (under `none` a proof binds already, so let it send them first). " +
			"Tokens that are bound so live on. Asking for less ends none, and needs every privilege of the account. " +
			"Default: `none`.",
	}
}

// requiresBindingAttribute is whether a role is given by bound tokens only.
func requiresBindingAttribute() schema.BoolAttribute {
	return schema.BoolAttribute{
		Optional: true,
		Computed: true,
		Default:  booldefault.StaticBool(false),
		MarkdownDescription: "While true, it is given by bound tokens only: a request for a token that would carry " +
			"it is refused without a DPoP proof, or the client certificate of an account whose `token_binding` is " +
			"`any` or `mtls`. **Setting it ends at once the tokens that carry the role and are not bound**, of " +
			"whichever account or application key; bound ones live on. " +
			"Taking it back ends none, and needs every privilege of the role. Default: false.",
	}
}

// bindingOf returns what an account's tokens must be bound to; a server that
// doesn't know of it demands nothing.
func bindingOf(a svcauth.ServiceAccount) types.String {
	return types.StringValue(cmp.Or(a.TokenBinding, svcauth.TokenBindingNone))
}
