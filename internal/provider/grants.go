package provider

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// accountRolesResource is svcauth_service_account_roles: all roles that a service account holds. What is granted beside it is taken away.
type accountRolesResource struct{ connected }

type accountRolesModel struct {
	ID               types.String `tfsdk:"id"`
	ServiceAccountID types.String `tfsdk:"service_account_id"`
	RoleIDs          types.Set    `tfsdk:"role_ids"`
}

func (r *accountRolesResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "svcauth_service_account_roles"
}

func (r *accountRolesResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "All roles that a service account holds: what is granted by anybody else is shown as a difference and taken away. Have one of these for an account, and no " +
			"`svcauth_service_account_role` beside it. The roles do not expire.",
		Attributes: map[string]schema.Attribute{
			"id":                 idAttribute("The service account's id."),
			"service_account_id": replacing("The service account.", idValidator{svcauth.PrefixServiceAccount}),
			"role_ids": schema.SetAttribute{Required: true, ElementType: types.StringType, MarkdownDescription: "The ids of the roles; empty: none.",
				Validators: []validator.Set{setvalidator.SizeAtMost(svcauth.MaxRolesPerPrincipal), setvalidator.ValueStringsAre(idValidator{svcauth.PrefixRole})}},
		},
	}
}

// put grants what is missing before it takes away what is too much, so that nothing that stays is ever without its role.
func (r *accountRolesResource) put(ctx context.Context, d *diagnostics, m *accountRolesModel) bool {
	client := r.begin(d, "Setting the roles failed")
	if client == nil {
		return false
	}
	id, wanted := m.ServiceAccountID.ValueString(), texts(m.RoleIDs)
	held, err := grants(ctx, client, id)
	if err != nil {
		r.fail(d, "Setting the roles failed", err)
		return false
	}
	m.ID = m.ServiceAccountID
	for _, roleID := range wanted {
		if slices.ContainsFunc(held, func(g svcauth.Grant) bool { return g.RoleID == roleID && g.ExpiresAt == nil }) {
			continue
		}
		answer, err := client.AssignServiceAccountRole(ctx, id, roleID, svcauth.GrantRequest{})
		if err != nil {
			r.fail(d, "Granting the role "+roleID+" failed", err)
			return false
		}
		warnOfSecrets(d, answer.Warnings)
		warnOfSize(d, answer.Oversized)
	}
	for _, g := range held {
		if slices.Contains(wanted, g.RoleID) {
			continue
		}
		if _, err := client.UnassignServiceAccountRole(ctx, id, g.RoleID, "", 0); err != nil && !gone(err) {
			r.fail(d, "Taking the role "+g.Name+" away failed", err)
			return false
		}
	}
	return true
}

func (r *accountRolesResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan accountRolesModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if !resp.Diagnostics.HasError() && r.put(ctx, &resp.Diagnostics, &plan) {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

func (r *accountRolesResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan accountRolesModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if !resp.Diagnostics.HasError() && r.put(ctx, &resp.Diagnostics, &plan) {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Read shows every difference: a role too many, a role too few, and one of ours that somebody gave an expiry, which counts as missing.
func (r *accountRolesResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m accountRolesModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.beginRead(&resp.Diagnostics, "the roles of "+m.ServiceAccountID.ValueString())
	if client == nil {
		return
	}
	held, err := grants(ctx, client, m.ServiceAccountID.ValueString())
	switch {
	case gone(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		r.fail(&resp.Diagnostics, "Reading the roles failed", err)
		return
	}
	ours, ids := texts(m.RoleIDs), []string{}
	for _, g := range held {
		if g.ExpiresAt == nil || !slices.Contains(ours, g.RoleID) {
			ids = append(ids, g.RoleID)
		}
	}
	m.RoleIDs = textSet(ids)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *accountRolesResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m accountRolesModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Taking the roles away failed")
	if client == nil {
		return
	}
	for _, roleID := range texts(m.RoleIDs) {
		if _, err := client.UnassignServiceAccountRole(ctx, m.ServiceAccountID.ValueString(), roleID, "", 0); err != nil && !gone(err) {
			r.fail(&resp.Diagnostics, "Taking the role "+roleID+" away failed", err)
			return
		}
	}
}

// ImportState takes the service account's id or name.
func (r *accountRolesResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	client := r.begin(&resp.Diagnostics, "Importing the roles failed")
	if client == nil {
		return
	}
	holder, err := account(ctx, client, req.ID)
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the roles failed", err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), holder.ID)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("service_account_id"), holder.ID)...)
}

var _ resource.ResourceWithImportState = (*accountRolesResource)(nil)
