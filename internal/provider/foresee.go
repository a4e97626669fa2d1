package provider

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxForesight is how long a plan waits for what the server says of one write.
const maxForesight = 10 * time.Second

// aDryRun asks the server what it would warn of, and changes nothing.
var aDryRun = svcauth.Caution{DryRun: true}

// foresight is what is known of a resource while it is planned.
type foresight struct{ config, state, plan tftypes.Value }

// changes reports whether a plan writes something, all of which is known. What
// the configuration leaves to the server is no obstacle.
func (p foresight) changes() bool {
	return !p.plan.IsNull() && p.config.IsFullyKnown() && (p.state.IsNull() || !p.plan.Equal(p.state))
}

// foresee shows in a plan what the server would warn of, which rehearse asks by
// a dry run. It never fails a plan. What is refused now may be right once the
// rest of the plan is applied. Whoever may not write, or does not reach the
// server, is told of nothing, and asks no more.
func (c *connection) foresee(
	ctx context.Context, d *diagnostics, rehearse func(context.Context, *svcauth.Client) error,
) {
	if c == nil || d.HasError() || c.blind.Load() { // nil: Terraform only validates
		return
	}
	client, err := c.use()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxForesight)
	defer cancel()
	var p *svcauth.Problem
	switch err := rehearse(ctx, client); {
	case err == nil:
	case errors.As(err, &p) && p.Status < 500 && p.Code != svcauth.CodeForbidden &&
		p.Code != svcauth.CodeMissingPrivileges && p.Code != svcauth.CodeUnauthenticated &&
		p.Code != svcauth.CodeTooMany:
		for _, text := range p.Warnings() {
			d.AddWarning("The server warns of this change", text)
		}
	default:
		c.blind.Store(true)
	}
}
