package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// serviceAccountData is the data source svcauth_service_account, and
// serviceAccountsData is svcauth_service_accounts.
type (
	serviceAccountData  struct{ connectedData }
	serviceAccountsData struct{ connectedData }
)

type accountView struct {
	ID              types.String `tfsdk:"id"`
	ClientID        types.String `tfsdk:"client_id"`
	Name            types.String `tfsdk:"name"`
	Description     types.String `tfsdk:"description"`
	Disabled        types.Bool   `tfsdk:"disabled"`
	TokenTTLSeconds types.Int64  `tfsdk:"token_ttl_seconds"`
	TokenBinding    types.String `tfsdk:"token_binding"`
	DefaultResource types.String `tfsdk:"default_resource"`
	Claims          types.String `tfsdk:"claims"`
	Roles           []refView    `tfsdk:"roles"`
	Secrets         []secretView `tfsdk:"secrets"`
	CreatedAt       types.String `tfsdk:"created_at"`
	CreatedBy       types.String `tfsdk:"created_by"`
	LastUsedAt      types.String `tfsdk:"last_used_at"`
}

type refView struct {
	ID   types.String `tfsdk:"id"`
	Name types.String `tfsdk:"name"`
}

type secretView struct {
	ID          types.String `tfsdk:"id"`
	Hint        types.String `tfsdk:"hint"`
	Description types.String `tfsdk:"description"`
	CreatedAt   types.String `tfsdk:"created_at"`
	CreatedBy   types.String `tfsdk:"created_by"`
	ExpiresAt   types.String `tfsdk:"expires_at"`
	LastUsedAt  types.String `tfsdk:"last_used_at"`
}

type accountsView struct {
	NamePrefix      types.String  `tfsdk:"name_prefix"`
	ServiceAccounts []accountView `tfsdk:"service_accounts"`
}

func viewAccount(a svcauth.ServiceAccount) accountView {
	v := accountView{
		ID:              types.StringValue(a.ID),
		ClientID:        types.StringValue(a.ClientID),
		Name:            types.StringValue(a.Name),
		Description:     types.StringValue(a.Description),
		Disabled:        types.BoolValue(a.Disabled),
		TokenTTLSeconds: types.Int64Value(int64(a.TokenTTLSeconds)),
		TokenBinding:    bindingOf(a),
		DefaultResource: types.StringValue(a.DefaultResource),
		Claims:          claimsText(types.StringNull(), a.Claims),
		Roles:           []refView{},
		Secrets:         []secretView{},
		CreatedAt:       stamp(a.CreatedAt),
		CreatedBy:       types.StringValue(a.CreatedBy.Email),
		LastUsedAt:      stampOrNull(a.LastUsedAt),
	}
	for _, r := range a.Roles {
		v.Roles = append(v.Roles, refView{types.StringValue(r.ID), types.StringValue(r.Name)})
	}
	for _, s := range a.Secrets {
		v.Secrets = append(v.Secrets,
			secretView{types.StringValue(s.ID), types.StringValue(s.Hint), types.StringValue(s.Description),
				stamp(s.CreatedAt), types.StringValue(s.CreatedBy.Email), stampOrNull(s.ExpiresAt),
				stampOrNull(s.LastUsedAt)})
	}
	return v
}

func computed(about string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: about}
}

// lookup returns an attribute by which a data source finds its object. Exactly
// one of it and other must be given.
func lookup(about, other string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		Computed:            true,
		MarkdownDescription: about + " Give this or `" + other + "`.",
		Validators: []validator.String{stringvalidator.ExactlyOneOf(path.MatchRoot(other)),
			stringvalidator.LengthAtLeast(1)},
	}
}

func accountAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":                computed("Its id, `sa_…`."),
		"client_id":         computed("The same as `id`."),
		"name":              computed("Its name."),
		"description":       computed("What it is for."),
		"disabled":          schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it gets no tokens."},
		"token_ttl_seconds": schema.Int64Attribute{Computed: true, MarkdownDescription: "How long its tokens live."},
		"token_binding":     computed("What its tokens must be bound to: `none`, `any`, `dpop` or `mtls`."),
		"default_resource": computed("The API that its tokens are for if a request names neither resource nor scope; " +
			"empty: every API of which it holds a privilege."),
		"claims": computed("Claims of its own in its tokens, a JSON object; `{}`: none."),
		"roles": schema.ListNestedAttribute{
			Computed:            true,
			MarkdownDescription: "The roles that it holds.",
			NestedObject: schema.NestedAttributeObject{
				Attributes: map[string]schema.Attribute{"id": computed("`role_…`"), "name": computed("Name.")},
			},
		},
		"secrets": schema.ListNestedAttribute{
			Computed:            true,
			MarkdownDescription: "What may be known of its secrets; never themselves.",
			NestedObject: schema.NestedAttributeObject{
				Attributes: map[string]schema.Attribute{
					"id":           computed("`sec_…`"),
					"hint":         computed("Its last four characters."),
					"description":  computed("Description."),
					"created_at":   computed("When it was made."),
					"created_by":   computed("Who made it; empty: not known."),
					"expires_at":   computed("When it expires; null: never."),
					"last_used_at": computed("When it was last used; null: never."),
				},
			},
		},
		"created_at":   computed("When it was made."),
		"created_by":   computed("Who made it."),
		"last_used_at": computed("When it last got a token; null: never."),
	}
}

func (s *serviceAccountData) Metadata(
	_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = "svcauth_service_account"
}

func (s *serviceAccountData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := accountAttributes()
	attributes["id"], attributes["name"] = lookup("Its id, `sa_…`.", "name"), lookup("Its exact name.", "id")
	resp.Schema = schema.Schema{MarkdownDescription: "One service account, by id or by name.", Attributes: attributes}
}

func (s *serviceAccountData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var v accountView
	client := s.beginWith(ctx, req, resp, "Reading the service account failed", map[string]*types.String{
		"id":   &v.ID,
		"name": &v.Name,
	})
	if client == nil {
		return
	}
	found, err := accountBy(ctx, client, v.ID, v.Name)
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the service account failed", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, viewAccount(found))...)
}

// accountBy finds an account by the attribute that is set. A name that looks
// like an id is still a name.
func accountBy(ctx context.Context, client *svcauth.Client, id, name types.String) (svcauth.ServiceAccount, error) {
	if id.IsNull() {
		return accountNamed(ctx, client, name.ValueString())
	}
	if !svcauth.ValidID(svcauth.PrefixServiceAccount, id.ValueString()) {
		return svcauth.ServiceAccount{}, errors.New("id is not the id of a service account (sa_…); give name instead")
	}
	return client.ServiceAccount(ctx, id.ValueString())
}

func (s *serviceAccountsData) Metadata(
	_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = "svcauth_service_accounts"
}

func (s *serviceAccountsData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The organization's service accounts, newest first.",
		Attributes: map[string]schema.Attribute{
			"name_prefix": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Only those whose name begins with it, in upper or lower case.",
			},
			"service_accounts": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "What was found.",
				NestedObject:        schema.NestedAttributeObject{Attributes: accountAttributes()},
			},
		},
	}
}

func (s *serviceAccountsData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	v := accountsView{ServiceAccounts: []accountView{}}
	client := s.beginWith(ctx, req, resp, "Reading the service accounts failed",
		map[string]*types.String{"name_prefix": &v.NamePrefix})
	if client == nil {
		return
	}
	byName := svcauth.ListOptions{Name: v.NamePrefix.ValueString()}
	for found, err := range svcauth.All(ctx, client.ServiceAccounts, byName) {
		if err != nil {
			s.fail(&resp.Diagnostics, "Reading the service accounts failed", err)
			return
		}
		v.ServiceAccounts = append(v.ServiceAccounts, viewAccount(found))
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, v)...)
}
