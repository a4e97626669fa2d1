package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Address is the provider's address in a registry.
const Address = "registry.terraform.io/svcauth/svcauth"

// New returns a factory of the provider. version goes into the User-Agent.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &svcauthProvider{version: version} }
}

type svcauthProvider struct{ version string }

// providerModel is the provider block.
type providerModel struct {
	URL              types.String `tfsdk:"url"`
	ClientID         types.String `tfsdk:"client_id"`
	ClientSecret     types.String `tfsdk:"client_secret"`
	ClientSecretFile types.String `tfsdk:"client_secret_file"`
	Profile          types.String `tfsdk:"profile"`
	ConfigFile       types.String `tfsdk:"config_file"`
	CAFile           types.String `tfsdk:"ca_file"`
	MaxRetries       types.Int64  `tfsdk:"max_retries"`
	HTTPHeaders      types.Map    `tfsdk:"http_headers"`
}

func (p *svcauthProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "svcauth", p.version
}

func (p *svcauthProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	text := func(about string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: about}
	}
	secret := text("The client's secret. Or set `SVCAUTH_CLIENT_SECRET`, which keeps it out of every file. " +
		"May be an ephemeral value.")
	secret.Sensitive = true
	resp.Schema = schema.Schema{
		MarkdownDescription: "Manages service accounts, secrets, roles and members of one svcauth organization. " +
			"Each setting is taken from its attribute, then from the " +
			"environment, then from a profile; `client_id` and its secret always come from one of these together.",
		Attributes: map[string]schema.Attribute{
			"url": text("The server's issuer, such as `https://auth.example.com`. " +
				"Or set `SVCAUTH_URL`."),
			"client_id": text("The id of an application key (`ak_…`) or a service account (`sa_…`). " +
				"Or set `SVCAUTH_CLIENT_ID`."),
			"client_secret": secret,
			"client_secret_file": text("A file that holds the secret alone; it is read anew for each token. " +
				"Or set `SVCAUTH_CLIENT_SECRET_FILE`."),
			"profile": text("Which profile of the profile file to use; it then comes before the environment. " +
				"Or set `SVCAUTH_PROFILE`, which comes after it. " +
				"Default: `default`."),
			"config_file": text("The profile file. Or set `SVCAUTH_CONFIG_FILE`. Default: " +
				"`~/.config/svcauth/credentials`."),
			"ca_file": text("A PEM file of certificates to trust beside the system's. Or set `SVCAUTH_CA_FILE`."),
			"max_retries": schema.Int64Attribute{
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(0, maxRetriesLimit)},
				MarkdownDescription: "How often a request that may succeed later is sent again, 0 to 20. Default: 3.",
			},
			"http_headers": schema.MapAttribute{
				Optional:    true,
				Sensitive:   true,
				ElementType: types.StringType,
				Validators:  []validator.Map{headersValidator{}},
				MarkdownDescription: "Headers to send with each request to the server, for a proxy in front of it " +
					"that wants its own. `Authorization` and those that HTTP itself needs are refused.",
			},
		},
	}
}

const maxRetriesLimit = 20

// Configure stores the configuration. It neither sends nor reads anything: what
// is unknown in a plan may be known when the server is first needed.
func (p *svcauthProvider) Configure(
	ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse,
) {
	var model providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	c := newConnection(ctx, model, userAgent(p.version, req.TerraformVersion), &resp.Diagnostics)
	resp.ResourceData, resp.DataSourceData, resp.EphemeralResourceData = c, c, c
}

func (p *svcauthProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &serviceAccountResource{} },
		func() resource.Resource { return &secretResource{} },
		func() resource.Resource { return &roleResource{} },
		func() resource.Resource { return &grantResource{holder: accountHolder} },
		func() resource.Resource { return &accountRolesResource{} },
		func() resource.Resource { return &memberResource{} },
		func() resource.Resource { return &grantResource{holder: memberHolder} },
	}
}

func (p *svcauthProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{
		func() ephemeral.EphemeralResource { return &generatedSecret{} },
		func() ephemeral.EphemeralResource { return &accessToken{} },
	}
}

func (p *svcauthProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &serviceAccountData{} },
		func() datasource.DataSource { return &serviceAccountsData{} },
		func() datasource.DataSource { return &roleData{} },
		func() datasource.DataSource { return &rolesData{} },
		func() datasource.DataSource { return &apiData{} },
		func() datasource.DataSource { return &privilegesData{} },
		func() datasource.DataSource { return &effectivePrivilegesData{} },
		func() datasource.DataSource { return &jwksData{} },
	}
}

func (p *svcauthProvider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		func() function.Function { return parseSecret{} },
		func() function.Function { return secretIsValid{} },
	}
}

var (
	_ provider.ProviderWithEphemeralResources = (*svcauthProvider)(nil)
	_ provider.ProviderWithFunctions          = (*svcauthProvider)(nil)
)
