package provider

import (
	"context"
	"slices"

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
			"id":        idAttribute("The grant's id, `grt_…`."),
			"member_id": movable("The member.", idValidator{svcauth.PrefixMember}),
			"role_id":   movable("The role.", idValidator{svcauth.PrefixRole}),
		},
	}
}

// pair names the two that the grant is about; empty if one is not known.
func (m *memberRoleModel) pair() string {
	if m.MemberID.IsUnknown() || m.RoleID.IsUnknown() {
		return ""
	}
	return m.MemberID.ValueString() + "/" + m.RoleID.ValueString()
}

func (r *memberRoleResource) put(ctx context.Context, client *svcauth.Client, d *diagnostics, m *memberRoleModel) error {
	_, err := give(ctx, client, m.MemberID.ValueString(), svcauth.Grant{ID: m.ID.ValueString(), RoleID: m.RoleID.ValueString()})
	if err != nil {
		r.fail(d, "Granting the role failed", err)
	}
	return err
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
	plan.ID = types.StringValue(svcauth.NewID(svcauth.PrefixGrant))
	if err := r.put(ctx, client, &resp.Diagnostics, &plan); err == nil || mayHaveBeenMade(err) {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Update moves the grant: what is new is made before what was is taken away.
func (r *memberRoleResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, prior memberRoleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Granting the role failed")
	if client == nil || r.put(ctx, client, &resp.Diagnostics, &plan) != nil {
		return
	}
	if plan.pair() != prior.pair() {
		if err := take(ctx, client, prior.MemberID.ValueString(), prior.RoleID.ValueString(), prior.ID.ValueString()); err != nil {
			r.fail(&resp.Diagnostics, "Taking away what the grant was before failed", err)
			return // with the state as it was: the next apply does the rest
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
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
	held, err := holds(ctx, client, m.MemberID.ValueString())
	if err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Reading the role grant failed", err)
		return
	}
	for _, g := range held {
		if g.RoleID == m.RoleID.ValueString() && isOurs(m.ID, g) {
			m.ID = types.StringValue(g.ID)
			resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
			return
		}
	}
	resp.State.RemoveResource(ctx)
}

func (r *memberRoleResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m memberRoleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	left := takenOver(ctx, &resp.Diagnostics, req.Private)
	if resp.Diagnostics.HasError() || slices.Contains(left, m.pair()) {
		return
	}
	client := r.begin(&resp.Diagnostics, "Taking the role away failed")
	if client == nil {
		return
	}
	if err := take(ctx, client, m.MemberID.ValueString(), m.RoleID.ValueString(), m.ID.ValueString()); err != nil {
		r.fail(&resp.Diagnostics, "Taking the role away failed", err)
	}
}

// ModifyPlan announces the grant that a creation will make.
func (r *memberRoleResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || !req.State.Raw.IsNull() {
		announce(ctx, &resp.Diagnostics, resp.Private)
		return
	}
	var plan memberRoleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	announce(ctx, &resp.Diagnostics, resp.Private, plan.pair())
}

// ImportState takes <member>/<role>, the member by id or address, the role by id or name.
func (r *memberRoleResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	client := r.begin(&resp.Diagnostics, "Importing the role grant failed")
	if client == nil {
		return
	}
	holder, held, err := pair(ctx, client, req.ID, "<member>/<role>, each by id, or by address and name", member, role)
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the role grant failed", err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), holder.ID+"/"+held.ID)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("member_id"), holder.ID)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("role_id"), held.ID)...)
}

var (
	_ resource.ResourceWithImportState = (*memberRoleResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*memberRoleResource)(nil)
)
