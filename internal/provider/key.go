package provider

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

type keyModel struct {
	credentialFields
	PublicKey      types.String `tfsdk:"public_key"`
	JWKSURI        types.String `tfsdk:"jwks_uri"`
	Thumbprint     types.String `tfsdk:"thumbprint"`
	AcceptTokenURL types.Bool   `tfsdk:"accept_token_url_audience"`
}

// set leaves the key as the configuration wrote it. After an import it is the
// server's JWK.
func (m *keyModel) set(k svcauth.Key) {
	m.setFields(k.ID, k.Description, k.ExpiresAt, k.CreatedAt, k.CreatedBy)
	m.Thumbprint, m.AcceptTokenURL = types.StringValue(k.Thumbprint), types.BoolValue(k.AcceptTokenURLAudience)
	m.JWKSURI = textOrNull(k.JWKSURI)
	if m.PublicKey.ValueString() == "" {
		m.PublicKey = textOrNull(string(k.JWK))
	}
}

func newKeyResource() resource.Resource {
	r := &credentialResource[keyModel, svcauth.Key, *keyModel]{
		typeName: "svcauth_service_account_key", noun: "key", prefix: svcauth.PrefixKey,
		about: "A public key of a service account, which proves itself by what it signs with the private key " +
			"(`private_key_jwt`, RFC 7523); or where it publishes its keys. Exactly one of `public_key` and " +
			"`jwks_uri` is set. The private key is never given to the provider.",
		choices: []string{"public_key", "jwks_uri"},
		attributes: map[string]schema.Attribute{
			"public_key": schema.StringAttribute{
				Optional: true, Validators: []validator.String{publicKeyValidator{}},
				MarkdownDescription: "The public key, in PEM or as a JWK. A private one is refused. With another " +
					"key it makes a new one.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(
					otherKey, "another key", "another key")},
			},
			"jwks_uri": fixed("The https address at which the client publishes its keys as a JWKS: whatever is " +
				"there counts, so that it rotates them without an apply."),
			"thumbprint": idAttribute("Its thumbprint, RFC 7638 with SHA-256; empty with `jwks_uri`."),
			"accept_token_url_audience": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Take assertions whose `aud` is the token URL, too: only for clients that " +
					"can't be configured. Default: false.",
			},
		},
		get: (*svcauth.Client).Key, list: (*svcauth.Client).Keys,
	}
	r.create = func(ctx context.Context, client *svcauth.Client, m keyModel) (svcauth.Key, error) {
		n := svcauth.NewKey{
			Description: m.Description.ValueString(), ExpiresAt: instant(m.ExpiresAt),
			AcceptTokenURLAudience: m.AcceptTokenURL.ValueBool(),
		}
		n.JWKSURI = m.JWKSURI.ValueString()
		if text := strings.TrimSpace(m.PublicKey.ValueString()); isJWK(text) {
			n.JWK = json.RawMessage(text)
		} else {
			n.PEM = text
		}
		return client.CreateKey(ctx, m.ServiceAccountID.ValueString(), n)
	}
	r.update = func(ctx context.Context, client *svcauth.Client, m keyModel) (svcauth.Key, error) {
		account, id := m.ids()
		end := instant(m.ExpiresAt)
		return client.UpdateKey(ctx, account, id, svcauth.KeyPatch{
			Description: m.Description.ValueStringPointer(), ExpiresAt: end, ClearExpiresAt: end == nil,
			AcceptTokenURLAudience: m.AcceptTokenURL.ValueBoolPointer(),
		})
	}
	r.taken = func(k svcauth.Key, m keyModel) bool {
		if m.JWKSURI.ValueString() != "" {
			return m.JWKSURI.ValueString() == k.JWKSURI
		}
		key, err := parsePublicKey(m.PublicKey.ValueString())
		return err == nil && key.thumbprint == k.Thumbprint
	}
	r.differs = func(k svcauth.Key, m keyModel) []string {
		return differing(map[string]bool{
			"description":               k.Description != m.Description.ValueString(),
			"expires_at":                !sameInstant(k.ExpiresAt, instant(m.ExpiresAt)),
			"accept_token_url_audience": k.AcceptTokenURLAudience != m.AcceptTokenURL.ValueBool(),
		})
	}
	r.remove = func(client *svcauth.Client, ctx context.Context, account, id string) error {
		_, err := client.DeleteKey(ctx, account, id, true, 0)
		return err
	}
	return r
}

// differing returns the names that have true, in their order.
func differing(all map[string]bool) []string {
	maps.DeleteFunc(all, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(all))
}

// publicKey is by what a key is the same however it is written.
type publicKey struct{ thumbprint, kid, alg string }

func isJWK(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "{") }

// parsePublicKey reads a key as the server does. An error has none of the text.
func parsePublicKey(text string) (publicKey, error) {
	read := jwk.ParsePEM
	if isJWK(text) {
		read = func(text string) (jwk.Key, jwk.Verifier, error) { return jwk.Parse([]byte(text)) }
	}
	key, verifier, err := read(strings.TrimSpace(text))
	return publicKey{verifier.Thumbprint, key.Kid, key.Alg}, err
}

// otherKey has a new key made unless the text is the same key in another form,
// as after an import.
func otherKey(
	_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse,
) {
	was, err1 := parsePublicKey(req.StateValue.ValueString())
	next, err2 := parsePublicKey(req.PlanValue.ValueString())
	resp.RequiresReplace = err1 != nil || err2 != nil || was != next
}
