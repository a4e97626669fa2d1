package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// generatedSecret is the ephemeral resource svcauth_generated_secret: a new
// secret at each opening. It is generated here, without a server or a
// credential.
type generatedSecret struct{}

type generatedSecretModel struct {
	ClientSecret types.String `tfsdk:"client_secret"`
	Hint         types.String `tfsdk:"hint"`
}

func (generatedSecret) Metadata(_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = "svcauth_generated_secret"
}

func (generatedSecret) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A new client secret, made on this machine from 256 random bits, with the prefix and " +
			"check sum that secret scanners know. It is another one in each plan and apply; " +
			"write-only arguments with a version take the one of the apply in which the version changes.",
		Attributes: map[string]schema.Attribute{
			"client_secret": schema.StringAttribute{
				Computed:            true,
				Sensitive:           true,
				MarkdownDescription: "The secret.",
			},
			"hint": schema.StringAttribute{Computed: true, MarkdownDescription: "Its last four characters."},
		},
	}
}

func (generatedSecret) Open(ctx context.Context, _ ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	secret := svcauth.NewSecret()
	resp.Diagnostics.Append(
		resp.Result.Set(ctx,
			generatedSecretModel{types.StringValue(secret.Reveal()), types.StringValue(secret.Hint())})...)
}
