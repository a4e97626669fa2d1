package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// accountRolesResource is svcauth_service_account_roles: all roles of a service
// account. It ends every other grant of the account.
type accountRolesResource struct{ connected }

type accountRolesModel struct {
	ID               types.String `tfsdk:"id"`
	ServiceAccountID types.String `tfsdk:"service_account_id"`
	RoleIDs          types.Set    `tfsdk:"role_ids"`
}

func (r *accountRolesResource) Metadata(
	_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = "svcauth_service_account_roles"
}

func (r *accountRolesResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "All roles that a service account holds: what is granted by anybody else is shown as " +
			"a difference and taken away. Have one of these for an account, and no " +
			"`svcauth_service_account_role` beside it. The roles do not expire.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The service account's id.",
			},
			"service_account_id": movable("The service account.", idValidator{svcauth.PrefixServiceAccount}),
			"role_ids": schema.SetAttribute{
				Required:            true,
				ElementType:         types.StringType,
				MarkdownDescription: "The ids of the roles; empty: none.",
				Validators: []validator.Set{setvalidator.SizeAtMost(svcauth.MaxRolesPerPrincipal),
					setvalidator.ValueStringsAre(idValidator{svcauth.PrefixRole})},
			},
		},
	}
}

// grantsKey is the key, in the private state, of this resource's own grants:
// role id to grant id. Without it, after an import, every grant counts as its
// own.
const grantsKey = "grants"

func ownGrants(ctx context.Context, d *diagnostics, private privateData) (own map[string]string) {
	raw, more := private.GetKey(ctx, grantsKey)
	d.Append(more...)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &own); err != nil {
			d.AddError("The state can't be read",
				fmt.Sprintf("What this provider noted of its grants is damaged (%v). Import the resource anew.", err))
		}
	}
	return own
}

func keepGrants(ctx context.Context, d *diagnostics, private privateData, own map[string]string) {
	raw, err := json.Marshal(own)
	if err != nil {
		panic(err) // texts
	}
	d.Append(private.SetKey(ctx, grantsKey, raw)...)
}

// put creates the missing grants before it ends the superfluous ones, so the
// account never lacks a role that it keeps. It updates own with the ids of the
// grants that it made or may have made.
func (r *accountRolesResource) put(
	ctx context.Context, client *svcauth.Client, d *diagnostics, m *accountRolesModel, own map[string]string,
) bool {
	id, wanted := m.ServiceAccountID.ValueString(), texts(m.RoleIDs)
	held, err := holds(ctx, client, id)
	if err != nil {
		r.fail(d, "Setting the roles failed", err)
		return false
	}
	for _, roleID := range wanted {
		if slices.ContainsFunc(held, func(g svcauth.Grant) bool {
			return g.RoleID == roleID && g.ID == own[roleID] && g.ExpiresAt == nil
		}) {
			continue
		}
		g := svcauth.Grant{ID: cmp.Or(own[roleID], svcauth.NewID(svcauth.PrefixGrant)), RoleID: roleID}
		answer, err := give(ctx, client, id, g)
		if err == nil || mayHaveBeenMade(err) {
			own[roleID] = g.ID
		}
		if err != nil {
			r.fail(d, "Granting the role "+roleID+" failed", err)
			return false
		}
		warnOfCredentials(d, answer.Warnings)
		warnOfDefault(d, answer.DefaultRefused)
	}
	for _, g := range held {
		if slices.Contains(wanted, g.RoleID) {
			continue
		}
		if err := take(ctx, client, id, g.RoleID, g.ID); err != nil {
			r.fail(d, "Taking the role "+g.Name+" away failed", err)
			return false
		}
		delete(own, g.RoleID)
	}
	return true
}

