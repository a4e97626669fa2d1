package provider

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// credentialFields are the attributes that every credential has.
type credentialFields struct {
	ID               types.String      `tfsdk:"id"`
	ServiceAccountID types.String      `tfsdk:"service_account_id"`
	Description      types.String      `tfsdk:"description"`
	ExpiresAt        timetypes.RFC3339 `tfsdk:"expires_at"`
	CreatedAt        types.String      `tfsdk:"created_at"`
	CreatedBy        types.String      `tfsdk:"created_by"`
}

func (m *credentialFields) ids() (account, id string) {
	return m.ServiceAccountID.ValueString(), m.ID.ValueString()
}

// setFields copies the server's view of them. The account is as it was asked
// for.
func (m *credentialFields) setFields(
	id, description string,
	expires *time.Time,
	created time.Time,
	by svcauth.Creator,
) {
	m.ID, m.Description = types.StringValue(id), types.StringValue(description)
	m.ExpiresAt = moment(m.ExpiresAt, expires)
	m.CreatedAt, m.CreatedBy = stamp(created), types.StringValue(by.Email)
}

// credentialModel is how Terraform knows a credential T of a service account: a
// pointer to a struct M.
type credentialModel[M, T any] interface {
	*M
	set(T) // copies the server's view
	ids() (account, id string)
}

// credentialResource is what the resources of a service account's credentials
// beside secrets have in common: all but the schema. Nothing of them is secret.
type credentialResource[M, T any, P credentialModel[M, T]] struct {
	connected
	typeName, noun, prefix string
	attributes             map[string]schema.Attribute
	about                  string

	// choices are attributes of which exactly one is set; nil: no such rule.
	choices []string
	// filled are the attributes that the server fills in if they are left out.
	filled []string

	create func(context.Context, *svcauth.Client, M) (T, error)
	get    func(c *svcauth.Client, ctx context.Context, account, id string) (T, error)
	list   func(c *svcauth.Client, ctx context.Context, account string) (svcauth.List[T], error)
	// taken reports whether one of the list has what an account can have only
	// once, such as the thumbprint of a key: a creation with it can't have made
	// another one. differs returns the attributes in which that one is not what
	// was asked for.
	taken   func(T, M) bool
	differs func(T, M) []string
	update  func(context.Context, *svcauth.Client, M) (T, error)
	// rehearse asks by a dry run what a creation, or a change, would be warned
	// of; nil: nothing is.
	rehearse func(context.Context, *svcauth.Client, M) error
	remove   func(c *svcauth.Client, ctx context.Context, account, id string) error
	warn     func(*diagnostics, T) // of what the answer says; nil: nothing
}

func (r *credentialResource[M, T, P]) Metadata(
	_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = r.typeName
}

func (r *credentialResource[M, T, P]) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	all := map[string]schema.Attribute{
		"id":                 idAttribute("Its id, `" + r.prefix + "_…`, which its tokens have as `cred`."),
		"service_account_id": replacing("The service account.", idValidator{svcauth.PrefixServiceAccount}),
		"description":        descriptionAttribute(),
		"expires_at":         expiryAttribute("When it expires. Left out: never."),
		"created_at":         idAttribute("When it was made."),
		"created_by":         idAttribute("Who made it, in words."),
	}
	for name, a := range r.attributes {
		all[name] = a
	}
	resp.Schema = schema.Schema{MarkdownDescription: r.about, Attributes: all}
}

func (r *credentialResource[M, T, P]) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan M
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	attempted := "Adding the " + r.noun + " failed"
	client := r.begin(&resp.Diagnostics, attempted)
	if client == nil {
		return
	}
	made, recovered, err := creation[T]{
		what:   "the " + r.noun,
		create: func(ctx context.Context) (T, error) { return r.create(ctx, client, plan) },
		find:   func(ctx context.Context) (T, bool, error) { return r.find(ctx, client, plan) },
	}.run(ctx)
	if err != nil {
		r.fail(&resp.Diagnostics, attempted, err)
		return
	}
	if recovered {
		resp.Diagnostics.AddWarning("The answer to a creation was lost", "The "+r.noun+
			" was made, but the connection broke before the answer came. It was found again and is managed.")
	}
	P(&plan).set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	r.keepFilled(ctx, &resp.Diagnostics, resp.Private, req.Config.Raw, resp.State.Raw)
	if r.warn != nil {
		r.warn(&resp.Diagnostics, made)
	}
}

