package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// roleData is the data source svcauth_role, and rolesData the one of many.
type (
	roleData  struct{ connectedData }
	rolesData struct{ connectedData }
)

type roleView struct {
	ID              types.String `tfsdk:"id"`
	Name            types.String `tfsdk:"name"`
	Description     types.String `tfsdk:"description"`
	Privileges      types.Set    `tfsdk:"privileges"`
	RequiresBinding types.Bool   `tfsdk:"requires_binding"`
	System          types.Bool   `tfsdk:"system"`
	Members         types.Int64  `tfsdk:"members"`
	ServiceAccounts types.Int64  `tfsdk:"service_accounts"`
	CreatedAt       types.String `tfsdk:"created_at"`
}

type rolesView struct {
	Roles []roleView `tfsdk:"roles"`
}

func viewRole(r svcauth.Role) roleView {
	return roleView{
		ID:              types.StringValue(r.ID),
		Name:            types.StringValue(r.Name),
		Description:     types.StringValue(r.Description),
		Privileges:      textSet(r.Privileges),
		RequiresBinding: types.BoolValue(r.RequiresBinding),
		System:          types.BoolValue(r.System),
		Members:         types.Int64Value(int64(r.Members)),
		ServiceAccounts: types.Int64Value(int64(r.ServiceAccounts)),
		CreatedAt:       stamp(r.CreatedAt),
	}
}

func roleAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":          computed("Its id, `role_…`."),
		"name":        computed("Its name."),
		"description": computed("What it is for."),
		"created_at":  computed("When it was made."),
		"privileges": schema.SetAttribute{
			Computed:            true,
			ElementType:         types.StringType,
			MarkdownDescription: "What it gives.",
		},
		"requires_binding": schema.BoolAttribute{
			Computed:            true,
			MarkdownDescription: "Whether it is given by bound tokens only.",
		},
		"system": schema.BoolAttribute{
			Computed:            true,
			MarkdownDescription: "Whether it is `Administrator` or `Public`.",
		},
		"members": schema.Int64Attribute{Computed: true, MarkdownDescription: "How many members hold it."},
		"service_accounts": schema.Int64Attribute{
			Computed:            true,
			MarkdownDescription: "How many service accounts hold it.",
		},
	}
}

func (s *roleData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "svcauth_role"
}

func (s *roleData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := roleAttributes()
	attributes["id"], attributes["name"] = lookup("Its id, `role_…`.", "name"), lookup("Its exact name.", "id")
	resp.Schema = schema.Schema{MarkdownDescription: "One role, by id or by name.", Attributes: attributes}
}

func (s *roleData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var v roleView
	client := s.beginWith(ctx, req, resp, "Reading the role failed", map[string]*types.String{
		"id":   &v.ID,
		"name": &v.Name,
	})
	if client == nil {
		return
	}
	found, err := svcauth.Role{}, error(nil)
	switch {
	case v.ID.IsNull():
		found, err = roleNamed(ctx, client, v.Name.ValueString())
	case !svcauth.ValidID(svcauth.PrefixRole, v.ID.ValueString()):
		err = errors.New("id is not the id of a role (role_…); give name instead")
	default:
		found, err = client.Role(ctx, v.ID.ValueString())
	}
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the role failed", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, viewRole(found))...)
}

func (s *rolesData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "svcauth_roles"
}

func (s *rolesData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The organization's roles, newest first.",
		Attributes: map[string]schema.Attribute{
			"roles": schema.ListNestedAttribute{Computed: true, MarkdownDescription: "All of them, system roles too.",
				NestedObject: schema.NestedAttributeObject{Attributes: roleAttributes()}},
		},
	}
}

func (s *rolesData) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	client := s.begin(&resp.Diagnostics, "Reading the roles failed")
	if client == nil {
		return
	}
	all, err := collect(ctx, client.Roles)
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the roles failed", err)
		return
	}
	v := rolesView{Roles: []roleView{}}
	for _, r := range all {
		v.Roles = append(v.Roles, viewRole(r))
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, v)...)
}
