package provider

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// guarded is what protection goes by in a state or plan.
type guarded struct {
	kind       string
	name       types.String
	protection types.Bool
}

func (g guarded) key() string { return g.kind + " " + strings.ToLower(g.name.ValueString()) }

// protectedKey notes in a plan whether what it changes is protected.
const protectedKey = "protected"

// guard refuses a plan that would end what is protected; all of it, before
// secrets and grants that depend on it are destroyed. Terraform says of a removal
// that it is one. It plans a replacement (-replace, replace_triggered_by) by
// asking for a change and then, with what was noted at that, for a creation. Of
// a tainted one it asks for the creation alone, right after it was read under
// the same name.
func (c *connection) guard(ctx context.Context, d *diagnostics, notes privateData, prior, plan *guarded) {
	switch {
	case prior != nil && plan == nil:
		c.read(*prior, false)
		protected(d, prior.protection, prior.name)
	case prior != nil:
		c.read(*prior, false)
		d.Append(notes.SetKey(ctx, protectedKey, strconv.AppendBool(nil, prior.protection.ValueBool()))...)
	case plan != nil:
		noted, more := notes.GetKey(ctx, protectedKey)
		d.Append(more...)
		protected(d, types.BoolValue(string(noted) == "true" || c.isTainted(*plan)), plan.name)
	}
}

// read remembers, from its refresh to its plan, that something is protected.
func (c *connection) read(g guarded, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.protected, g.key())
	if on && g.protection.ValueBool() {
		c.protected[g.key()] = true
	}
}

// isTainted reports whether what is to be created was read as protected, and
// not planned as what it is.
func (c *connection) isTainted(g guarded) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !g.name.IsUnknown() && c.protected[g.key()]
}

// protected says whether a thing must not be destroyed, and what to do about it.
func protected(d *diagnostics, protection types.Bool, name types.String) bool {
	if protection.ValueBool() {
		d.AddAttributeError(path.Root("deletion_protection"), "Protected from deletion",
			fmt.Sprintf("%q has deletion_protection = true, and this would destroy it or replace it by another. "+
				"To do that, set that to false and apply, then do this. "+
				"If Terraform holds it for tainted though it is sound, terraform untaint says so.", name.ValueString()))
	}
	return protection.ValueBool()
}
