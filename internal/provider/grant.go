package provider

import (
	"context"
	"fmt"
	"slices"
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
			"id":                 idAttribute("The grant's id, `grt_…`."),
			"service_account_id": movable("The service account.", idValidator{svcauth.PrefixServiceAccount}),
			"role_id":            movable("The role.", idValidator{svcauth.PrefixRole}),
			"expires_at":         expiryAttribute("When the role is taken away again by itself, from live tokens too. Left out: never."),
		},
	}
}

// pair names the two that the grant is about; empty if one is not known.
func (m *accountRoleModel) pair() string {
	if m.ServiceAccountID.IsUnknown() || m.RoleID.IsUnknown() {
		return ""
	}
	return m.ServiceAccountID.ValueString() + "/" + m.RoleID.ValueString()
}

// put makes the grant that the model names, or sets its expiry.
func (r *accountRoleResource) put(ctx context.Context, client *svcauth.Client, d *diagnostics, m *accountRoleModel) error {
	answer, err := give(ctx, client, m.ServiceAccountID.ValueString(), svcauth.Grant{ID: m.ID.ValueString(), RoleID: m.RoleID.ValueString(), ExpiresAt: instant(m.ExpiresAt)})
	if err != nil {
		r.fail(d, "Granting the role failed", err)
		return err
	}
	warnOfSecrets(d, answer.Warnings)
	warnOfSize(d, answer.Oversized)
	return nil
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

// Update sets the expiry, or moves the grant: what is new is made before what
// was is taken away.
func (r *accountRoleResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, prior accountRoleModel
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
		if err := take(ctx, client, prior.ServiceAccountID.ValueString(), prior.RoleID.ValueString(), prior.ID.ValueString()); err != nil {
			r.fail(&resp.Diagnostics, "Taking away what the grant was before failed", err)
			return // with the state as it was: the next apply does the rest
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Read takes a grant of another id for what it is: somebody else's, in the place
// of this one, which is gone.
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
	held, err := holds(ctx, client, m.ServiceAccountID.ValueString())
	if err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Reading the role grant failed", err)
		return
	}
	at := slices.IndexFunc(held, func(g svcauth.Grant) bool { return g.RoleID == m.RoleID.ValueString() })
	switch {
	case at >= 0 && isOurs(m.ID, held[at]):
		m.ID, m.ExpiresAt = types.StringValue(held[at].ID), moment(m.ExpiresAt, held[at].ExpiresAt)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	case err != nil || at >= 0 || !past(m.ExpiresAt): // a grant that has expired as it should stays in the state, and the plan says so: to make it anew can't succeed
		resp.State.RemoveResource(ctx)
	}
}

// isOurs reports whether a grant is the one in the state; right after an import
// that is whichever there is.
func isOurs(id types.String, g svcauth.Grant) bool {
	return id.ValueString() == g.ID || !svcauth.ValidID(svcauth.PrefixGrant, id.ValueString())
}

func (r *accountRoleResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m accountRoleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	left := takenOver(ctx, &resp.Diagnostics, req.Private)
	if resp.Diagnostics.HasError() || slices.Contains(left, m.pair()) {
		return
	}
	client := r.begin(&resp.Diagnostics, "Taking the role away failed")
	if client == nil {
		return
	}
	if err := take(ctx, client, m.ServiceAccountID.ValueString(), m.RoleID.ValueString(), m.ID.ValueString()); err != nil {
		r.fail(&resp.Diagnostics, "Taking the role away failed", err)
	}
}

// ModifyPlan says before an apply that a moment has passed: the server would refuse it half-way.
func (r *accountRoleResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		announce(ctx, &resp.Diagnostics, resp.Private)
		return
	}
	var plan, prior accountRoleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if req.State.Raw.IsNull() {
		announce(ctx, &resp.Diagnostics, resp.Private, plan.pair())
	} else {
		announce(ctx, &resp.Diagnostics, resp.Private)
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
	holder, held, err := pair(ctx, client, req.ID, "<service account>/<role>, each by id or name", account, role)
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
