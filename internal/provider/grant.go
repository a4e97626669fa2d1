package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// accountRoleResource is svcauth_service_account_role: one grant. Others of the same account are none of its business.
type accountRoleResource struct{ connected }

type accountRoleModel struct {
	ID               types.String      `tfsdk:"id"`
	ServiceAccountID types.String      `tfsdk:"service_account_id"`
	RoleID           types.String      `tfsdk:"role_id"`
	ExpiresAt        timetypes.RFC3339 `tfsdk:"expires_at"`
}

func (r *accountRoleResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "svcauth_service_account_role"
}

func (r *accountRoleResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "One role that a service account holds. It leaves the account's other roles alone; `svcauth_service_account_roles` manages them all.",
		Attributes: map[string]schema.Attribute{
			"id":                 idAttribute("`<service_account_id>/<role_id>`."),
			"service_account_id": replacing("The service account.", idValidator{svcauth.PrefixServiceAccount}),
			"role_id":            replacing("The role.", idValidator{svcauth.PrefixRole}),
			"expires_at":         expiryAttribute("When the role is taken away again by itself, from live tokens too. Left out: never."),
		},
	}
}

// put grants the role, or sets the expiry of a grant that is there.
func (r *accountRoleResource) put(ctx context.Context, d *diagnostics, m *accountRoleModel) bool {
	client := r.begin(d, "Granting the role failed")
	if client == nil {
		return false
	}
	answer, err := client.AssignServiceAccountRole(ctx, m.ServiceAccountID.ValueString(), m.RoleID.ValueString(), svcauth.GrantRequest{ExpiresAt: instant(m.ExpiresAt)})
	if err != nil {
		r.fail(d, "Granting the role failed", err)
		return false
	}
	warnOfSecrets(d, answer.Warnings)
	warnOfSize(d, answer.Oversized)
	m.ID = types.StringValue(m.ServiceAccountID.ValueString() + "/" + m.RoleID.ValueString())
	return true
}

// warnOfSize tells whose tokens would be too long.
func warnOfSize(d *diagnostics, warnings []svcauth.SizeWarning) {
	for _, w := range warnings {
		d.AddWarning("The tokens of an account would be too long", w.String())
	}
}

// warnOfSecrets tells whose secrets can use what an account has just gained.
func warnOfSecrets(d *diagnostics, warnings []svcauth.SecretWarning) {
	for _, w := range warnings {
		d.AddWarning("A secret of this account was made by who holds less", w.String())
	}
}

func (r *accountRoleResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan accountRoleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if !resp.Diagnostics.HasError() && r.put(ctx, &resp.Diagnostics, &plan) {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

func (r *accountRoleResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan accountRoleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if !resp.Diagnostics.HasError() && r.put(ctx, &resp.Diagnostics, &plan) {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

func (r *accountRoleResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m accountRoleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.beginRead(&resp.Diagnostics, "the role grant "+m.ID.ValueString())
	if client == nil {
		return
	}
	held, err := grants(ctx, client, m.ServiceAccountID.ValueString())
	if err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Reading the role grant failed", err)
		return
	}
	for _, g := range held {
		if g.RoleID == m.RoleID.ValueString() {
			m.ExpiresAt = moment(m.ExpiresAt, g.ExpiresAt)
			resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
			return
		}
	}
	if err != nil || !past(m.ExpiresAt) { // a grant that has expired as it should stays in the state, and the plan says so: to make it anew can't succeed
		resp.State.RemoveResource(ctx)
	}
}

func (r *accountRoleResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m accountRoleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Taking the role away failed")
	if client == nil {
		return
	}
	if _, err := client.UnassignServiceAccountRole(ctx, m.ServiceAccountID.ValueString(), m.RoleID.ValueString(), "", 0); err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Taking the role away failed", err)
	}
}

// ModifyPlan says before an apply that a moment has passed: the server would refuse it half-way.
func (r *accountRoleResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan, prior accountRoleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	}
	switch {
	case resp.Diagnostics.HasError() || !past(plan.ExpiresAt):
	case plan.ExpiresAt.Equal(prior.ExpiresAt):
		resp.Diagnostics.AddAttributeWarning(path.Root("expires_at"), "The grant has expired",
			"It ended at "+plan.ExpiresAt.ValueString()+" and gives nothing any more. Choose a later moment, or remove this resource.")
	default:
		refusePast(&resp.Diagnostics, plan.ExpiresAt, "A grant that has expired is taken away by the server: choose a later moment, or remove this resource.")
	}
}

// past says whether a moment does not lie ahead; one that is not set or not known never does.
func past(at timetypes.RFC3339) bool {
	t := instant(at)
	return t != nil && !t.After(time.Now())
}

// refusePast refuses an expires_at that does not lie ahead.
func refusePast(d *diagnostics, at timetypes.RFC3339, advice string) {
	if past(at) {
		d.AddAttributeError(path.Root("expires_at"), "The moment has passed", fmt.Sprintf("expires_at is %s, which lies in the past. %s", at.ValueString(), advice))
	}
}

// ImportState takes <service account>/<role>, each by id or name.
func (r *accountRoleResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	client := r.begin(&resp.Diagnostics, "Importing the role grant failed")
	if client == nil {
		return
	}
	accountRef, roleRef, err := pair(req.ID, "<service account>/<role>, each by id or name")
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the role grant failed", err)
		return
	}
	holder, err := account(ctx, client, accountRef)
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
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("service_account_id"), holder.ID)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("role_id"), held.ID)...)
}

var (
	_ resource.ResourceWithImportState = (*accountRoleResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*accountRoleResource)(nil)
)
