package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// apiData is the data source svcauth_api, and privilegesData is
// svcauth_privileges. Both read the catalogue.
type (
	apiData        struct{ connectedData }
	privilegesData struct{ connectedData }
)

type apiView struct {
	Audience    types.String `tfsdk:"audience"`
	Name        types.String `tfsdk:"name"`
	Description types.String `tfsdk:"description"`
	Privileges  types.Set    `tfsdk:"privileges"`

	Profile       *profileView `tfsdk:"profile"`
	AccountClaims types.Set    `tfsdk:"account_claims"`
}

// profileView is a profile as the catalogue says it.
type profileView struct {
	Preset           types.String `tfsdk:"preset"`
	SigningAlgorithm types.String `tfsdk:"signing_algorithm"`
	Typ              types.String `tfsdk:"typ"`
	ScopeClaim       types.String `tfsdk:"scope_claim"`
	AudienceForm     types.String `tfsdk:"audience_form"`
	Claims           types.String `tfsdk:"claims"`
}

func viewProfile(p *svcauth.Profile) (*profileView, error) {
	if p == nil {
		return nil, nil
	}
	claims, err := svcauth.ClaimsText(p.Claims)
	return &profileView{
		types.StringValue(p.Preset), types.StringValue(p.SigningAlgorithm), types.StringValue(p.Typ),
		types.StringValue(p.ScopeClaim), types.StringValue(p.AudienceForm), types.StringValue(claims),
	}, err
}

type privilegesView struct {
	API        types.String    `tfsdk:"api"`
	Names      types.Set       `tfsdk:"names"`
	Privileges []privilegeView `tfsdk:"privileges"`
}

type privilegeView struct {
	Name        types.String `tfsdk:"name"`
	Title       types.String `tfsdk:"title"`
	Description types.String `tfsdk:"description"`
	API         types.String `tfsdk:"api"`
}

func (s *apiData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "svcauth_api"
}

func (s *apiData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "One API of the catalogue, by audience or by name, and the " +
			"privileges that it understands.",
		Attributes: map[string]schema.Attribute{
			"audience":    lookup("Its audience, a URI.", "name"),
			"name":        lookup("Its exact name.", "audience"),
			"description": computed("What it is."),
			"privileges": schema.SetAttribute{
				Computed:            true,
				ElementType:         types.StringType,
				MarkdownDescription: "The names of its privileges.",
			},
			"profile": schema.SingleNestedAttribute{
				Computed: true,
				MarkdownDescription: "The form of the tokens for it, as the catalogue says it; null: the usual one. " +
					"What is empty is the preset's, or the usual.",
				Attributes: map[string]schema.Attribute{
					"preset":            computed("The gateway or library whose demands fill in what is empty."),
					"signing_algorithm": computed("The algorithm of the signature."),
					"typ":               computed("The type in the header."),
					"scope_claim":       computed("The claim that has the privileges."),
					"audience_form":     computed("The form of `aud`."),
					"claims":            computed("Further claims, a JSON object."),
				},
			},
			"account_claims": schema.SetAttribute{
				Computed:    true,
				ElementType: types.StringType,
				MarkdownDescription: "The names of the claims that service accounts may have of their own in " +
					"tokens for it.",
			},
		},
	}
}

func (s *apiData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var v apiView
	client := s.beginWith(ctx, req, resp, "Reading the API failed", map[string]*types.String{
		"audience": &v.Audience,
		"name":     &v.Name,
	})
	if client == nil {
		return
	}
	found, err := s.find(ctx, client, v)
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the API failed", err)
		return
	}
	all, err := collect(ctx, client.Privileges)
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the API's privileges failed", err)
		return
	}
	names := []string{}
	for _, p := range all {
		if p.API == found.Audience {
			names = append(names, p.Name)
		}
	}
	profile, err := viewProfile(found.Profile)
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the API's profile failed", err)
		return
	}
	v = apiView{types.StringValue(found.Audience), types.StringValue(found.Name), types.StringValue(found.Description),
		textSet(names), profile, textSet(found.AccountClaims)}
	resp.Diagnostics.Append(resp.State.Set(ctx, v)...)
}

func (s *apiData) find(ctx context.Context, client *svcauth.Client, v apiView) (svcauth.API, error) {
	if v.Audience.IsNull() {
		name := v.Name.ValueString()
		return first(ctx, client.APIs, svcauth.ListOptions{}, fmt.Sprintf("API with the name %q", name),
			func(a svcauth.API) bool { return a.Name == name })
	}
	audience := v.Audience.ValueString()
	return first(ctx, client.APIs, svcauth.ListOptions{}, fmt.Sprintf("API with the audience %q", audience),
		func(a svcauth.API) bool { return a.Audience == audience })
}

func (s *privilegesData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "svcauth_privileges"
}

func (s *privilegesData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The privileges that roles of this organization can hold.",
		Attributes: map[string]schema.Attribute{
			"api": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Only those of the API with this audience.",
			},
			"names": schema.SetAttribute{
				Computed:            true,
				ElementType:         types.StringType,
				MarkdownDescription: "Their names, for the `privileges` of a role.",
			},
			"privileges": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The same with what they mean.",
				NestedObject: schema.NestedAttributeObject{
					Attributes: map[string]schema.Attribute{
						"name":        computed("Such as `clusters:view`."),
						"title":       computed("For people."),
						"description": computed("What it allows."),
						"api":         computed("The audience of its API."),
					},
				},
			},
		},
	}
}

func (s *privilegesData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	v := privilegesView{Privileges: []privilegeView{}}
	client := s.beginWith(ctx, req, resp, "Reading the privileges failed",
		map[string]*types.String{"api": &v.API})
	if client == nil {
		return
	}
	all, err := collect(ctx, client.Privileges)
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the privileges failed", err)
		return
	}
	names := []string{}
	for _, p := range all {
		if v.API.IsNull() || p.API == v.API.ValueString() {
			names = append(names, p.Name)
			v.Privileges = append(v.Privileges,
				privilegeView{types.StringValue(p.Name), types.StringValue(p.Title), types.StringValue(p.Description),
					types.StringValue(p.API)})
		}
	}
	v.Names = textSet(names)
	resp.Diagnostics.Append(resp.State.Set(ctx, v)...)
}
