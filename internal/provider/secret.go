package provider

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// secretResource is svcauth_service_account_secret. The secret comes in through
// a write-only argument and is stored nowhere: the state holds its id and its
// last four characters. A new version is a rotation, which adds the new secret
// before it ends the previous one.
type secretResource struct{ connected }

type secretModel struct {
	ID                    types.String         `tfsdk:"id"`
	ServiceAccountID      types.String         `tfsdk:"service_account_id"`
	ClientSecretWO        types.String         `tfsdk:"client_secret_wo"`
	ClientSecretWOVersion types.Int64          `tfsdk:"client_secret_wo_version"`
	Description           types.String         `tfsdk:"description"`
	ExpiresAt             timetypes.RFC3339    `tfsdk:"expires_at"`
	KeepPreviousFor       timetypes.GoDuration `tfsdk:"keep_previous_for"`
	RevokeTokens          types.Bool           `tfsdk:"revoke_tokens"`
	Hint                  types.String         `tfsdk:"hint"`
	CreatedAt             types.String         `tfsdk:"created_at"`
	CreatedBy             types.String         `tfsdk:"created_by"`
	Generation            types.Int64          `tfsdk:"generation"`
	Previous              types.List           `tfsdk:"previous"`
}

// previousSecret is a secret that a rotation left working for a while.
type previousSecret struct {
	ID        types.String `tfsdk:"id"`
	Hint      types.String `tfsdk:"hint"`
	ExpiresAt types.String `tfsdk:"expires_at"`
}

var previousType = types.ObjectType{
	AttrTypes: map[string]attrType{"id": types.StringType, "hint": types.StringType, "expires_at": types.StringType},
}

func (r *secretResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "svcauth_service_account_secret"
}

func (r *secretResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A secret of a service account. The secret itself is a write-only argument: " +
			"it is in no state and no plan. A new `client_secret_wo_version` rotates it.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The id of the present secret, `sec_…`.",
			},
			"service_account_id": replacing("The service account.", idValidator{svcauth.PrefixServiceAccount}),
			"client_secret_wo": schema.StringAttribute{
				Required:   true,
				WriteOnly:  true,
				Sensitive:  true,
				Validators: []validator.String{secretValidator{}},
				MarkdownDescription: "The secret, write-only: made by `svcauth_generated_secret`, or elsewhere in " +
					"the same form. It is used when the secret is made, and when its version changes.",
			},
			"client_secret_wo_version": schema.Int64Attribute{
				Required: true,
				MarkdownDescription: "Change it to rotate: the value of `client_secret_wo` at that moment becomes " +
					"the new secret. After an import the first apply notes it and rotates nothing.",
			},
			"description": descriptionAttribute(),
			"expires_at": expiryAttribute("When the secret stops working. Plans warn from 30 days before. " +
				"Left out: never."),
			"keep_previous_for": schema.StringAttribute{
				Optional:   true,
				CustomType: timetypes.GoDurationType{},
				Validators: []validator.String{durationValidator{}},
				MarkdownDescription: "For how long a rotation lets the previous secret work on, such as `24h`. " +
					"Left out: the previous one is removed as soon as the new one is there.",
			},
			"revoke_tokens": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
				MarkdownDescription: "Whether the tokens that a secret obtained die with it when Terraform removes " +
					"it. Default: false, they live until they expire.",
			},
			"hint": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The last four characters of the present secret.",
			},
			"created_at": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "When the present secret was made.",
			},
			"created_by": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Who made the present secret, in words; empty: not known.",
			},
			"generation": schema.Int64Attribute{
				Computed: true,
				MarkdownDescription: "A number that is another one whenever the secret is: made anew, rotated, " +
					"replaced or imported. A plan in which that is due shows `(known after apply)`. " +
					"Tie to it whatever takes the same secret, such as the `…_wo_version` beside it. " +
					"It is when the secret was made, in milliseconds of Unix time.",
			},
			"previous": schema.ListAttribute{
				Computed:    true,
				ElementType: previousType,
				MarkdownDescription: "Secrets that rotations have left working for a while: " +
					"`id`, `hint`, `expires_at`.",
			},
		},
	}
}

// set copies the server's view of the present secret. The generation is made of
// nothing else, so that it is the same after an import or with another state.
func (m *secretModel) set(s svcauth.SecretInfo) {
	m.ID = types.StringValue(s.ID)
	m.Hint = types.StringValue(s.Hint)
	m.Description = types.StringValue(s.Description)
	m.CreatedAt = stamp(s.CreatedAt)
	m.CreatedBy = types.StringValue(s.CreatedBy.Email)
	m.Generation = types.Int64Value(s.CreatedAt.UnixMilli())
	m.ExpiresAt = moment(m.ExpiresAt, s.ExpiresAt)
	m.ClientSecretWO = types.StringNull() // never leaves the configuration
	if m.RevokeTokens.IsNull() || m.RevokeTokens.IsUnknown() {
		m.RevokeTokens = types.BoolValue(false)
	}
}

