package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// grantResource manages one role grant to one kind of principal. It leaves the
// principal's other grants alone.
type grantResource struct {
	connected
	holder
}

// holder describes a kind of principal that can hold roles, to the resource of
// its grants.
type holder struct {
	resource, attribute, prefix string
	about, aboutHolder          string
	importForm                  string
	find                        finder
}

var (
	accountHolder = holder{
		resource:  "svcauth_service_account_role",
		attribute: "service_account_id",
		prefix:    svcauth.PrefixServiceAccount,
		about: "One role that a service account holds. It leaves the account's other roles alone; " +
			"`svcauth_service_account_roles` manages them all.",
		aboutHolder: "The service account.",
		importForm:  "<service account>/<role>, each by id or name",
		find:        accountID,
	}
	memberHolder = holder{
		resource:    "svcauth_member_role",
		attribute:   "member_id",
		prefix:      svcauth.PrefixMember,
		about:       "One role that a member holds. The member's other roles are left alone.",
		aboutHolder: "The member.",
		importForm:  "<member>/<role>, each by id, or by address and name",
		find:        memberID,
	}
)

// grantModel is a grant in a plan or a state.
type grantModel struct {
	ID, HolderID, RoleID types.String
	ExpiresAt            timetypes.RFC3339
}

func (r *grantResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.resource
}

func (r *grantResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: r.about,
		Attributes: map[string]schema.Attribute{
			"id":        idAttribute("The grant's id, `grt_…`."),
			r.attribute: movable(r.aboutHolder, idValidator{r.prefix}),
			"role_id":   movable("The role.", idValidator{svcauth.PrefixRole}),
			"expires_at": expiryAttribute("When the role is taken away again by itself, from live tokens too. " +
				"Left out: never."),
		},
	}
}

// read returns the grant in a plan or a state.
func (r *grantResource) read(ctx context.Context, d *diagnostics, from interface {
	GetAttribute(ctx context.Context, at path.Path, target any) diag.Diagnostics
}) (m grantModel) {
	d.Append(from.GetAttribute(ctx, path.Root("id"), &m.ID)...)
	d.Append(from.GetAttribute(ctx, path.Root(r.attribute), &m.HolderID)...)
	d.Append(from.GetAttribute(ctx, path.Root("role_id"), &m.RoleID)...)
	d.Append(from.GetAttribute(ctx, path.Root("expires_at"), &m.ExpiresAt)...)
	return m
}

// keep stores the grant in a state.
func (r *grantResource) keep(ctx context.Context, d *diagnostics, state interface {
	SetAttribute(ctx context.Context, at path.Path, value any) diag.Diagnostics
}, m grantModel) {
	d.Append(state.SetAttribute(ctx, path.Root("id"), m.ID)...)
	d.Append(state.SetAttribute(ctx, path.Root(r.attribute), m.HolderID)...)
	d.Append(state.SetAttribute(ctx, path.Root("role_id"), m.RoleID)...)
	d.Append(state.SetAttribute(ctx, path.Root("expires_at"), m.ExpiresAt)...)
}

// pair returns "holder/role", or "" if one of them is unknown.
func (m *grantModel) pair() string {
	if m.HolderID.IsUnknown() || m.RoleID.IsUnknown() {
		return ""
	}
	return m.HolderID.ValueString() + "/" + m.RoleID.ValueString()
}

// put creates the grant, or sets its expiry.
func (r *grantResource) put(ctx context.Context, client *svcauth.Client, d *diagnostics, m *grantModel) error {
	answer, err := give(ctx, client, m.HolderID.ValueString(), svcauth.Grant{
		ID:        m.ID.ValueString(),
		RoleID:    m.RoleID.ValueString(),
		ExpiresAt: instant(m.ExpiresAt),
	})
	if err != nil {
		r.fail(d, "Granting the role failed", err)
		return err
	}
	warnOfCredentials(d, answer.Warnings)
	warnOfDefault(d, answer.DefaultRefused)
	return nil
}

// warnOfDefault warns of accounts whose requests without scope and resource
// are refused.
func warnOfDefault(d *diagnostics, warnings []svcauth.DefaultWarning) {
	for _, w := range warnings {
		d.AddWarning("An account gets no token without a scope or resource", w.String())
	}
}

// warnOfCredentials warns of credentials that gained privileges which their
// makers don't hold.
func warnOfCredentials(d *diagnostics, warnings []svcauth.CredentialWarning) {
	for _, w := range warnings {
		d.AddWarning("A credential of this account was made by who holds less", w.String())
	}
}

func (r *grantResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	plan := r.read(ctx, &resp.Diagnostics, req.Plan)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Granting the role failed")
	if client == nil {
		return
	}
	plan.ID = types.StringValue(svcauth.NewID(svcauth.PrefixGrant))
	if err := r.put(ctx, client, &resp.Diagnostics, &plan); err == nil || mayHaveBeenMade(err) {
		r.keep(ctx, &resp.Diagnostics, &resp.State, plan)
	}
}

// Update sets the expiry, or moves the grant. It creates the new grant before
// it ends the old one.
func (r *grantResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	plan, prior := r.read(ctx, &resp.Diagnostics, req.Plan), r.read(ctx, &resp.Diagnostics, req.State)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Granting the role failed")
	if client == nil || r.put(ctx, client, &resp.Diagnostics, &plan) != nil {
		return
	}
	if plan.pair() != prior.pair() {
		if err := take(ctx, client, prior.HolderID.ValueString(), prior.RoleID.ValueString(),
			prior.ID.ValueString()); err != nil {
			r.fail(&resp.Diagnostics, "Taking away what the grant was before failed", err)
			return // with the state as it was: the next apply does the rest
		}
	}
	r.keep(ctx, &resp.Diagnostics, &resp.State, plan)
}

