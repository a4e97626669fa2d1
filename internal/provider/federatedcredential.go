package provider

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

type federatedModel struct {
	credentialFields
	Name       types.String            `tfsdk:"name"`
	Preset     types.String            `tfsdk:"preset"`
	Issuer     types.String            `tfsdk:"issuer"`
	Audience   types.String            `tfsdk:"audience"`
	Subject    types.String            `tfsdk:"subject"`
	Claims     map[string]types.String `tfsdk:"claims"`
	JWKS       types.String            `tfsdk:"jwks"`
	JWKSURI    types.String            `tfsdk:"jwks_uri"`
	Algorithms types.Set               `tfsdk:"algorithms"`
	MaxAge     types.Int64             `tfsdk:"max_age_seconds"`
	OneTime    types.Bool              `tfsdk:"one_time"`
	TTLSeconds types.Int64             `tfsdk:"token_ttl_seconds"`
	Privileges []types.String          `tfsdk:"privileges"`
	Strict     types.Bool              `tfsdk:"strict"`
}

func (m *federatedModel) set(c svcauth.FederatedCredential) {
	m.setFields(c.ID, c.Description, c.ExpiresAt, c.CreatedAt, c.CreatedBy)
	m.Name = types.StringValue(c.Name)
	m.Preset, m.Issuer, m.Audience = textOrNull(c.Preset), types.StringValue(c.Issuer), types.StringValue(c.Audience)
	m.Subject, m.JWKSURI = textOrNull(c.Subject), textOrNull(c.JWKSURI)
	if m.JWKS.ValueString() == "" || len(c.JWKS) == 0 {
		m.JWKS = textOrNull(string(c.JWKS))
	}
	if len(c.Claims) > 0 || m.Claims != nil {
		m.Claims = map[string]types.String{}
		for name, value := range c.Claims {
			m.Claims[name] = types.StringValue(value)
		}
	}
	m.Algorithms, m.MaxAge = textSet(c.Algorithms), types.Int64Value(int64(c.MaxAge))
	m.OneTime, m.TTLSeconds = types.BoolValue(c.OneTime), types.Int64Value(int64(c.TTLSeconds))
	m.Privileges = nil
	for _, one := range c.Privileges {
		m.Privileges = append(m.Privileges, types.StringValue(one))
	}
	if m.Strict.IsNull() || m.Strict.IsUnknown() { // after an import
		m.Strict = types.BoolValue(false)
	}
}

func (m *federatedModel) claims() map[string]string {
	all := map[string]string{}
	for name, value := range m.Claims {
		all[name] = value.ValueString()
	}
	return all
}

func (m *federatedModel) privileges() (all []string) {
	for _, one := range m.Privileges {
		all = append(all, one.ValueString())
	}
	return all
}

// algorithms returns those that the configuration names, or none.
func (m *federatedModel) algorithms() []string {
	all := []string{}
	for _, one := range m.Algorithms.Elements() {
		if text, ok := one.(types.String); ok {
			all = append(all, text.ValueString())
		}
	}
	return all
}

func (m *federatedModel) jwks() json.RawMessage {
	if m.JWKS.ValueString() == "" {
		return nil
	}
	return json.RawMessage(m.JWKS.ValueString())
}

// given is an optional text that the server fills in where it is left out.
func given(about string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, Computed: true, MarkdownDescription: about,
		PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
}

