package provider

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

type (
	diagnostics = diag.Diagnostics
	attrValue   = attr.Value
	attrType    = attr.Type
)

// accessSetting is the organization's setting that lets service accounts manage
// access.
const accessSetting = "service_accounts_may_manage_access"

// fail adds err to d: what was attempted, why it failed and what to do. Fields
// that the server refused are reported at their attributes.
func (c *connection) fail(d *diag.Diagnostics, attempted string, err error) {
	var problem *svcauth.Problem
	if errors.As(err, &problem) {
		if at := refusedAttributes(problem); len(at) > 0 {
			for name, message := range at {
				d.AddAttributeError(path.Root(name), attempted, message)
			}
			return
		}
	}
	d.AddError(attempted, c.explain(err))
}

// explain returns the text of err with what only the provider knows: where the
// credential came from, and what in Terraform to change.
func (c *connection) explain(err error) string {
	var problem *svcauth.Problem
	var refused *tokensource.Error
	text := err.Error()
	switch {
	case errors.Is(err, errUnknown):
		return text + ", but needed now. Run terraform apply -target on what they come from first; " +
			"a data source waits for it too with depends_on. " +
			"An ephemeral resource does not: it waits if one of its own arguments comes from there."
	case errors.As(err, &problem) && problem.Code == svcauth.CodeForbidden &&
		strings.Contains(problem.Detail, accessSetting):
		return text + "\n\nTerraform signed in as a service account (" + c.origin() +
			"). There are two ways out: have a member who holds settings:manage turn " + accessSetting +
			" on, in the console's settings or by " +
			"`svcauth organization update --service-accounts-may-manage-access=true`; " +
			"or give the provider an application key (ak_…) of a member."
	case errors.As(err, &problem) &&
		(problem.Code == svcauth.CodeForbidden || problem.Code == svcauth.CodeMissingPrivileges ||
			problem.Code == svcauth.CodeUnauthenticated),
		errors.As(err, &refused):
		text += "\n\nCredential: " + c.origin() + "."
	}
	if problem != nil && problem.RequestID != "" {
		text += "\n\nRequest id: " + problem.RequestID
	}
	return text
}

// refusedAttributes returns the server's message for each attribute whose field
// of the body it refused.
func refusedAttributes(p *svcauth.Problem) map[string]string {
	at := map[string]string{}
	for _, field := range p.Errors {
		name, isBody := strings.CutPrefix(field.Location, "body.")
		name, _, _ = strings.Cut(name, "[")
		switch name {
		case "client_secret":
			name = "client_secret_wo"
		case "jwk", "pem":
			name = "public_key"
		case "name", "description", "token_ttl_seconds", "token_binding", "default_resource",
			"privileges", "expires_at", "email", "first_name", "last_name",
			"preset", "issuer", "audience", "subject", "claims", "jwks", "jwks_uri", "algorithms", "max_age_seconds",
			"one_time", "strict", "subject_dn", "san_dns", "san_uri", "san_ip", "san_email", "certificate":
		default:
			isBody = false
		}
		if isBody {
			at[name] = strings.TrimSpace(at[name] + "\n" + field.Message)
		}
	}
	return at
}

func hasCode(err error, code string) bool {
	p := (*svcauth.Problem)(nil)
	return errors.As(err, &p) && p.Code == code
}

// gone reports whether the server itself said that an object doesn't exist. A
// 404 from anything else, such as a proxy or a wrong address, has no problem
// type. Believing it would make Terraform create everything anew.
func gone(err error) bool {
	p := (*svcauth.Problem)(nil)
	return errors.As(err, &p) && p.Code == svcauth.CodeNotFound && p.Type != ""
}

// uncertain reports whether a change that failed may have been made
// nevertheless: its answer was lost, or the server couldn't tell.
func uncertain(err error) bool {
	var problem *svcauth.Problem
	var refused *tokensource.Error
	var network *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &problem):
		return problem.Status >= 500 && !(problem.Code == svcauth.CodeUnavailable && problem.Type != "") ||
			problem.Status == 408
	case errors.As(err, &refused), errors.Is(err, errUnknown):
		return false // nothing was sent without a token
	case errors.As(err, &network) && network.Op == "dial", errors.As(err, &untrusted):
		return false // not even connected
	}
	return true
}