// Create stores what it has granted even if it fails half-way.
func (r *accountRolesResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan accountRolesModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Setting the roles failed")
	if client == nil {
		return
	}
	own := map[string]string{}
	if plan.ID = plan.ServiceAccountID; !r.put(ctx, client, &resp.Diagnostics, &plan, own) {
		if len(own) == 0 {
			return
		}
		plan.RoleIDs = textSet(slices.Collect(maps.Keys(own)))
	}
	keepGrants(ctx, &resp.Diagnostics, resp.Private, own)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

func (r *accountRolesResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, prior accountRolesModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	before := ownGrants(ctx, &resp.Diagnostics, req.Private)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Setting the roles failed")
	if client == nil {
		return
	}
	own, moved := map[string]string{}, !plan.ServiceAccountID.Equal(prior.ServiceAccountID)
	maps.Copy(own, before)
	done := r.put(ctx, client, &resp.Diagnostics, &plan, own)
	if done && moved {
		done = r.takeAll(ctx, client, &resp.Diagnostics, &prior, before, nil)
	}
	if !moved || done { // else the state stays as it was: the next apply does the rest
		keepGrants(ctx, &resp.Diagnostics, resp.Private, own)
	}
	if plan.ID = plan.ServiceAccountID; done {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Read shows every difference: roles too many and roles too few. An own grant
// counts as missing if somebody gave it an expiry or replaced it.
func (r *accountRolesResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m accountRolesModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	own := ownGrants(ctx, &resp.Diagnostics, req.Private)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.beginRead(&resp.Diagnostics, "the roles of "+m.ServiceAccountID.ValueString())
	if client == nil {
		return
	}
	held, err := holds(ctx, client, m.ServiceAccountID.ValueString())
	switch {
	case gone(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		r.fail(&resp.Diagnostics, "Reading the roles failed", err)
		return
	}
	if own == nil {
		own = map[string]string{}
		for _, g := range held {
			own[g.RoleID] = g.ID
		}
		keepGrants(ctx, &resp.Diagnostics, resp.Private, own)
	}
	ours, ids := texts(m.RoleIDs), []string{}
	for _, g := range held {
		if g.ExpiresAt == nil && g.ID == own[g.RoleID] || !slices.Contains(ours, g.RoleID) {
			ids = append(ids, g.RoleID)
		}
	}
	m.RoleIDs = textSet(ids)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *accountRolesResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m accountRolesModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	own := ownGrants(ctx, &resp.Diagnostics, req.Private)
	left := takenOver(ctx, &resp.Diagnostics, req.Private)
	if resp.Diagnostics.HasError() {
		return
	}
	if own == nil { // a tainted one's plan knows nothing of before: whichever grants there are
		own = map[string]string{}
		for _, roleID := range texts(m.RoleIDs) {
			own[roleID] = ""
		}
	}
	if client := r.begin(&resp.Diagnostics, "Taking the roles away failed"); client != nil {
		r.takeAll(ctx, client, &resp.Diagnostics, &m, own, left)
	}
}

// takeAll ends this resource's own grants, except those in left.
func (r *accountRolesResource) takeAll(
	ctx context.Context, client *svcauth.Client, d *diagnostics, m *accountRolesModel, own map[string]string,
	left []string,
) bool {
	for roleID, grantID := range own {
		if slices.Contains(left, m.ServiceAccountID.ValueString()+"/"+roleID) {
			continue
		}
		if err := take(ctx, client, m.ServiceAccountID.ValueString(), roleID, grantID); err != nil {
			r.fail(d, "Taking the role "+roleID+" away failed", err)
			return false
		}
	}
	return true
}

// ModifyPlan sets the id if the account is known, announces the grants that a
// creation will make, and tells what the server would warn of.
func (r *accountRolesResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	r.checkPlan(&resp.Diagnostics)
	announce(ctx, &resp.Diagnostics, resp.Private)
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan accountRolesModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), plan.ServiceAccountID)...)
	var prior accountRolesModel
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	}
	if (foresight{req.Config.Raw, req.State.Raw, req.Plan.Raw}).changes() {
		for _, roleID := range texts(plan.RoleIDs) {
			if plan.ServiceAccountID.Equal(prior.ServiceAccountID) && slices.Contains(texts(prior.RoleIDs), roleID) {
				continue
			}
			r.foresee(ctx, &resp.Diagnostics, rehearseGrant(plan.ServiceAccountID.ValueString(),
				svcauth.Grant{RoleID: roleID}))
		}
	}
	if !req.State.Raw.IsNull() || plan.ServiceAccountID.IsUnknown() || plan.RoleIDs.IsUnknown() {
		return
	}
	pairs := texts(plan.RoleIDs)
	for i, roleID := range pairs {
		pairs[i] = plan.ServiceAccountID.ValueString() + "/" + roleID
	}
	announce(ctx, &resp.Diagnostics, resp.Private, pairs...)
}

// ImportState expects the service account's id or name.
func (r *accountRolesResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	r.importInto(ctx, req, resp, "the roles", accountID, "id", "service_account_id")
}

var (
	_ resource.ResourceWithImportState = (*accountRolesResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*accountRolesResource)(nil)
)