func federatedAttributes() map[string]schema.Attribute {
	preset := fixed("What kind of issuer it is: fills in what is left out, and warns.")
	preset.Validators = []validator.String{stringvalidator.OneOf(svcauth.FederatedPresets()...)}
	return map[string]schema.Attribute{
		"name":     nameAttribute("Unique in the service account, 1 to 64 characters."),
		"preset":   preset,
		"issuer":   given("The `iss` of its tokens, to the letter. Left out: that of the preset."),
		"audience": given("The only `aud` of its tokens. Left out: the server's issuer."),
		"subject": schema.StringAttribute{Optional: true,
			MarkdownDescription: "The `sub` of its tokens, to the letter. Left out: any; an id must be among " +
				"the claims."},
		"claims": schema.MapAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "What further claims its tokens must have, each exactly this text."},
		"jwks": schema.StringAttribute{Optional: true,
			MarkdownDescription: "The issuer's key set, if it can't be fetched. Public keys only."},
		"jwks_uri": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Where the issuer's key set is, if it has no OpenID discovery."},
		"algorithms": schema.SetAttribute{
			Optional: true, Computed: true, ElementType: types.StringType,
			Validators:    []validator.Set{setvalidator.SizeAtLeast(1)},
			PlanModifiers: []planmodifier.Set{setplanmodifier.UseStateForUnknown()},
			MarkdownDescription: "The algorithms that its tokens may be signed with. Left out: RS256, ES256 and the " +
				"preset's others.",
		},
		"max_age_seconds": schema.Int64Attribute{
			Optional: true, Computed: true,
			Validators:          []validator.Int64{int64validator.Between(1, svcauth.MaxFederatedAgeSeconds)},
			PlanModifiers:       []planmodifier.Int64{int64planmodifier.UseStateForUnknown()},
			MarkdownDescription: "How old its tokens may be, 1 to 86400 seconds. Left out: 3600, or the preset's.",
		},
		"one_time": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Each of its tokens works once, and must have a `jti`. Default: false."},
		"token_ttl_seconds": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(0),
			MarkdownDescription: "How long the tokens that are got by it live at most; 0: no longer than the " +
				"issuer's token. Default: 0."},
		"privileges": schema.SetAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "What the tokens that are got by it carry at most. Left out: all that the " +
				"roles grant."},
		"strict": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Refuse it if there is anything to warn of, rather than warn. Default: false."},
	}
}

func newFederatedResource() resource.Resource {
	r := &credentialResource[federatedModel, svcauth.FederatedCredential, *federatedModel]{
		typeName: "svcauth_federated_credential", noun: "federated credential", prefix: svcauth.PrefixFederated,
		about: "Trust in another issuer: a service account proves itself by a token of GitHub Actions, GitLab, " +
			"Kubernetes, HCP Terraform, SPIFFE or a cloud, so that it needs no secret.",
		attributes: federatedAttributes(),
		filled:     []string{"issuer", "audience", "algorithms", "max_age_seconds"},
		get:        (*svcauth.Client).FederatedCredential, list: (*svcauth.Client).FederatedCredentials,
	}
	r.create = createFederated
	r.update, r.rehearse = updateFederated, rehearseFederated
	r.taken = func(c svcauth.FederatedCredential, m federatedModel) bool {
		return sameName(c.Name, m.Name.ValueString())
	}
	r.differs = federatedDiffers
	r.remove = func(client *svcauth.Client, ctx context.Context, account, id string) error {
		_, err := client.DeleteFederatedCredential(ctx, account, id, true, 0)
		return err
	}
	r.warn = func(d *diagnostics, c svcauth.FederatedCredential) {
		for _, w := range c.Warnings {
			d.AddWarning("Others could come to have tokens that fit the federated credential "+c.Name, w.Message)
		}
	}
	return r
}

func createFederated(
	ctx context.Context, client *svcauth.Client, m federatedModel,
) (svcauth.FederatedCredential, error) {
	return client.CreateFederatedCredential(ctx, m.ServiceAccountID.ValueString(), m.asked(m.caution()))
}

// rehearseFederated asks by a dry run what a creation or a change would be
// warned of.
func rehearseFederated(ctx context.Context, client *svcauth.Client, m federatedModel) (err error) {
	if account, id := m.ids(); id == "" {
		_, err = client.CreateFederatedCredential(ctx, account, m.asked(aDryRun))
	} else {
		_, err = client.UpdateFederatedCredential(ctx, account, id, m.patch(aDryRun))
	}
	return err
}

func (m *federatedModel) caution() svcauth.Caution {
	return svcauth.Caution{Strict: m.Strict.ValueBool()}
}

