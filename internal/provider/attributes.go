package provider

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// connected gives a resource the provider's connection.
type connected struct{ *connection }

func (c *connected) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	c.connection, _ = req.ProviderData.(*connection) // nil while Terraform only validates
}

// begin returns the client, or adds an error to d and returns nil.
func (c *connection) begin(d *diag.Diagnostics, attempted string) *svcauth.Client {
	client, err := c.use()
	if err != nil {
		c.fail(d, attempted, err)
		return nil
	}
	return client
}

// beginRead is like begin, for a refresh. If the provider's configuration is
// unknown until apply, it adds a warning and returns nil: the state stays as it
// is. It also stays where the configuration is wrong, which is reported once.
func (c *connection) beginRead(d *diag.Diagnostics, what string) *svcauth.Client {
	if client, err := c.use(); err == nil {
		return client
	} else if len(c.unknown) > 0 {
		d.AddWarning("Not refreshed: "+what,
			fmt.Sprintf("The provider's %s will be known only during apply, so this plan goes by the last known state.",
				strings.Join(c.unknown, ", ")))
	} else {
		c.failOnce(d, "Reading "+what+" failed", err)
	}
	return nil
}

// connectedData and connectedEphemeral are the same for the other two kinds.
type connectedData struct{ *connection }

func (c *connectedData) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	c.connection, _ = req.ProviderData.(*connection)
}

// beginWith reads the named arguments of a data source, and returns the client.
// It returns nil after an error.
func (c *connectedData) beginWith(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse,
	attempted string, arguments map[string]*types.String,
) *svcauth.Client {
	for name, value := range arguments {
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(name), value)...)
	}
	if resp.Diagnostics.HasError() {
		return nil
	}
	return c.begin(&resp.Diagnostics, attempted)
}

type connectedEphemeral struct{ *connection }

func (c *connectedEphemeral) Configure(
	_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse,
) {
	c.connection, _ = req.ProviderData.(*connection)
}

// idAttribute is a computed text that never changes while the thing exists.
func idAttribute(about string) schema.StringAttribute {
	return schema.StringAttribute{
		Computed:            true,
		MarkdownDescription: about,
		PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
}

// replacing is a text that can't be changed in place.
func replacing(about string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		Required:            true,
		MarkdownDescription: about + " Changing it makes a new one.",
		Validators:          validators,
		PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

// movable is the id of something that a grant is about: with another one it is
// moved in place, so that where the same turns out nothing has been taken away.
func movable(about string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		Required:   true,
		Validators: validators,
		MarkdownDescription: about +
			" With another one the grant moves in place: the new one is made, then the old one taken away.",
	}
}

func nameAttribute(about string) schema.StringAttribute {
	return schema.StringAttribute{
		Required:            true,
		MarkdownDescription: about,
		Validators:          []validator.String{textValidator{1, svcauth.MaxNameLength}},
	}
}

// personNameAttribute may be empty, as on the server.
func personNameAttribute(about string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		Computed:            true,
		Default:             stringdefault.StaticString(""),
		MarkdownDescription: about + " Default: empty.",
		Validators:          []validator.String{textValidator{0, svcauth.MaxNameLength}},
	}
}

func descriptionAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		Computed:            true,
		Default:             stringdefault.StaticString(""),
		Validators:          []validator.String{textValidator{0, svcauth.MaxDescriptionLength}},
		MarkdownDescription: fmt.Sprintf("What it is for, at most %d characters.", svcauth.MaxDescriptionLength),
	}
}

func protectionAttribute() schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
		MarkdownDescription: "While true, no plan is made that would destroy or replace it, with what depends on " +
			"it. It lives in the state only; others can still delete it. " +
			"What a plan can't see (a tainted one with `-refresh=false`, or whose name is only known at apply) is " +
			"refused at apply, when secrets that depend on it are gone already: " +
			"`lifecycle { prevent_destroy = true }` covers that. Default: false."}
}

func expiryAttribute(about string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		CustomType:          timetypes.RFC3339Type{},
		MarkdownDescription: about + " RFC 3339, such as `2027-06-30T00:00:00Z`.",
	}
}

// moment returns the server's time as the configuration wrote it if both mean
// the same instant. The two may differ as texts: the configuration may use
// another offset, and the server keeps milliseconds.
func moment(prior timetypes.RFC3339, at *time.Time) timetypes.RFC3339 {
	if at == nil {
		return timetypes.NewRFC3339Null()
	}
	if before := instant(prior); before != nil &&
		before.Truncate(time.Millisecond).Equal(at.Truncate(time.Millisecond)) {
		return prior
	}
	return timetypes.NewRFC3339TimeValue(at.UTC())
}

// instant returns the time of an attribute, or nil if it has none.
func instant(v timetypes.RFC3339) *time.Time {
	if v.IsNull() || v.IsUnknown() {
		return nil
	}
	at, err := time.Parse(time.RFC3339, v.ValueString())
	if err != nil {
		return nil // the type has refused it already
	}
	return &at
}

// sameInstant compares to the millisecond, which is what the server keeps.
func sameInstant(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond))
}

// stamp is a time for a computed attribute.
func stamp(at time.Time) types.String { return types.StringValue(at.UTC().Format(time.RFC3339)) }

func stampOrNull(at *time.Time) types.String {
	if at == nil {
		return types.StringNull()
	}
	return stamp(*at)
}
