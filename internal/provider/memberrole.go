package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// memberRoleResource is svcauth_member_role: one role that a member holds.
type memberRoleResource struct{ connected }

type memberRoleModel struct {
	ID       types.String `tfsdk:"id"`
	MemberID types.String `tfsdk:"member_id"`
	RoleID   types.String `tfsdk:"role_id"`
}

func (r *memberRoleResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "svcauth_member_role"
}

func (r *memberRoleResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "One role that a member holds. The member's other roles are left alone.",
		Attributes: map[string]schema.Attribute{
			"id":        idAttribute("`<member_id>/<role_id>`."),
			"member_id": replacing("The member.", idValidator{svcauth.PrefixMember}),
			"role_id":   replacing("The role.", idValidator{svcauth.PrefixRole}),
		},
	}
}

func (r *memberRoleResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan memberRoleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Granting the role failed")
	if client == nil {
		return
	}
	if err := client.AssignMemberRole(ctx, plan.MemberID.ValueString(), plan.RoleID.ValueString(), svcauth.MemberGrantRequest{}); err != nil {
		r.fail(&resp.Diagnostics, "Granting the role failed", err)
		return
	}
	plan.ID = types.StringValue(plan.MemberID.ValueString() + "/" + plan.RoleID.ValueString())
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Update is never called: each attribute makes a new one.
func (r *memberRoleResource) Update(context.Context, resource.UpdateRequest, *resource.UpdateResponse) {
}

func (r *memberRoleResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m memberRoleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.beginRead(&resp.Diagnostics, "the role grant "+m.ID.ValueString())
	if client == nil {
		return
	}
	holder, err := client.Member(ctx, m.MemberID.ValueString())
	if err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Reading the role grant failed", err)
		return
	}
	for _, held := range holder.Roles {
		if held.ID == m.RoleID.ValueString() {
			return
		}
	}
	resp.State.RemoveResource(ctx)
}

func (r *memberRoleResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m memberRoleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Taking the role away failed")
	if client == nil {
		return
	}
	if _, err := client.UnassignMemberRole(ctx, m.MemberID.ValueString(), m.RoleID.ValueString(), "", 0); err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Taking the role away failed", err)
	}
}

// ImportState takes <member>/<role>, the member by id or address, the role by id or name.
func (r *memberRoleResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	client := r.begin(&resp.Diagnostics, "Importing the role grant failed")
	if client == nil {
		return
	}
	memberRef, roleRef, err := pair(req.ID, "<member>/<role>, each by id, or by address and name")
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the role grant failed", err)
		return
	}
	holder, err := member(ctx, client, memberRef)
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the role grant failed", err)
		return
	}
	held, err := role(ctx, client, roleRef)
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the role grant failed", err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), holder.ID+"/"+held.ID)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("member_id"), holder.ID)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("role_id"), held.ID)...)
}

var _ resource.ResourceWithImportState = (*memberRoleResource)(nil)