// asked returns the request that makes it.
func (m *federatedModel) asked(c svcauth.Caution) svcauth.NewFederatedCredential {
	return svcauth.NewFederatedCredential{
		Name: m.Name.ValueString(), Description: m.Description.ValueString(), Preset: m.Preset.ValueString(),
		Issuer: m.Issuer.ValueString(), Audience: m.Audience.ValueString(), Subject: m.Subject.ValueString(),
		Claims: m.claims(), JWKS: m.jwks(), JWKSURI: m.JWKSURI.ValueString(), OneTime: m.OneTime.ValueBool(),
		Algorithms: m.algorithms(), MaxAge: int(m.MaxAge.ValueInt64()), Privileges: m.privileges(),
		TTLSeconds: int(m.TTLSeconds.ValueInt64()), ExpiresAt: instant(m.ExpiresAt),
		Caution: c,
	}
}

func updateFederated(
	ctx context.Context, client *svcauth.Client, m federatedModel,
) (svcauth.FederatedCredential, error) {
	account, id := m.ids()
	return client.UpdateFederatedCredential(ctx, account, id, m.patch(m.caution()))
}

// patch returns what the configuration has, and for what it leaves out the word
// by which the server fills it in anew: empty, none or 0.
func (m *federatedModel) patch(c svcauth.Caution) svcauth.FederatedCredentialPatch {
	issuer, audience, subject := m.Issuer.ValueString(), m.Audience.ValueString(), m.Subject.ValueString()
	claims, privileges, algorithms := m.claims(), m.privileges(), m.algorithms()
	age, ttl := int(m.MaxAge.ValueInt64()), int(m.TTLSeconds.ValueInt64())
	patch := svcauth.FederatedCredentialPatch{
		Name: m.Name.ValueStringPointer(), Description: m.Description.ValueStringPointer(), Issuer: &issuer,
		Audience: &audience, Subject: &subject, Claims: &claims, Algorithms: &algorithms, MaxAge: &age,
		OneTime: m.OneTime.ValueBoolPointer(), TTLSeconds: &ttl, Caution: c,
		ExpiresAt: instant(m.ExpiresAt), JWKS: m.jwks(), JWKSURI: m.JWKSURI.ValueStringPointer(),
	}
	if patch.ClearPrivileges = m.Privileges == nil; !patch.ClearPrivileges {
		patch.Privileges = &privileges
	}
	patch.ClearExpiresAt, patch.ClearJWKS = patch.ExpiresAt == nil, patch.JWKS == nil
	patch.ClearJWKSURI = patch.JWKSURI == nil
	return patch
}

// federatedDiffers compares all that a creation sent with what there is. What
// it left out the server may have filled in.
func federatedDiffers(c svcauth.FederatedCredential, m federatedModel) []string {
	given := func(v attrValue) bool { return !v.IsNull() && !v.IsUnknown() }
	sorted := func(texts []string) []string { return slices.Sorted(slices.Values(texts)) }
	return differing(map[string]bool{
		"description":       c.Description != m.Description.ValueString(),
		"expires_at":        !sameInstant(c.ExpiresAt, instant(m.ExpiresAt)),
		"preset":            c.Preset != m.Preset.ValueString(),
		"issuer":            given(m.Issuer) && c.Issuer != m.Issuer.ValueString(),
		"audience":          given(m.Audience) && c.Audience != m.Audience.ValueString(),
		"subject":           c.Subject != m.Subject.ValueString(),
		"claims":            !maps.Equal(c.Claims, m.claims()),
		"jwks":              (len(c.JWKS) == 0) != (m.jwks() == nil),
		"jwks_uri":          c.JWKSURI != m.JWKSURI.ValueString(),
		"algorithms":        given(m.Algorithms) && !slices.Equal(sorted(c.Algorithms), sorted(m.algorithms())),
		"max_age_seconds":   given(m.MaxAge) && int64(c.MaxAge) != m.MaxAge.ValueInt64(),
		"one_time":          c.OneTime != m.OneTime.ValueBool(),
		"token_ttl_seconds": int64(c.TTLSeconds) != m.TTLSeconds.ValueInt64(),
		"privileges":        !slices.Equal(sorted(c.Privileges), sorted(m.privileges())),
	})
}
