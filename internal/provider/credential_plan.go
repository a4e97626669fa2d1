package provider

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// filledKey is the key, in the private state, of what the server filled in for
// attributes that the configuration leaves out: their values as texts, by name.
const filledKey = "filled"

// goneKey is the key, in the private state, that says that the server has
// forgotten one that had expired: another expiry makes a new one.
const goneKey = "gone"

// attributed is what has attributes: a plan, a state or a configuration.
type attributed interface {
	GetAttribute(ctx context.Context, at path.Path, target any) diagnostics
}

// ConfigValidators refuses none or two of the attributes of which one is set.
func (r *credentialResource[M, T, P]) ConfigValidators(context.Context) (all []resource.ConfigValidator) {
	if len(r.choices) > 0 {
		var expressions []path.Expression
		for _, name := range r.choices {
			expressions = append(expressions, path.MatchRoot(name))
		}
		all = append(all, resourcevalidator.ExactlyOneOf(expressions...))
	}
	return all
}

// ModifyPlan resets what is no longer in the configuration, tells of an expiry
// that has passed, and of what the server would warn of.
func (r *credentialResource[M, T, P]) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	r.checkPlan(&resp.Diagnostics)
	if req.Plan.Raw.IsNull() {
		return
	}
	r.refill(ctx, req, resp)
	plan := expiryOf(ctx, &resp.Diagnostics, req.Plan)
	stays := !req.State.Raw.IsNull() && plan.Equal(expiryOf(ctx, &resp.Diagnostics, req.State))
	switch {
	case past(plan) && stays:
		resp.Diagnostics.AddAttributeWarning(path.Root("expires_at"), "The "+r.noun+" has expired",
			"It ended at "+plan.ValueString()+" and proves nobody any more. Choose a later moment, or remove this "+
				"resource.")
	case past(plan):
		refusePast(&resp.Diagnostics, plan, "Choose a later moment, or leave it out.")
	case !stays && !req.State.Raw.IsNull():
		forgotten, failed := req.Private.GetKey(ctx, goneKey)
		resp.Diagnostics.Append(failed...)
		if string(forgotten) == "true" {
			resp.RequiresReplace.Append(path.Root("expires_at"))
		}
	}
	if r.rehearse == nil || past(plan) || !(foresight{req.Config.Raw, req.State.Raw, resp.Plan.Raw}).changes() {
		return
	}
	var next M
	resp.Diagnostics.Append(resp.Plan.Get(ctx, &next)...)
	r.foresee(ctx, &resp.Diagnostics, func(ctx context.Context, client *svcauth.Client) error {
		return r.rehearse(ctx, client, next)
	})
}

func expiryOf(ctx context.Context, d *diagnostics, from attributed) (at timetypes.RFC3339) {
	d.Append(from.GetAttribute(ctx, path.Root("expires_at"), &at)...)
	return at
}

// refill has the server fill in anew what the configuration leaves out, but the
// state has with another value than the one that was filled in: it stood in the
// configuration before, or somebody else has changed it.
func (r *credentialResource[M, T, P]) refill(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	if req.State.Raw.IsNull() || len(r.filled) == 0 {
		return
	}
	filled := filledIn(ctx, &resp.Diagnostics, req.Private)
	config, state, plan := fields(req.Config.Raw), fields(req.State.Raw), fields(req.Plan.Raw)
	changed := false
	for _, name := range r.filled {
		if config[name].IsNull() && filled[name] != valueText(state[name]) {
			plan[name] = tftypes.NewValue(plan[name].Type(), tftypes.UnknownValue)
			changed = true
		}
	}
	if changed {
		resp.Plan.Raw = tftypes.NewValue(req.Plan.Raw.Type(), plan)
	}
}

// keepFilled remembers what the server filled in.
func (r *credentialResource[M, T, P]) keepFilled(
	ctx context.Context, d *diagnostics, private privateData, config, state tftypes.Value,
) {
	if len(r.filled) == 0 || state.IsNull() {
		return
	}
	given, now, filled := fields(config), fields(state), map[string]string{}
	for _, name := range r.filled {
		if given[name].IsNull() {
			filled[name] = valueText(now[name])
		}
	}
	raw, _ := json.Marshal(filled)
	d.Append(private.SetKey(ctx, filledKey, raw)...)
}

// keepImported takes what an imported credential has for filled in.
func (r *credentialResource[M, T, P]) keepImported(
	ctx context.Context, d *diagnostics, was, next privateData, state tftypes.Value,
) {
	if filledIn(ctx, d, was) == nil {
		r.keepFilled(ctx, d, next, tftypes.NewValue(state.Type(), nil), state)
	}
}

func filledIn(ctx context.Context, d *diagnostics, private privateData) (filled map[string]string) {
	raw, failed := private.GetKey(ctx, filledKey)
	d.Append(failed...)
	_ = json.Unmarshal(raw, &filled)
	return filled
}

// fields returns the attributes of an object; a null one has null ones only.
func fields(object tftypes.Value) map[string]tftypes.Value {
	all := map[string]tftypes.Value{}
	_ = object.As(&all)
	return all
}

// valueText returns a value as a text that is the same for the same value:
// Terraform keeps sets in an order of its own.
func valueText(v tftypes.Value) string {
	var elements []tftypes.Value
	if v.IsNull() || !v.Type().Is(tftypes.Set{}) || v.As(&elements) != nil {
		return v.String()
	}
	var texts []string
	for _, one := range elements {
		texts = append(texts, one.String())
	}
	return strings.Join(slices.Sorted(slices.Values(texts)), " ")
}
