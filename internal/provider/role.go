package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// roleResource is svcauth_role.
type roleResource struct {
	object[roleModel, svcauth.Role, *roleModel]
}

func newRoleResource() resource.Resource {
	r := &roleResource{}
	r.get, r.change, r.find, r.rehearse = (*svcauth.Client).Role, changeRole, roleID, rehearseRole
	r.remove = func(ctx context.Context, client *svcauth.Client, m roleModel) error {
		_, err := client.DeleteRole(ctx, m.ID.ValueString(), 0)
		if err != nil && m.System.ValueBool() {
			err = fmt.Errorf("%w A system role can't be deleted; to let Terraform forget it, use a removed block "+
				"or terraform state rm", err)
		}
		return err
	}
	return r
}

type roleModel struct {
	ID                 types.String `tfsdk:"id"`
	Name               types.String `tfsdk:"name"`
	Description        types.String `tfsdk:"description"`
	Privileges         types.Set    `tfsdk:"privileges"`
	RequiresBinding    types.Bool   `tfsdk:"requires_binding"`
	System             types.Bool   `tfsdk:"system"`
	DeletionProtection types.Bool   `tfsdk:"deletion_protection"`
	CreatedAt          types.String `tfsdk:"created_at"`
}

func (r *roleResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "svcauth_role"
}

func (r *roleResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A role: a named set of privileges, for service accounts and members alike.",
		Attributes: map[string]schema.Attribute{
			"id": idAttribute("Its id, `role_…`."),
			"name": nameAttribute("Unique in the organization, 1 to 64 characters. " +
				"A new name ends all tokens that carry the role."),
			"description": descriptionAttribute(),
			"privileges": schema.SetAttribute{
				Optional:    true,
				Computed:    true,
				ElementType: types.StringType,
				Default:     setdefault.StaticValue(types.SetValueMust(types.StringType, nil)),
				Validators:  []validator.Set{setvalidator.SizeAtMost(svcauth.MaxPrivilegesPerRole)},
				MarkdownDescription: "What it gives, such as `clusters:view`; " +
					"`svcauth_privileges` lists what there is. Tokens that carry a " +
					"privilege which is taken off are refused at once.",
			},
			"requires_binding": requiresBindingAttribute(),
			"system": schema.BoolAttribute{
				Computed:      true,
				PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Whether it is `Administrator` or `Public`. " +
					"These can be imported but not made or destroyed.",
			},
			"deletion_protection": protectionAttribute(),
			"created_at":          idAttribute("When it was made."),
		},
	}
}

func (m *roleModel) set(r svcauth.Role) {
	m.ID, m.Name, m.Description = types.StringValue(r.ID), types.StringValue(r.Name), types.StringValue(r.Description)
	m.Privileges, m.System, m.CreatedAt = textSet(r.Privileges), types.BoolValue(r.System), stamp(r.CreatedAt)
	m.RequiresBinding = types.BoolValue(r.RequiresBinding)
	if m.DeletionProtection.IsNull() || m.DeletionProtection.IsUnknown() {
		m.DeletionProtection = types.BoolValue(false)
	}
}

func (m *roleModel) objectID() string { return m.ID.ValueString() }

func (m *roleModel) guarded() *guarded {
	return &guarded{kind: "role", name: m.Name, protection: m.DeletionProtection}
}

func (m *roleModel) same(other roleModel) bool {
	return m.Name.Equal(other.Name) && m.Description.Equal(other.Description) &&
		m.Privileges.Equal(other.Privileges) && m.RequiresBinding.Equal(other.RequiresBinding)
}