// previous returns the secrets that are still to end.
func (m *secretModel) previous(ctx context.Context, d *diagnostics) (list []previousSecret) {
	if !m.Previous.IsNull() && !m.Previous.IsUnknown() {
		d.Append(m.Previous.ElementsAs(ctx, &list, false)...)
	}
	return list
}

func (m *secretModel) setPrevious(ctx context.Context, d *diagnostics, list []previousSecret) {
	if list == nil {
		list = []previousSecret{}
	}
	value, more := types.ListValueFrom(ctx, previousType, list)
	d.Append(more...)
	m.Previous = value
}

func (r *secretResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan, config secretModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...) // the write-only argument is here alone
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Adding the secret failed")
	if client == nil {
		return
	}
	plan.setPrevious(ctx, &resp.Diagnostics, nil)
	secret := svcauth.Secret(config.ClientSecretWO.ValueString())
	made, err := secretApply{r.connection, client, &resp.Diagnostics}.add(ctx, plan, secret)
	if err != nil {
		r.fail(&resp.Diagnostics, "Adding the secret failed", err)
		if lost := (*lostError)(nil); errors.As(err, &lost) {
			// Without an id: the next plan looks for it by its hint and has it
			// removed before another one is made.
			plan.set(svcauth.SecretInfo{Hint: secret.Hint(),
				Description: plan.Description.ValueString(), ExpiresAt: instant(plan.ExpiresAt), CreatedAt: time.Now()})
			plan.ID = types.StringNull()
			resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		}
		return
	}
	plan.set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

func (r *secretResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m secretModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.beginRead(&resp.Diagnostics, "the secret "+m.ID.ValueString())
	if client == nil {
		return
	}
	all, err := client.Secrets(ctx, m.ServiceAccountID.ValueString())
	switch {
	case gone(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		r.fail(&resp.Diagnostics, "Reading the secret failed", err)
		return
	}
	present, found := secretOf(all.Items, m)
	if !found && !past(m.ExpiresAt) {
		resp.State.RemoveResource(ctx)
		return
	}
	if found { // else it has expired as it should and was swept away: the plan says so, and a new version rotates it
		m.set(present)
	}
	var left []previousSecret
	for _, p := range m.previous(ctx, &resp.Diagnostics) {
		if s, there := secretWithID(all.Items, p.ID.ValueString()); there {
			left = append(left, previousSecret{p.ID, p.Hint, stampOrNull(s.ExpiresAt)})
		}
	}
	m.setPrevious(ctx, &resp.Diagnostics, left)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// secretOf returns the resource's present secret. If its creation was never
// answered, secretOf finds it by what else is known of it.
func secretOf(all []svcauth.SecretInfo, m secretModel) (svcauth.SecretInfo, bool) {
	if !m.ID.IsNull() {
		return secretWithID(all, m.ID.ValueString())
	}
	for _, s := range all {
		if began, err := time.Parse(time.RFC3339, m.CreatedAt.ValueString()); err == nil &&
			s.Hint == m.Hint.ValueString() && s.CreatedAt.After(began.Add(-svcauth.MaxLeeway)) {
			return s, true
		}
	}
	return svcauth.SecretInfo{}, false
}

func secretWithID(all []svcauth.SecretInfo, id string) (svcauth.SecretInfo, bool) {
	for _, s := range all {
		if s.ID == id {
			return s, true
		}
	}
	return svcauth.SecretInfo{}, false
}

// Delete removes the present secret, and the previous ones with it.
func (r *secretResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m secretModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Removing the secret failed")
	if client == nil {
		return
	}
	lost, more := req.Private.GetKey(ctx, lostKey)
	resp.Diagnostics.Append(more...)
	apply := secretApply{r.connection, client, &resp.Diagnostics}
	if err := apply.removeLost(ctx, m, decodeList[lostSecret](lost)); err != nil {
		r.fail(&resp.Diagnostics, "Looking for a secret of an earlier apply failed", err)
	}
	ids := []string{}
	for _, p := range m.previous(ctx, &resp.Diagnostics) {
		ids = append(ids, p.ID.ValueString())
	}
	if m.ID.IsNull() { // only if the refresh was skipped
		all, err := client.Secrets(ctx, m.ServiceAccountID.ValueString())
		if err != nil && !gone(err) {
			r.fail(&resp.Diagnostics, "Removing the secret failed", err)
			return
		}
		if s, found := secretOf(all.Items, m); found {
			m.ID = types.StringValue(s.ID)
		}
	}
	if !m.ID.IsNull() {
		ids = append(ids, m.ID.ValueString())
	}
	for _, id := range ids {
		if err := apply.remove(ctx, &m, id, m.RevokeTokens.ValueBool()); err != nil {
			r.fail(&resp.Diagnostics, "Removing the secret "+id+" failed", err)
		}
	}
}

var (
	_ resource.ResourceWithImportState = (*secretResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*secretResource)(nil)
)
