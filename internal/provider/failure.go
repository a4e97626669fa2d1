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

// accessSetting is the organization's setting that lets service accounts manage access.
const accessSetting = "service_accounts_may_manage_access"

// fail turns an error into what the user reads: what was attempted, why it failed, what to do. Fields that the server refuses are shown at their attributes.
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

// explain adds to an error what the provider knows and the server does not.
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
			" on, in the console's settings or by PATCH /v1/organization {\"" + accessSetting +
			"\": true}; or give the provider an application key (ak_…) of a member."
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

// refusedAttributes finds which attribute each refused field of the body is.
func refusedAttributes(p *svcauth.Problem) map[string]string {
	at := map[string]string{}
	for _, field := range p.Errors {
		name, isBody := strings.CutPrefix(field.Location, "body.")
		name, _, _ = strings.Cut(name, "[")
		switch name {
		case "client_secret":
			name = "client_secret_wo"
		case "name", "description", "token_ttl_seconds", "privileges", "expires_at", "email", "first_name", "last_name":
		default:
			isBody = false
		}
		if isBody {
			at[name] = field.Message
		}
	}
	return at
}

func hasCode(err error, code string) bool {
	p := (*svcauth.Problem)(nil)
	return errors.As(err, &p) && p.Code == code
}

// gone says whether the server itself said that a thing does not exist. A 404 of anything else (a wrong address, a proxy) is no such word: it
// has no type, and to believe it would have Terraform make everything anew.
func gone(err error) bool {
	p := (*svcauth.Problem)(nil)
	return errors.As(err, &p) && p.Code == svcauth.CodeNotFound && p.Type != ""
}

// uncertain says whether a change that failed may have been made all the same: its answer was lost, or the server could not say.
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
