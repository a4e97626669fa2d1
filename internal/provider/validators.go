package provider

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/internal/clientcert"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// textValidator refuses what the server would trim or refuse. If a text came
// back different from the plan, the apply would fail.
type textValidator struct{ least, most int }

func (v textValidator) Description(context.Context) string {
	return fmt.Sprintf("%d to %d characters, without white space around them or control characters", v.least, v.most)
}

func (v textValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v textValidator) ValidateString(
	ctx context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if err := svcauth.CheckText(text); err != nil { // the server's rule; what it names is not repeated
		resp.Diagnostics.AddAttributeError(req.Path, "Not a text for this", "The text "+err.Error()+".")
		return
	}
	if n := utf8.RuneCountInString(text); n < v.least || n > v.most || text != strings.TrimSpace(text) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a text for this", "Expected "+v.Description(ctx)+".")
	}
}

// idValidator refuses a text that is no id with the prefix.
type idValidator struct{ prefix string }

func (v idValidator) Description(context.Context) string {
	return "an id of the form " + v.prefix + "_…, not a name"
}

func (v idValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v idValidator) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() && !req.ConfigValue.IsUnknown() &&
		!svcauth.ValidID(v.prefix, req.ConfigValue.ValueString()) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not an id", "Expected "+v.Description(ctx)+".")
	}
}

// emailValidator refuses what the server would refuse.
type emailValidator struct{}

func (emailValidator) Description(context.Context) string {
	return "one bare e-mail address, such as ann@example.com"
}

func (v emailValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v emailValidator) ValidateString(
	ctx context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if _, err := svcauth.ParseEmail(text); err != nil || text != strings.TrimSpace(text) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not an address", "Expected "+v.Description(ctx)+".")
	}
}

// sameEmail reports whether two texts are the same address to the server, which
// keeps addresses in lower case.
func sameEmail(a, b string) bool {
	one, err1 := svcauth.ParseEmail(a)
	other, err2 := svcauth.ParseEmail(b)
	return err1 == nil && err2 == nil && one == other
}

// secretValidator refuses a mistyped secret before anything is changed. It
// never shows the secret.
type secretValidator struct{}

func (secretValidator) Description(context.Context) string {
	return "a client secret as svcauth makes them"
}

func (v secretValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (secretValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := svcauth.ParseSecret(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a client secret", err.Error()+
			". The ephemeral resource svcauth_generated_secret makes one.")
	}
}

// publicKeyValidator refuses what the server would refuse, before a private key
// comes into a plan. It never shows the text.
type publicKeyValidator struct{}

func (publicKeyValidator) Description(context.Context) string {
	return "a public key in PEM or as a JWK: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519"
}

func (v publicKeyValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

func (v publicKeyValidator) ValidateString(
	ctx context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := parsePublicKey(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a public key",
			"It is "+err.Error()+". Expected "+v.Description(ctx)+".")
	}
}

// certificateValidator is the same for a certificate.
type certificateValidator struct{}

func (certificateValidator) Description(context.Context) string {
	return "one certificate in PEM, and no key"
}

func (v certificateValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

func (certificateValidator) ValidateString(
	_ context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	// One that has ended is the server's to refuse: it may be registered
	// already.
	if _, err := clientcert.ParsePEM(req.ConfigValue.ValueString(), time.Time{}); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a certificate", "It "+err.Error()+".")
	}
}

// headersValidator refuses headers that would break or forge the requests.
type headersValidator struct{}

var reservedHeaders = []string{"Authorization", "Host", "Content-Length", "Content-Type", "Transfer-Encoding",
	"Connection", "If-Match", "Accept", "Accept-Encoding", "Cookie2", "Te", "Trailer", "Upgrade"}

func (headersValidator) Description(context.Context) string {
	return "names and values of HTTP headers, save those that the requests need for themselves"
}

func (v headersValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (headersValidator) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for name, value := range req.ConfigValue.Elements() {
		text, _ := value.(types.String)
		switch {
		case slices.Contains(reservedHeaders, http.CanonicalHeaderKey(name)):
			resp.Diagnostics.AddAttributeError(req.Path, "Reserved header", "The requests need the header "+name+
				" for themselves; take it out.")
		case name == "" ||
			strings.ContainsFunc(name, func(r rune) bool {
				return !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && !alphanumeric(r)
			}):
			resp.Diagnostics.AddAttributeError(req.Path, "Not a header",
				fmt.Sprintf("%q is not the name of an HTTP header (RFC 9110 §5.1).", name))
		case strings.ContainsFunc(text.ValueString(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			resp.Diagnostics.AddAttributeError(req.Path, "Not a header", "The value of the header "+name+
				" holds a control character (RFC 9110 §5.5).")
		}
	}
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// durationValidator refuses a keep_previous_for out of range.
type durationValidator struct{}

const maxKeep = 365 * 24 * time.Hour

func (durationValidator) Description(context.Context) string {
	return "a duration over 0 and up to 8760h (a year), such as 24h"
}

func (v durationValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v durationValidator) ValidateString(
	ctx context.Context, req validator.StringRequest, resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if keep, err := time.ParseDuration(req.ConfigValue.ValueString()); err == nil && (keep <= 0 || keep > maxKeep) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a time to keep a secret for", "Expected "+v.Description(ctx)+
			".")
	}
}
