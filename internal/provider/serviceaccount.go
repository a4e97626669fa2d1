package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// serviceAccountResource is svcauth_service_account: the account without its
// secrets and roles, which are resources of their own.
type serviceAccountResource struct{ connected }

type serviceAccountModel struct {
	ID                 types.String `tfsdk:"id"`
	ClientID           types.String `tfsdk:"client_id"`
	Name               types.String `tfsdk:"name"`
	Description        types.String `tfsdk:"description"`
	Disabled           types.Bool   `tfsdk:"disabled"`
	TokenTTLSeconds    types.Int64  `tfsdk:"token_ttl_seconds"`
	DeletionProtection types.Bool   `tfsdk:"deletion_protection"`
	CreatedAt          types.String `tfsdk:"created_at"`
	CreatedBy          types.String `tfsdk:"created_by"`
}

func (r *serviceAccountResource) Metadata(
	_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = "svcauth_service_account"
}

func (r *serviceAccountResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A service account: a machine identity of the organization, an OAuth2 client. " +
			"It is made without a secret; `svcauth_service_account_secret` adds one.",
		Attributes: map[string]schema.Attribute{
			"id":          idAttribute("Its id, `sa_…`."),
			"client_id":   idAttribute("With which it asks for tokens; the same as `id`."),
			"name":        nameAttribute("Unique in the organization, 1 to 64 characters."),
			"description": descriptionAttribute(),
			"disabled": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
				MarkdownDescription: "While true it gets no tokens, and those that it has are refused at once. " +
					"Default: false.",
			},
			"token_ttl_seconds": schema.Int64Attribute{
				Optional:      true,
				Computed:      true,
				PlanModifiers: []planmodifier.Int64{int64planmodifier.UseStateForUnknown()},
				Validators: []validator.Int64{int64validator.Between(svcauth.MinTokenTTLSeconds,
					svcauth.MaxTokenTTLSeconds)},
				MarkdownDescription: fmt.Sprintf("How long its tokens live, %d to %d. Left out: "+
					"the server's default at its creation; taken out later: it stays as it was.",
					svcauth.MinTokenTTLSeconds, svcauth.MaxTokenTTLSeconds),
			},
			"deletion_protection": protectionAttribute(),
			"created_at":          idAttribute("When it was made."),
			"created_by":          idAttribute("Who made it, in words."),
		},
	}
}

// set copies the server's view. Only Terraform knows deletion_protection.
func (m *serviceAccountModel) set(a svcauth.ServiceAccount) {
	m.ID = types.StringValue(a.ID)
	m.ClientID = types.StringValue(a.ClientID)
	m.Name = types.StringValue(a.Name)
	m.Description = types.StringValue(a.Description)
	m.Disabled, m.TokenTTLSeconds = types.BoolValue(a.Disabled), types.Int64Value(int64(a.TokenTTLSeconds))
	m.CreatedAt, m.CreatedBy = stamp(a.CreatedAt), types.StringValue(a.CreatedBy.Email)
	if m.DeletionProtection.IsNull() || m.DeletionProtection.IsUnknown() { // after an import
		m.DeletionProtection = types.BoolValue(false)
	}
}

func (r *serviceAccountResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m serviceAccountModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.beginRead(&resp.Diagnostics, "the service account "+m.ID.ValueString())
	if client == nil {
		return
	}
	account, err := client.ServiceAccount(ctx, m.ID.ValueString())
	switch {
	case gone(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		r.fail(&resp.Diagnostics, "Reading the service account failed", err)
		return
	}
	m.set(account)
	r.read(*m.guarded(), true)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// Update changes what differs. It doesn't overwrite what somebody else has
// changed since the plan was made.
func (r *serviceAccountResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var prior, plan serviceAccountModel
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Changing the service account failed")
	if client == nil {
		return
	}
	now, err := client.ServiceAccount(ctx, prior.ID.ValueString())
	if err != nil {
		r.fail(&resp.Diagnostics, "Changing the service account failed", err)
		return
	}
	seen := prior
	seen.set(now)
	if seen != prior {
		resp.Diagnostics.AddError("The service account was changed meanwhile", "Somebody changed "+
			prior.ID.ValueString()+" after this plan was made. Nothing was overwritten; plan and apply again.")
		return
	}
	patch := svcauth.ServiceAccountPatch{
		Name:        changedString(prior.Name, plan.Name),
		Description: changedString(prior.Description, plan.Description),
	}
	if !plan.Disabled.Equal(prior.Disabled) {
		patch.Disabled = plan.Disabled.ValueBoolPointer()
	}
	if !plan.TokenTTLSeconds.Equal(prior.TokenTTLSeconds) {
		seconds := int(plan.TokenTTLSeconds.ValueInt64())
		patch.TokenTTLSeconds = &seconds
	}
	if patch != (svcauth.ServiceAccountPatch{}) { // else only deletion_protection differs
		if now, err = client.UpdateServiceAccount(ctx, now.ID, now.Version, patch, 0); err != nil {
			r.fail(&resp.Diagnostics, "Changing the service account failed", err)
			return
		}
		warnOfSecrets(&resp.Diagnostics, now.Warnings)
	}
	plan.set(now)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// changedString returns the planned value if it differs from the prior one, or
// else nil.
func changedString(prior, plan types.String) *string {
	if plan.Equal(prior) {
		return nil
	}
	return plan.ValueStringPointer()
}

func (r *serviceAccountResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var m serviceAccountModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || protected(&resp.Diagnostics, m.DeletionProtection, m.Name) {
		return
	}
	client := r.begin(&resp.Diagnostics, "Removing the service account failed")
	if client == nil {
		return
	}
	if _, err := client.DeleteServiceAccount(ctx, m.ID.ValueString(), 0); err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Removing the service account failed", err)
	}
}

// ModifyPlan refuses to plan the end of a protected service account.
func (r *serviceAccountResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var was, next serviceAccountModel
	var prior, plan *guarded
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &was)...)
		prior = was.guarded()
	}
	if !req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(req.Plan.Get(ctx, &next)...)
		plan = next.guarded()
	}
	r.guard(ctx, &resp.Diagnostics, resp.Private, prior, plan)
}

func (m *serviceAccountModel) guarded() *guarded {
	return &guarded{kind: "service account", name: m.Name, protection: m.DeletionProtection}
}

// ImportState expects an id or a name.
func (r *serviceAccountResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	r.importInto(ctx, req, resp, "the service account", accountID, "id")
}

var (
	_ resource.ResourceWithImportState = (*serviceAccountResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*serviceAccountResource)(nil)
	_ resource.ResourceWithConfigure   = (*serviceAccountResource)(nil)
)
