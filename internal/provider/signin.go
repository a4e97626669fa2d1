package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/svcauth/svcauth/pkg/tokensource"
)

// invalidClient is the token endpoint's word for a credential that it refuses
// (RFC 6749 §5.2).
const invalidClient = "invalid_client"

// signIn gets the first token. So a wrong address or a credential that the
// server refuses is one error, at the provider's block, and not one of each
// resource. It leaves to those who need the server what is unknown in this
// plan, and a block without a credential: public keys and generated secrets
// need none.
func (c *connection) signIn(ctx context.Context, d *diagnostics) {
	if len(c.unknown) > 0 || !c.hasCredential() {
		return
	}
	if _, err := c.use(); err != nil {
		d.AddError("The provider's configuration is wrong", c.explain(err))
		return
	}
	if _, err := c.tokens.Token(ctx); err != nil {
		c.failSignIn(d, err)
	}
}

// hasCredential reports whether anything of a credential was given, or a
// profile that should have one.
func (c *connection) hasCredential() bool {
	if c.options.HasCredential() {
		return true
	}
	_, err := c.use() // the default profile file
	return err == nil
}

// failSignIn reports that there is no token, and what to do about it.
func (c *connection) failSignIn(d *diagnostics, err error) {
	refused := (*tokensource.Error)(nil)
	switch {
	case errors.As(err, &refused) && refused.Code == invalidClient:
		d.AddError("The server refuses the provider's credential", c.explain(err)+
			"\n\nIt does not tell strangers why. The secret, key or certificate may be wrong, expired or "+
			"removed, no federated credential may match the token, the service account may be disabled, or the member "+
			"who made the application key suspended.")
	case c.options.URL != "":
		d.AddAttributeError(path.Root("url"), "No token could be had from the server", c.explain(err))
	default:
		d.AddError("No token could be had from the server", c.explain(err))
	}
}

// failOnce reports an error that everything in a plan would report, the first
// time only. The plan has failed with that.
func (c *connection) failOnce(d *diagnostics, attempted string, err error) {
	c.mu.Lock()
	first := !c.failed
	c.failed = true
	c.mu.Unlock()
	if first {
		c.fail(d, attempted, err)
	}
}

// checkPlan fails a plan without a credential before its apply does.
func (c *connection) checkPlan(d *diagnostics) {
	if c == nil { // Terraform only validates
		return
	}
	if _, err := c.use(); err != nil && len(c.unknown) == 0 {
		c.failOnce(d, "Nothing can be planned without the server", err)
	}
}
