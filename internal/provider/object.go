package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// model is how Terraform knows an object T: a pointer to a struct M.
type model[M, T any] interface {
	*M
	set(T)             // copies the server's view
	objectID() string  // "" before it is made
	guarded() *guarded // what messages call it, and whether it is protected
	same(M) bool       // whether they differ in nothing that others can change
}

// object is what the resources of a service account, a role and a member have
// in common: all but the schema and the creation.
type object[M, T any, P model[M, T]] struct {
	connected
	get    func(*svcauth.Client, context.Context, string) (T, error)
	remove func(context.Context, *svcauth.Client, M) error
	find   finder // by what an import calls it

	// change sends what differs between prior and plan, if anything does. now
	// is the server's view, which equals prior.
	change func(ctx context.Context, client *svcauth.Client, d *diagnostics, prior, plan M, now T) (T, error)

	// rehearse asks by a dry run what a change would be warned of, or, without
	// prior, a creation. nil: nothing is.
	rehearse func(ctx context.Context, client *svcauth.Client, prior *M, plan M) error
}

// the returns what messages call the object.
func (o *object[M, T, P]) the(m M) string { return "the " + P(&m).guarded().kind }

func (o *object[M, T, P]) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m M
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	id := P(&m).objectID()
	client := o.beginRead(&resp.Diagnostics, o.the(m)+" "+id)
	if client == nil {
		return
	}
	found, err := o.get(client, ctx, id)
	switch {
	case gone(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		o.fail(&resp.Diagnostics, "Reading "+o.the(m)+" failed", err)
		return
	}
	P(&m).set(found)
	o.read(*P(&m).guarded(), true)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// Update changes what differs. It doesn't overwrite what somebody else has
// changed since the plan was made.
func (o *object[M, T, P]) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var prior, plan M
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	attempted := "Changing " + o.the(prior) + " failed"
	client := o.begin(&resp.Diagnostics, attempted)
	if client == nil {
		return
	}
	id := P(&prior).objectID()
	now, err := o.get(client, ctx, id)
	if err != nil {
		o.fail(&resp.Diagnostics, attempted, err)
		return
	}
	seen := prior
	if P(&seen).set(now); !P(&seen).same(prior) {
		resp.Diagnostics.AddError("The "+P(&prior).guarded().kind+" was changed meanwhile", "Somebody changed "+id+
			" after this plan was made. Nothing was overwritten; plan and apply again.")
		return
	}
	if now, err = o.change(ctx, client, &resp.Diagnostics, prior, plan, now); err != nil {
		o.fail(&resp.Diagnostics, attempted, err)
		return
	}
	P(&plan).set(now)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

func (o *object[M, T, P]) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m M
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if g := P(&m).guarded(); resp.Diagnostics.HasError() || protected(&resp.Diagnostics, g.protection, g.name) {
		return
	}
	attempted := "Removing " + o.the(m) + " failed"
	client := o.begin(&resp.Diagnostics, attempted)
	if client == nil {
		return
	}
	if err := o.remove(ctx, client, m); err != nil && !gone(err) {
		o.fail(&resp.Diagnostics, attempted, err)
	}
}

// ModifyPlan refuses to plan the end of a protected object, and tells what the
// server would warn of.
func (o *object[M, T, P]) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	o.checkPlan(&resp.Diagnostics)
	var was, next M
	var prior, plan *guarded
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &was)...)
		prior = P(&was).guarded()
	}
	if !req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(req.Plan.Get(ctx, &next)...)
		plan = P(&next).guarded()
	}
	o.guard(ctx, &resp.Diagnostics, resp.Private, prior, plan)
	if o.rehearse == nil || !(foresight{req.Config.Raw, req.State.Raw, req.Plan.Raw}).changes() {
		return
	}
	o.foresee(ctx, &resp.Diagnostics, func(ctx context.Context, client *svcauth.Client) error {
		if prior == nil {
			return o.rehearse(ctx, client, nil, next)
		}
		return o.rehearse(ctx, client, &was, next)
	})
}

// ImportState expects an id, or a name or an address.
func (o *object[M, T, P]) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	var m M
	o.importInto(ctx, req, resp, o.the(m), o.find, "id")
}
