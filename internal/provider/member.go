package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// memberResource is svcauth_member: a person. Creating one sends an invitation.
type memberResource struct {
	object[memberModel, svcauth.Member, *memberModel]
}

func newMemberResource() resource.Resource {
	r := &memberResource{}
	r.get, r.change, r.find = (*svcauth.Client).Member, changeMember, memberID
	r.remove = func(ctx context.Context, client *svcauth.Client, m memberModel) error {
		_, err := client.DeleteMember(ctx, m.ID.ValueString(), 0)
		return err
	}
	return r
}

type memberModel struct {
	ID                 types.String `tfsdk:"id"`
	Email              types.String `tfsdk:"email"`
	FirstName          types.String `tfsdk:"first_name"`
	LastName           types.String `tfsdk:"last_name"`
	Suspended          types.Bool   `tfsdk:"suspended"`
	DeletionProtection types.Bool   `tfsdk:"deletion_protection"`
	Status             types.String `tfsdk:"status"`
	CreatedAt          types.String `tfsdk:"created_at"`
}

func (r *memberResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "svcauth_member"
}

func (r *memberResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A member: a person who signs in to the console. Creating one invites it. " +
			"The link of the invitation lets whoever has it choose the password, so it is in no state: " +
			"the server sends it by mail. " +
			"A service account gets no link at all, so that with one the server must have `smtp` configured.",
		Attributes: map[string]schema.Attribute{
			"id": idAttribute("Its id, `mem_…`."),
			"email": schema.StringAttribute{Required: true, Validators: []validator.String{emailValidator{}},
				MarkdownDescription: "The address to which the invitation goes. The server keeps it in lower case; " +
					"capitals are no difference. Changing it makes a new one.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(func(_ context.Context,
					req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
					resp.RequiresReplace = !sameEmail(req.StateValue.ValueString(), req.PlanValue.ValueString())
				}, "Another address is another member.", "Another address is another member.")}},
			"first_name": personNameAttribute("First name."),
			"last_name":  personNameAttribute("Last name."),
			"suspended": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
				MarkdownDescription: "While true it can't sign in, and its application keys get no tokens. " +
					"Default: false.",
			},
			"deletion_protection": protectionAttribute(),
			"status": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "`invited`, `active` or `suspended`.",
			},
			"created_at": idAttribute("When it was invited."),
		},
	}
}

func (m *memberModel) set(a svcauth.Member) {
	if !sameEmail(m.Email.ValueString(), a.Email) { // else it stays as it was written
		m.Email = types.StringValue(a.Email)
	}
	m.ID = types.StringValue(a.ID)
	m.FirstName = types.StringValue(a.FirstName)
	m.LastName = types.StringValue(a.LastName)
	m.Suspended, m.Status, m.CreatedAt = types.BoolValue(a.Suspended), types.StringValue(a.Status), stamp(a.CreatedAt)
	if m.DeletionProtection.IsNull() || m.DeletionProtection.IsUnknown() {
		m.DeletionProtection = types.BoolValue(false)
	}
}

func (r *memberResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan memberModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Inviting the member failed")
	if client == nil {
		return
	}
	made, recovered, err := r.creation(client, plan).run(ctx)
	if err != nil {
		r.fail(&resp.Diagnostics, "Inviting the member failed",
			inTheWay(err, "svcauth_member", plan.Email.ValueString()))
		return
	}
	if recovered {
		resp.Diagnostics.AddWarning("The answer to an invitation was lost",
			fmt.Sprintf("%s was invited, but the connection broke before the answer came. "+
				"It was found again and is managed as %s.", made.Email, made.ID))
	}
	if i := made.Invitation; i != nil && i.Mail == svcauth.MailFailed {
		resp.Diagnostics.AddWarning("The invitation was not mailed", i.MailProblem)
	}
	wanted := plan.Suspended
	plan.set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	if !wanted.ValueBool() {
		return
	}
	made, err = client.UpdateMember(ctx, made.ID, 0, svcauth.MemberPatch{Suspended: wanted.ValueBoolPointer()}, 0)
	if err != nil {
		r.fail(&resp.Diagnostics, "The member was invited, but suspending it failed", err)
		return
	}
	plan.set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// creation recognizes a lost member by its address, which is unique within an
// organization, and by being new.
func (r *memberResource) creation(client *svcauth.Client, plan memberModel) creation[svcauth.Member] {
	began := time.Now()
	return creation[svcauth.Member]{
		what: "the member " + plan.Email.ValueString(),
		create: func(ctx context.Context) (svcauth.Member, error) {
			return client.InviteMember(ctx, svcauth.NewMember{
				Email:     plan.Email.ValueString(),
				FirstName: plan.FirstName.ValueString(),
				LastName:  plan.LastName.ValueString(),
			})
		},
		find: func(ctx context.Context) (svcauth.Member, bool, error) {
			found, err := member(ctx, client, plan.Email.ValueString())
			if _, none := err.(*notFoundError); none {
				return found, false, nil
			}
			if err != nil {
				return found, false, err
			}
			if found.CreatedAt.After(began.Add(-svcauth.MaxLeeway)) &&
				found.FirstName == plan.FirstName.ValueString() && found.LastName == plan.LastName.ValueString() {
				return found, true, nil
			}
			return found, false, fmt.Errorf("there is another member with this address, %s, "+
				"whom this apply did not invite", found.ID)
		},
	}
}

func (m *memberModel) objectID() string { return m.ID.ValueString() }

func (m *memberModel) guarded() *guarded {
	return &guarded{kind: "member", name: m.Email, protection: m.DeletionProtection}
}

// same ignores the status: an invitation that was accepted meanwhile is no
// change by somebody else.
func (m *memberModel) same(other memberModel) bool {
	other.Status = m.Status
	return *m == other
}

func changeMember(
	ctx context.Context, client *svcauth.Client, _ *diagnostics, prior, plan memberModel, now svcauth.Member,
) (svcauth.Member, error) {
	patch := svcauth.MemberPatch{
		FirstName: changedString(prior.FirstName, plan.FirstName),
		LastName:  changedString(prior.LastName, plan.LastName),
	}
	if !plan.Suspended.Equal(prior.Suspended) {
		patch.Suspended = plan.Suspended.ValueBoolPointer()
	}
	if patch == (svcauth.MemberPatch{}) {
		return now, nil
	}
	return client.UpdateMember(ctx, now.ID, now.Version, patch, 0)
}

// ModifyPlan also refuses another address for a protected member: that is
// another member.
func (r *memberResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	r.object.ModifyPlan(ctx, req, resp)
	if req.State.Raw.IsNull() || req.Plan.Raw.IsNull() {
		return
	}
	var was, next memberModel
	resp.Diagnostics.Append(req.State.Get(ctx, &was)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &next)...)
	if next.Email.IsUnknown() || !sameEmail(was.Email.ValueString(), next.Email.ValueString()) {
		protected(&resp.Diagnostics, was.DeletionProtection, was.Email)
	}
}

var (
	_ resource.ResourceWithImportState = (*memberResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*memberResource)(nil)
)
