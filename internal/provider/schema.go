package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/tokensource"
)

func (p *svcauthProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"url": text("The server's issuer, such as `https://auth.example.com`. Or set `SVCAUTH_URL`."),
		"profile": text("Which profile of the profile file to use; it then comes before the environment. " +
			"Or set `SVCAUTH_PROFILE`, which comes after it. Default: `default`."),
		"config_file": text("The profile file. Or set `SVCAUTH_CONFIG_FILE`. Default: " +
			"`~/.config/svcauth/credentials`."),
		"ca_file": text("A PEM file of certificates to trust beside the system's. Or set `SVCAUTH_CA_FILE`."),
		"dpop": schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "Whether to bind the provider's own tokens to a key that it makes for each run " +
				"(DPoP, RFC 9449), so that one that leaks is of no use. Or set `SVCAUTH_DPOP`. Default: `false`.",
		},
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
	}
	maps.Copy(attributes, credentialAttributes())
	resp.Schema = schema.Schema{
		MarkdownDescription: "Manages service accounts, secrets, roles and members of one svcauth organization. " +
			"Each setting is taken from its attribute, then from the environment, then from a profile; all of a " +
			"credential (`client_id` and what proves it) always comes from one of these.",
		Attributes: attributes,
	}
}

func text(about string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: about}
}

func oneOf(about string, values ...string) schema.StringAttribute {
	a := text(about)
	a.Validators = []validator.String{stringvalidator.OneOf(values...)}
	return a
}

// credentialAttributes are client_id and the ways to authenticate, of which one
// is used. Their names are those of a profile's keys.
func credentialAttributes() map[string]schema.Attribute {
	secret := text("The client's secret. Or set `SVCAUTH_CLIENT_SECRET`, which keeps it out of every file. " +
		"May be an ephemeral value.")
	secret.Sensitive = true
	return map[string]schema.Attribute{
		"client_id": text("The id of an application key (`ak_…`) or a service account (`sa_…`). " +
			"Or set `SVCAUTH_CLIENT_ID`. May be left out with a token whose audience names the organization."),
		"client_secret": secret,
		"client_secret_file": text("A file that holds the secret alone; it is read anew for each token. " +
			"Or set `SVCAUTH_CLIENT_SECRET_FILE`."),
		"private_key_file": text("A private key whose public part is registered for the client: PEM or a JWK. " +
			"It signs each token request and is never sent. Or set `SVCAUTH_PRIVATE_KEY_FILE`."),
		"private_key_id": text("The key's id, if it is not the one in the JWK or else the key's thumbprint. " +
			"Or set `SVCAUTH_PRIVATE_KEY_ID`."),
		"assertion_file": text("A file with a token of another issuer that the client's federated credential " +
			"trusts, as Kubernetes and SPIFFE write them; it is read anew for each token. " +
			"Or set `SVCAUTH_ASSERTION_FILE`."),
		"assertion_env": text("The name of a variable with such a token. Or set `SVCAUTH_ASSERTION_ENV`."),
		"assertion_from": oneOf("The platform to get such a token from: `github-actions` or `hcp-terraform`. "+
			"By default, if nothing but `client_id` is set, the one on which Terraform runs. "+
			"Or set `SVCAUTH_ASSERTION_FROM`.", tokensource.GitHubActions, tokensource.HCPTerraform),
		"assertion_type": oneOf("The type of the token in `assertion_file` or `assertion_env`: `jwt-bearer` "+
			"(default) or `jwt-spiffe`. Or set `SVCAUTH_ASSERTION_TYPE`.",
			tokensource.JWTBearer, tokensource.JWTSPIFFE),
		"assertion_audience": text("The audience that GitHub Actions is asked for and that a private key signs. " +
			"Default: `url`. Or set `SVCAUTH_ASSERTION_AUDIENCE`."),
		"cert_file": text("A certificate that is registered for the client, with its chain, in PEM form, for " +
			"mutual TLS; it is read anew for each connection. Or set `SVCAUTH_CERT_FILE`."),
		"key_file": text("The private key of `cert_file`, in PEM form. Or set `SVCAUTH_KEY_FILE`."),
	}
}
