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
type serviceAccountResource struct {
	object[serviceAccountModel, svcauth.ServiceAccount, *serviceAccountModel]
}

func newServiceAccountResource() resource.Resource {
	r := &serviceAccountResource{}
	r.get, r.change, r.find = (*svcauth.Client).ServiceAccount, changeServiceAccount, accountID
	r.rehearse = rehearseServiceAccount
	r.remove = func(ctx context.Context, client *svcauth.Client, m serviceAccountModel) error {
		_, err := client.DeleteServiceAccount(ctx, m.ID.ValueString(), 0)
		return err
	}
	return r
}

type serviceAccountModel struct {
	ID                 types.String `tfsdk:"id"`
	ClientID           types.String `tfsdk:"client_id"`
	Name               types.String `tfsdk:"name"`
	Description        types.String `tfsdk:"description"`
	Disabled           types.Bool   `tfsdk:"disabled"`
	TokenTTLSeconds    types.Int64  `tfsdk:"token_ttl_seconds"`
	TokenBinding       types.String `tfsdk:"token_binding"`
	DefaultResource    types.String `tfsdk:"default_resource"`
	Claims             types.String `tfsdk:"claims"`
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
			"token_binding":       tokenBindingAttribute(),
			"default_resource":    defaultResourceAttribute(),
			"claims":              claimsAttribute(),
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
	m.TokenBinding = bindingOf(a)
	m.DefaultResource, m.Claims = types.StringValue(a.DefaultResource), claimsText(m.Claims, a.Claims)
	m.CreatedAt, m.CreatedBy = stamp(a.CreatedAt), types.StringValue(a.CreatedBy.Email)
	if m.DeletionProtection.IsNull() || m.DeletionProtection.IsUnknown() { // after an import
		m.DeletionProtection = types.BoolValue(false)
	}
}

func (m *serviceAccountModel) objectID() string { return m.ID.ValueString() }

func (m *serviceAccountModel) guarded() *guarded {
	return &guarded{kind: "service account", name: m.Name, protection: m.DeletionProtection}
}

func (m *serviceAccountModel) same(other serviceAccountModel) bool { return *m == other }

// accountPatch returns what differs.
func accountPatch(prior, plan serviceAccountModel) svcauth.ServiceAccountPatch {
	patch := svcauth.ServiceAccountPatch{
		Name:         changedString(prior.Name, plan.Name),
		Description:  changedString(prior.Description, plan.Description),
		TokenBinding: changedString(prior.TokenBinding, plan.TokenBinding),

		DefaultResource: changedString(prior.DefaultResource, plan.DefaultResource),
	}
	if claims := claimsIn(plan.Claims); !sameClaims(prior.Claims, claims) {
		patch.Claims = &claims
	}
	if !plan.Disabled.Equal(prior.Disabled) {
		patch.Disabled = plan.Disabled.ValueBoolPointer()
	}
	if !plan.TokenTTLSeconds.Equal(prior.TokenTTLSeconds) {
		seconds := int(plan.TokenTTLSeconds.ValueInt64())
		patch.TokenTTLSeconds = &seconds
	}
	return patch
}

func rehearseServiceAccount(
	ctx context.Context, client *svcauth.Client, prior *serviceAccountModel, plan serviceAccountModel,
) (err error) {
	if prior == nil {
		account := newAccount(plan)
		account.Caution = aDryRun
		_, err = client.CreateServiceAccount(ctx, account)
	} else if patch := accountPatch(*prior, plan); patch != (svcauth.ServiceAccountPatch{}) {
		patch.Caution = aDryRun
		_, err = client.UpdateServiceAccount(ctx, prior.objectID(), 0, patch, 0)
	}
	return err
}

func changeServiceAccount(
	ctx context.Context, client *svcauth.Client, d *diagnostics, prior, plan serviceAccountModel,
	now svcauth.ServiceAccount,
) (svcauth.ServiceAccount, error) {
	patch := accountPatch(prior, plan)
	if patch == (svcauth.ServiceAccountPatch{}) { // only deletion_protection differs, or how claims are written
		return now, nil
	}
	changed, err := client.UpdateServiceAccount(ctx, now.ID, now.Version, patch, 0)
	if err == nil {
		warnOfCredentials(d, changed.Warnings)
		warnOfDefault(d, changed.DefaultRefused)
	}
	return changed, err
}

// changedString returns the planned value if it differs from the prior one, or
// else nil.
func changedString(prior, plan types.String) *string {
	if plan.Equal(prior) {
		return nil
	}
	return plan.ValueStringPointer()
}

var (
	_ resource.ResourceWithImportState = (*serviceAccountResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*serviceAccountResource)(nil)
	_ resource.ResourceWithConfigure   = (*serviceAccountResource)(nil)
)
