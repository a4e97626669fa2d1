package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Address is the provider's address in a registry.
const Address = "registry.terraform.io/svcauth/svcauth"

// New returns a factory of the provider. version goes into the User-Agent.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &svcauthProvider{version: strings.TrimPrefix(version, "v")} }
}

type svcauthProvider struct{ version string }

// providerModel is the provider block.
type providerModel struct {
	URL               types.String `tfsdk:"url"`
	ClientID          types.String `tfsdk:"client_id"`
	ClientSecret      types.String `tfsdk:"client_secret"`
	ClientSecretFile  types.String `tfsdk:"client_secret_file"`
	PrivateKeyFile    types.String `tfsdk:"private_key_file"`
	PrivateKeyID      types.String `tfsdk:"private_key_id"`
	AssertionFile     types.String `tfsdk:"assertion_file"`
	AssertionEnv      types.String `tfsdk:"assertion_env"`
	AssertionFrom     types.String `tfsdk:"assertion_from"`
	AssertionType     types.String `tfsdk:"assertion_type"`
	AssertionAudience types.String `tfsdk:"assertion_audience"`
	CertFile          types.String `tfsdk:"cert_file"`
	KeyFile           types.String `tfsdk:"key_file"`
	Profile           types.String `tfsdk:"profile"`
	ConfigFile        types.String `tfsdk:"config_file"`
	CAFile            types.String `tfsdk:"ca_file"`
	DPoP              types.Bool   `tfsdk:"dpop"`
	MaxRetries        types.Int64  `tfsdk:"max_retries"`
	HTTPHeaders       types.Map    `tfsdk:"http_headers"`
}

func (p *svcauthProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "svcauth", p.version
}

const maxRetriesLimit = 20

// Configure stores the configuration and signs in with it. What is unknown in a
// plan may be known when the server is first needed.
func (p *svcauthProvider) Configure(
	ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse,
) {
	var model providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	c := newConnection(ctx, model, userAgent(p.version, req.TerraformVersion), &resp.Diagnostics)
	c.signIn(ctx, &resp.Diagnostics)
	resp.ResourceData, resp.DataSourceData, resp.EphemeralResourceData = c, c, c
}

func (p *svcauthProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		newServiceAccountResource,
		func() resource.Resource { return &secretResource{} },
		newKeyResource,
		newFederatedResource,
		newCertificateResource,
		newRoleResource,
		func() resource.Resource { return &grantResource{holder: accountHolder} },
		func() resource.Resource { return &accountRolesResource{} },
		newMemberResource,
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