// find looks for what a creation whose answer was lost has made. What has the
// same thumbprint or name, but is not as the configuration has it, somebody
// else has made.
func (r *credentialResource[M, T, P]) find(
	ctx context.Context, client *svcauth.Client, plan M,
) (none T, _ bool, _ error) {
	account, _ := P(&plan).ids()
	all, err := r.list(client, ctx, account)
	for _, one := range all.Items {
		if !r.taken(one, plan) {
			continue
		}
		if others := r.differs(one, plan); len(others) > 0 {
			P(&plan).set(one)
			_, id := P(&plan).ids()
			return none, false, fmt.Errorf("the account has %s already, which differs in %s", id,
				strings.Join(others, ", "))
		}
		return one, true, nil
	}
	return none, false, err
}

// Read keeps one that has expired as it should and was swept away since: the
// plan says so, and to make it anew can't succeed.
func (r *credentialResource[M, T, P]) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var m M
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	account, id := P(&m).ids()
	client := r.beginRead(&resp.Diagnostics, "the "+r.noun+" "+id)
	if client == nil {
		return
	}
	found, err := r.get(client, ctx, account, id)
	switch {
	case gone(err):
		if past(expiryOf(ctx, &resp.Diagnostics, req.State)) {
			resp.Diagnostics.Append(resp.Private.SetKey(ctx, goneKey, []byte("true"))...)
		} else {
			resp.State.RemoveResource(ctx)
		}
		return
	case err != nil:
		r.fail(&resp.Diagnostics, "Reading the "+r.noun+" failed", err)
		return
	}
	P(&m).set(found)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	r.keepImported(ctx, &resp.Diagnostics, req.Private, resp.Private, resp.State.Raw)
}

func (r *credentialResource[M, T, P]) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan M
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	attempted := "Changing the " + r.noun + " failed"
	client := r.begin(&resp.Diagnostics, attempted)
	if client == nil {
		return
	}
	changed, err := r.update(ctx, client, plan)
	if err != nil {
		r.fail(&resp.Diagnostics, attempted, err)
		return
	}
	P(&plan).set(changed)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	r.keepFilled(ctx, &resp.Diagnostics, resp.Private, req.Config.Raw, resp.State.Raw)
	if r.warn != nil {
		r.warn(&resp.Diagnostics, changed)
	}
}

// Delete revokes what the credential obtained, too: whoever takes a trust out
// of a configuration means it.
func (r *credentialResource[M, T, P]) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var m M
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	attempted := "Removing the " + r.noun + " failed"
	client := r.begin(&resp.Diagnostics, attempted)
	if client == nil {
		return
	}
	account, id := P(&m).ids()
	if err := r.remove(client, ctx, account, id); err != nil && !gone(err) {
		r.fail(&resp.Diagnostics, attempted, err)
	}
}

// ImportState takes <service account>/<credential's id>, the account by id or
// name.
func (r *credentialResource[M, T, P]) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	attempted := "Importing the " + r.noun + " failed"
	client := r.begin(&resp.Diagnostics, attempted)
	if client == nil {
		return
	}
	at := strings.LastIndexByte(req.ID, '/')
	if at < 1 || !svcauth.ValidID(r.prefix, req.ID[at+1:]) {
		r.fail(&resp.Diagnostics, attempted,
			fmt.Errorf("expected <service account>/<%s_…>, the service account by id or name", r.prefix))
		return
	}
	account, err := accountID(ctx, client, req.ID[:at])
	if err != nil {
		r.fail(&resp.Diagnostics, attempted, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("service_account_id"), account)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), req.ID[at+1:])...)
}

// fixed is an optional text that can't be changed in place.
func fixed(about string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		MarkdownDescription: about + " Changing it makes a new one.",
		PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

// textOrNull returns a text, or null if it is empty.
func textOrNull(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}