func (r *roleResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan roleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Creating the role failed")
	if client == nil {
		return
	}
	made, recovered, err := r.creation(client, plan).run(ctx)
	if err != nil {
		r.fail(&resp.Diagnostics, "Creating the role failed", inTheWay(err, "svcauth_role", plan.Name.ValueString()))
		return
	}
	if recovered {
		resp.Diagnostics.AddWarning("The answer to a creation was lost",
			fmt.Sprintf("The role %q was made, but the connection broke before the answer came. "+
				"It was found again and is managed as %s.", made.Name, made.ID))
	}
	plan.set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// creation recognizes a lost role by being new and exactly as requested.
func (r *roleResource) creation(client *svcauth.Client, plan roleModel) creation[svcauth.Role] {
	name, began := plan.Name.ValueString(), time.Now()
	return creation[svcauth.Role]{
		what: fmt.Sprintf("the role %q", name),
		create: func(ctx context.Context) (svcauth.Role, error) {
			return client.CreateRole(ctx, svcauth.NewRole{
				Name:            name,
				Description:     plan.Description.ValueString(),
				Privileges:      texts(plan.Privileges),
				RequiresBinding: plan.RequiresBinding.ValueBool(),
			})
		},
		find: func(ctx context.Context) (svcauth.Role, bool, error) {
			found, err := roleNamed(ctx, client, name)
			if _, none := err.(*notFoundError); none {
				return found, false, nil
			}
			if err != nil {
				return found, false, err
			}
			if as := (&roleModel{}); found.CreatedAt.After(began.Add(-svcauth.MaxLeeway)) {
				if as.set(found); as.same(plan) {
					return found, true, nil
				}
			}
			return found, false, fmt.Errorf("there is another role with this name, %s, which this apply did not make",
				found.ID)
		},
	}
}

// rolePatch returns what differs.
func rolePatch(prior, plan roleModel) svcauth.RolePatch {
	patch := svcauth.RolePatch{
		Name:        changedString(prior.Name, plan.Name),
		Description: changedString(prior.Description, plan.Description),
	}
	if !plan.Privileges.Equal(prior.Privileges) {
		privileges := texts(plan.Privileges)
		patch.Privileges = &privileges
	}
	if !plan.RequiresBinding.Equal(prior.RequiresBinding) {
		patch.RequiresBinding = plan.RequiresBinding.ValueBoolPointer()
	}
	return patch
}

// rehearseRole asks nothing of a new role: nobody holds it.
func rehearseRole(ctx context.Context, client *svcauth.Client, prior *roleModel, plan roleModel) error {
	if prior == nil {
		return nil
	}
	patch := rolePatch(*prior, plan)
	if patch == (svcauth.RolePatch{}) {
		return nil
	}
	patch.Caution = aDryRun
	_, err := client.UpdateRole(ctx, prior.objectID(), 0, patch, 0)
	return err
}

func changeRole(
	ctx context.Context, client *svcauth.Client, d *diagnostics, prior, plan roleModel, now svcauth.Role,
) (svcauth.Role, error) {
	patch := rolePatch(prior, plan)
	if patch == (svcauth.RolePatch{}) {
		return now, nil
	}
	changed, err := client.UpdateRole(ctx, now.ID, now.Version, patch, 0)
	if err != nil {
		return changed, err
	}
	warnOfCredentials(d, changed.Warnings)
	warnOfDefault(d, changed.DefaultRefused)
	if changed.MoreWarnings > 0 {
		d.AddWarning("Further secrets were made by who holds less",
			fmt.Sprintf("%d secrets of accounts with this role are not named here; "+
				"the console's pages of the accounts name them.", changed.MoreWarnings))
	}
	return changed, nil
}

// textSet returns a set of texts: the empty set, not null, if there are none.
func textSet(from []string) types.Set {
	values := make([]attrValue, 0, len(from))
	for _, text := range slices.Compact(slices.Sorted(slices.Values(from))) {
		values = append(values, types.StringValue(text))
	}
	return types.SetValueMust(types.StringType, values)
}

// texts returns the elements of a set of texts, sorted.
func texts(set types.Set) []string {
	all := []string{}
	for _, v := range set.Elements() {
		if text, ok := v.(types.String); ok {
			all = append(all, text.ValueString())
		}
	}
	slices.Sort(all)
	return all
}

var (
	_ resource.ResourceWithImportState = (*roleResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*roleResource)(nil)
)
