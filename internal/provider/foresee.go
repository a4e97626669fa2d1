package provider

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/svcauth/svcauth/internal/timespan"
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
// server, is told of nothing, and asks no more. Who asks too much waits for as
// long as the server says, within [maxForesight], or is told that nothing could
// be found out.
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
	if wait := time.Until(time.Unix(0, c.askAgain.Load())); wait > maxForesight {
		d.AddWarning(unforeseen, tooManyAsked(wait))
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
	case p != nil && p.Code == svcauth.CodeTooMany:
		c.askAgain.Store(time.Now().Add(p.RetryAfter).UnixNano())
		d.AddWarning(unforeseen, tooManyAsked(p.RetryAfter))
	default:
		c.blind.Store(true)
	}
}

const unforeseen = "What the server would warn of could not be found out"

func tooManyAsked(wait time.Duration) string {
	again := "a little later"
	if wait > 0 {
		again = "in " + timespan.Text(wait.Round(time.Second))
	}
	return "It refuses more questions for now. The plan is right, but changes may be among it that it would warn of: " +
		"plan again " + again + "."
}
