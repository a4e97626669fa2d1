package provider

import (
	"context"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
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

// connected is what each resource has: the connection, from Configure.
type connected struct{ *connection }

func (c *connected) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	c.connection, _ = req.ProviderData.(*connection) // nil while Terraform only validates
}

// begin gives the client, or says why there is none.
func (c *connection) begin(d *diag.Diagnostics, attempted string) *svcauth.Client {
	client, err := c.use()
	if err != nil {
		c.fail(d, attempted, err)
		return nil
	}
	return client
}

// beginRead is begin for refreshing what is in the state: where the provider is not configured before apply, the state stays as it is and a warning says so.
func (c *connection) beginRead(d *diag.Diagnostics, what string) *svcauth.Client {
	if client, err := c.use(); err == nil {
		return client
	} else if len(c.unknown) > 0 {
		d.AddWarning("Not refreshed: "+what, fmt.Sprintf("The provider's %s will be known only during apply, so this plan goes by the last known state.", strings.Join(c.unknown, ", ")))
		return nil
	}
	return c.begin(d, "Reading "+what+" failed")
}

// connectedData and connectedEphemeral are the same for the other two kinds.
type connectedData struct{ *connection }

func (c *connectedData) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	c.connection, _ = req.ProviderData.(*connection)
}

type connectedEphemeral struct{ *connection }

func (c *connectedEphemeral) Configure(_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	c.connection, _ = req.ProviderData.(*connection)
}

// idAttribute is a computed text that never changes while the thing exists.
func idAttribute(about string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: about, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}}
}

// replacing is a text that can't be changed in place.
func replacing(about string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: about + " Changing it makes a new one.", Validators: validators,
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}}
}

func nameAttribute(about string) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: about, Validators: []validator.String{textValidator{1, svcauth.MaxNameLength}}}
}

func descriptionAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(""), Validators: []validator.String{textValidator{0, svcauth.MaxDescriptionLength}},
		MarkdownDescription: fmt.Sprintf("What it is for, at most %d characters.", svcauth.MaxDescriptionLength)}
}

func protectionAttribute() schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
		MarkdownDescription: "While true, Terraform refuses to destroy it. It lives in the state only; others can still delete it. Default: false."}
}

func expiryAttribute(about string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, CustomType: timetypes.RFC3339Type{}, MarkdownDescription: about + " RFC 3339, such as `2027-06-30T00:00:00Z`."}
}

// textValidator refuses what the server would trim or refuse: a text that comes back different is a plan that does not hold.
type textValidator struct{ least, most int }

func (v textValidator) Description(context.Context) string {
	return fmt.Sprintf("%d to %d characters, without white space around them or control characters", v.least, v.most)
}

func (v textValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v textValidator) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if n := utf8.RuneCountInString(text); n < v.least || n > v.most || text != strings.TrimSpace(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a text for this", "Expected "+v.Description(ctx)+".")
	}
}

// idValidator refuses what is no id with the prefix.
type idValidator struct{ prefix string }

func (v idValidator) Description(context.Context) string {
	return "an id of the form " + v.prefix + "_…, not a name"
}

func (v idValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v idValidator) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() && !req.ConfigValue.IsUnknown() && !svcauth.ValidID(v.prefix, req.ConfigValue.ValueString()) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not an id", "Expected "+v.Description(ctx)+".")
	}
}

// emailValidator refuses an address that the server would write differently.
type emailValidator struct{}

func (emailValidator) Description(context.Context) string {
	return "one bare e-mail address in lower case, such as ann@example.com"
}

func (v emailValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v emailValidator) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if parsed, err := mail.ParseAddress(text); err != nil || parsed.Address != text || text != strings.ToLower(text) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not an address", "Expected "+v.Description(ctx)+".")
	}
}

// secretValidator tells a mistyped secret before anything is changed. It never shows it.
type secretValidator struct{}

func (secretValidator) Description(context.Context) string {
	return "a client secret as svcauth makes them"
}

func (v secretValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (secretValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := svcauth.ParseSecret(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a client secret", err.Error()+". The ephemeral resource svcauth_generated_secret makes one.")
	}
}

// headersValidator refuses headers that would break or forge the requests.
type headersValidator struct{}

var reservedHeaders = []string{"Authorization", "Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "If-Match", "Accept", "Accept-Encoding", "Cookie2", "Te", "Trailer", "Upgrade"}

func (headersValidator) Description(context.Context) string {
	return "names and values of HTTP headers, save those that the requests need for themselves"
}

func (v headersValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (headersValidator) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for name, value := range req.ConfigValue.Elements() {
		text, _ := value.(types.String)
		switch {
		case slices.Contains(reservedHeaders, http.CanonicalHeaderKey(name)):
			resp.Diagnostics.AddAttributeError(req.Path, "Reserved header", "The requests need the header "+name+" for themselves; take it out.")
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && !alphanumeric(r) }):
			resp.Diagnostics.AddAttributeError(req.Path, "Not a header", fmt.Sprintf("%q is not the name of an HTTP header (RFC 9110 §5.1).", name))
		case strings.ContainsFunc(text.ValueString(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			resp.Diagnostics.AddAttributeError(req.Path, "Not a header", "The value of the header "+name+" holds a control character (RFC 9110 §5.5).")
		}
	}
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// moment gives a time of the server as the configuration wrote it, where both mean the same instant: it may have another offset, and the server keeps milliseconds.
func moment(prior timetypes.RFC3339, at *time.Time) timetypes.RFC3339 {
	if at == nil {
		return timetypes.NewRFC3339Null()
	}
	if before := instant(prior); before != nil && before.Truncate(time.Millisecond).Equal(at.Truncate(time.Millisecond)) {
		return prior
	}
	return timetypes.NewRFC3339TimeValue(at.UTC())
}

// instant gives the time of an attribute; nil where there is none.
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

// stamp is a time for a computed attribute.
func stamp(at time.Time) types.String { return types.StringValue(at.UTC().Format(time.RFC3339)) }

func stampOrNull(at *time.Time) types.String {
	if at == nil {
		return types.StringNull()
	}
	return stamp(*at)
}
