package provider

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// effectivePrivilegesData is the data source svcauth_effective_privileges: what
// a principal may do, and through which role.
type effectivePrivilegesData struct{ connectedData }

type effectiveView struct {
	ServiceAccountID types.String `tfsdk:"service_account_id"`
	MemberID         types.String `tfsdk:"member_id"`
	Roles            types.Set    `tfsdk:"roles"`
	Privileges       types.Set    `tfsdk:"privileges"`
	Sources          types.Map    `tfsdk:"sources"`
}

func (s *effectivePrivilegesData) Metadata(
	_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = "svcauth_effective_privileges"
}

func (s *effectivePrivilegesData) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	texts := func(about string) schema.SetAttribute {
		return schema.SetAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: about}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "What a service account, a member or (with neither given) the provider's own " +
			"credential may do now, by the roles held and by `Public`.",
		Attributes: map[string]schema.Attribute{
			"service_account_id": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Of this service account.",
				Validators: []validator.String{
					idValidator{svcauth.PrefixServiceAccount},
					stringvalidator.ConflictsWith(path.MatchRoot("member_id")),
				},
			},
			"member_id": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Of this member.",
				Validators:          []validator.String{idValidator{svcauth.PrefixMember}},
			},
			"roles":      texts("The names of the roles that count, `Public` only where it gives something."),
			"privileges": texts("All that they give together."),
			"sources": schema.MapAttribute{
				Computed:    true,
				ElementType: types.SetType{ElemType: types.StringType},
				MarkdownDescription: "For each privilege the names of the roles that give it. " +
					"Empty for the provider's own credential.",
			},
		},
	}
}

func (s *effectivePrivilegesData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var v effectiveView
	client := s.beginWith(ctx, req, resp, "Reading the privileges failed", map[string]*types.String{
		"service_account_id": &v.ServiceAccountID,
		"member_id":          &v.MemberID,
	})
	if client == nil {
		return
	}
	var roles, privileges []string
	sources := map[string][]string{}
	var err error
	if v.ServiceAccountID.IsNull() && v.MemberID.IsNull() {
		me, failed := client.Me(ctx)
		roles, privileges, err = me.Roles, me.Privileges, failed
	} else {
		roles, privileges, sources, err = effective(ctx, client, v)
	}
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the privileges failed", err)
		return
	}
	v.Roles, v.Privileges = textSet(roles), textSet(privileges)
	from := map[string]attrValue{}
	for privilege, names := range sources {
		from[privilege] = textSet(names)
	}
	v.Sources = types.MapValueMust(types.SetType{ElemType: types.StringType}, from)
	resp.Diagnostics.Append(resp.State.Set(ctx, v)...)
}

// effective returns the union of what the held roles grant. The server reports
// for each role what it really grants, Administrator included.
func effective(
	ctx context.Context, client *svcauth.Client, v effectiveView,
) (roles, privileges []string, sources map[string][]string, err error) {
	held, err := heldRoles(ctx, client, v)
	if err != nil {
		return nil, nil, nil, err
	}
	all, err := collect(ctx, client.Roles)
	if err != nil {
		return nil, nil, nil, err
	}
	sources = map[string][]string{}
	for _, r := range all {
		public := r.System && r.Name == svcauth.RolePublic && len(r.Privileges) > 0
		if !slices.Contains(held, r.ID) && !public {
			continue
		}
		roles = append(roles, r.Name)
		for _, p := range r.Privileges {
			privileges = append(privileges, p)
			sources[p] = append(sources[p], r.Name)
		}
	}
	return roles, privileges, sources, nil
}

// heldRoles returns the ids of the roles held now. The server may list an
// expired grant for a while.
func heldRoles(ctx context.Context, client *svcauth.Client, v effectiveView) (ids []string, err error) {
	if !v.MemberID.IsNull() {
		found, err := client.Member(ctx, v.MemberID.ValueString())
		for _, r := range found.Roles {
			ids = append(ids, r.ID)
		}
		return ids, err
	}
	held, err := holds(ctx, client, v.ServiceAccountID.ValueString())
	for _, g := range held {
		if g.ExpiresAt == nil || g.ExpiresAt.After(time.Now()) {
			ids = append(ids, g.RoleID)
		}
	}
	return ids, err
}