// Read treats a grant with another id as somebody else's, in the place of this
// one, which is gone.
func (r *grantResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	m := r.read(ctx, &resp.Diagnostics, req.State)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.beginRead(&resp.Diagnostics, "the role grant "+m.ID.ValueString())
	if client == nil {
		return
	}
	held, err := holds(ctx, client, m.HolderID.ValueString())
	if err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, "Reading the role grant failed", err)
		return
	}
	at := slices.IndexFunc(held, func(g svcauth.Grant) bool { return g.RoleID == m.RoleID.ValueString() })
	switch {
	case at >= 0 && isOurs(m.ID, held[at]):
		m.ID, m.ExpiresAt = types.StringValue(held[at].ID), moment(m.ExpiresAt, held[at].ExpiresAt)
		r.keep(ctx, &resp.Diagnostics, &resp.State, m)
	// a grant that has expired as it should stays in the state, and the plan
	// says so: to make it anew can't succeed
	case err != nil || at >= 0 || !past(m.ExpiresAt):
		resp.State.RemoveResource(ctx)
	}
}

// isOurs reports whether a grant is the one in the state. Right after an import
// any grant is.
func isOurs(id types.String, g svcauth.Grant) bool {
	return id.ValueString() == g.ID || !svcauth.ValidID(svcauth.PrefixGrant, id.ValueString())
}

func (r *grantResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	m := r.read(ctx, &resp.Diagnostics, req.State)
	left := takenOver(ctx, &resp.Diagnostics, req.Private)
	if resp.Diagnostics.HasError() || slices.Contains(left, m.pair()) {
		return
	}
	client := r.begin(&resp.Diagnostics, "Taking the role away failed")
	if client == nil {
		return
	}
	if err := take(ctx, client, m.HolderID.ValueString(), m.RoleID.ValueString(), m.ID.ValueString()); err != nil {
		r.fail(&resp.Diagnostics, "Taking the role away failed", err)
	}
}

// ModifyPlan announces the grant that a creation will make, and tells what the
// server would warn of. It also refuses an expiry in the past, which the server
// would refuse in the middle of the apply.
func (r *grantResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	r.checkPlan(&resp.Diagnostics)
	if req.Plan.Raw.IsNull() {
		announce(ctx, &resp.Diagnostics, resp.Private)
		return
	}
	plan, prior := r.read(ctx, &resp.Diagnostics, req.Plan), grantModel{}
	if req.State.Raw.IsNull() {
		announce(ctx, &resp.Diagnostics, resp.Private, plan.pair())
	} else {
		announce(ctx, &resp.Diagnostics, resp.Private)
		prior = r.read(ctx, &resp.Diagnostics, req.State)
	}
	switch {
	case resp.Diagnostics.HasError() || !past(plan.ExpiresAt):
	case plan.ExpiresAt.Equal(prior.ExpiresAt):
		resp.Diagnostics.AddAttributeWarning(path.Root("expires_at"), "The grant has expired",
			"It ended at "+plan.ExpiresAt.ValueString()+
				" and gives nothing any more. Choose a later moment, or remove this resource.")
	default:
		refusePast(&resp.Diagnostics, plan.ExpiresAt,
			"A grant that has expired is taken away by the server: choose a later moment, or remove this resource.")
	}
	if past(plan.ExpiresAt) || !(foresight{req.Config.Raw, req.State.Raw, req.Plan.Raw}).changes() {
		return
	}
	r.foresee(ctx, &resp.Diagnostics, rehearseGrant(plan.HolderID.ValueString(), svcauth.Grant{
		ID: plan.ID.ValueString(), RoleID: plan.RoleID.ValueString(), ExpiresAt: instant(plan.ExpiresAt),
	}))
}

// past reports whether a moment is over. It returns false for one that is unset
// or unknown.
func past(at timetypes.RFC3339) bool {
	t := instant(at)
	return t != nil && !t.After(time.Now())
}

// refusePast adds an error if expires_at is in the past.
func refusePast(d *diagnostics, at timetypes.RFC3339, advice string) {
	if past(at) {
		d.AddAttributeError(path.Root("expires_at"), "The moment has passed",
			fmt.Sprintf("expires_at is %s, which lies in the past. %s", at.ValueString(), advice))
	}
}

// ImportState expects <holder>/<role>, each by id or name.
func (r *grantResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	client := r.begin(&resp.Diagnostics, "Importing the role grant failed")
	if client == nil {
		return
	}
	holderID, heldID, err := pair(ctx, client, req.ID, r.importForm, r.find, roleID)
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the role grant failed", err)
		return
	}
	r.keep(ctx, &resp.Diagnostics, &resp.State, grantModel{
		ID:        types.StringValue(holderID + "/" + heldID),
		HolderID:  types.StringValue(holderID),
		RoleID:    types.StringValue(heldID),
		ExpiresAt: timetypes.NewRFC3339Null(),
	})
}

var (
	_ resource.ResourceWithImportState = (*grantResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*grantResource)(nil)
)
