package provider

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// guarded is the part of a state or plan that deletion protection depends on.
type guarded struct {
	kind       string
	name       types.String
	protection types.Bool
}

func (g guarded) key() string { return g.kind + " " + strings.ToLower(g.name.ValueString()) }

// protectedKey is the key, in a plan, of whether the object that it changes is
// protected.
const protectedKey = "protected"

// guard refuses a whole plan that would end a protected object, before secrets
// and grants that depend on the object are destroyed. A removal has no plan. A
// replacement (-replace, replace_triggered_by) is planned in two calls: first
// as a change, then, with what was recorded at that, as a creation. A tainted
// object is planned as a creation alone, right after it was read under the same
// name.
func (c *connection) guard(ctx context.Context, d *diagnostics, private privateData, prior, plan *guarded) {
	switch {
	case prior != nil && plan == nil:
		c.read(*prior, false)
		protected(d, prior.protection, prior.name)
	case prior != nil:
		c.read(*prior, false)
		d.Append(private.SetKey(ctx, protectedKey, strconv.AppendBool(nil, prior.protection.ValueBool()))...)
	case plan != nil:
		recorded, more := private.GetKey(ctx, protectedKey)
		d.Append(more...)
		protected(d, types.BoolValue(string(recorded) == "true" || c.isTainted(*plan)), plan.name)
	}
}

// read records, between an object's refresh and its plan, that it is protected.
func (c *connection) read(g guarded, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.protected, g.key())
	if on && g.protection.ValueBool() {
		c.protected[g.key()] = true
	}
}

// isTainted reports whether the object to be created was read as protected and
// not planned since.
func (c *connection) isTainted(g guarded) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !g.name.IsUnknown() && c.protected[g.key()]
}

// protected reports whether an object must not be destroyed, and adds an error
// that says what to do about it.
func protected(d *diagnostics, protection types.Bool, name types.String) bool {
	if protection.ValueBool() {
		d.AddAttributeError(path.Root("deletion_protection"), "Protected from deletion",
			fmt.Sprintf("%q has deletion_protection = true, and this would destroy it or replace it by another. "+
				"To do that, set that to false and apply, then do this. "+
				"If Terraform holds it for tainted though it is sound, terraform untaint says so.", name.ValueString()))
	}
	return protection.ValueBool()
}
