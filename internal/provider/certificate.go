package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/internal/clientcert"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

type certificateModel struct {
	credentialFields
	SubjectDN   types.String `tfsdk:"subject_dn"`
	SANDNS      types.String `tfsdk:"san_dns"`
	SANURI      types.String `tfsdk:"san_uri"`
	SANIP       types.String `tfsdk:"san_ip"`
	SANEmail    types.String `tfsdk:"san_email"`
	Certificate types.String `tfsdk:"certificate"`
	SHA256      types.String `tfsdk:"certificate_sha256"`
}

// set leaves the certificate itself as the configuration has it: the server
// knows its hash.
func (m *certificateModel) set(c svcauth.Certificate) {
	m.setFields(c.ID, c.Description, c.ExpiresAt, c.CreatedAt, c.CreatedBy)
	m.SubjectDN, m.SANDNS, m.SANURI = keepText(m.SubjectDN, c.SubjectDN), textOrNull(c.SANDNS), textOrNull(c.SANURI)
	m.SANIP, m.SANEmail = keepText(m.SANIP, c.SANIP), textOrNull(c.SANEmail)
	m.SHA256 = types.StringValue(c.CertificateSHA256)
}

// keepText keeps what the configuration wrote where the server writes the same
// thing in another form.
func keepText(written types.String, server string) types.String {
	if written.ValueString() != "" && server != "" {
		return written
	}
	return textOrNull(server)
}

// registration returns by what the certificate is known, as the configuration
// writes it.
func (m *certificateModel) registration() (clientcert.Kind, string) {
	for kind, value := range map[clientcert.Kind]types.String{
		clientcert.SubjectDN: m.SubjectDN, clientcert.SANDNS: m.SANDNS, clientcert.SANURI: m.SANURI,
		clientcert.SANIP: m.SANIP, clientcert.SANEmail: m.SANEmail,
	} {
		if value.ValueString() != "" {
			return kind, value.ValueString()
		}
	}
	return clientcert.Certificate, m.Certificate.ValueString()
}

// canonical returns a name in the form in which the server compares it, or the
// SHA-256 of a certificate.
func canonical(kind clientcert.Kind, text string) string {
	if kind == clientcert.Certificate {
		leaf, err := clientcert.ParsePEM(text, time.Time{}) // one that has ended may be registered
		if err != nil {
			return ""
		}
		return clientcert.Of(leaf).Value
	}
	if name, err := clientcert.Parse(kind, text); err == nil {
		return name.Value
	}
	return text
}

// registered is what a certificate is known by. It can't be changed in place,
// but may be written in another form, as after an import.
func registered(kind clientcert.Kind, about string, validators ...validator.String) schema.StringAttribute {
	a := fixed(about)
	a.Validators = validators
	a.PlanModifiers = []planmodifier.String{stringplanmodifier.RequiresReplaceIf(func(
		ctx context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse,
	) {
		was := canonical(kind, req.StateValue.ValueString())
		if kind == clientcert.Certificate { // an imported one is known by its SHA-256 alone
			resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("certificate_sha256"), &was)...)
		}
		resp.RequiresReplace = was == "" || was != canonical(kind, req.PlanValue.ValueString())
	}, "another one", "another one")}
	return a
}

func newCertificateResource() resource.Resource {
	r := &credentialResource[certificateModel, svcauth.Certificate, *certificateModel]{
		typeName: "svcauth_service_account_certificate", noun: "certificate", prefix: svcauth.PrefixCertificate,
		about: "A registration by which a service account proves itself in mutual TLS (RFC 8705): a name in " +
			"certificates of an authority that the server trusts, or one certificate itself. Exactly one of the " +
			"names or `certificate` is set. It can't be changed in place.",
		attributes: map[string]schema.Attribute{
			"subject_dn": registered(clientcert.SubjectDN, "The subject, as RFC 4514 writes it."),
			"san_dns":    registered(clientcert.SANDNS, "A DNS name."),
			"san_uri":    registered(clientcert.SANURI, "A URI, such as a SPIFFE ID."),
			"san_ip":     registered(clientcert.SANIP, "An IP address."),
			"san_email":  registered(clientcert.SANEmail, "A mail address."),
			"certificate": registered(clientcert.Certificate, "The certificate itself in PEM, self-signed or not; "+
				"no private key.", certificateValidator{}),
			"certificate_sha256": schema.StringAttribute{
				Computed: true, MarkdownDescription: "The SHA-256 of the registered certificate; empty with a name.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"description": schema.StringAttribute{
				Optional: true, Computed: true, Default: descriptionAttribute().Default,
				Validators:          descriptionAttribute().Validators,
				MarkdownDescription: descriptionAttribute().MarkdownDescription + " Changing it makes a new one.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"expires_at": schema.StringAttribute{
				Optional: true, CustomType: timetypes.RFC3339Type{},
				MarkdownDescription: "When it expires, as RFC 3339. Left out: never. Changing it makes a new one.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
		},
		choices: []string{"subject_dn", "san_dns", "san_uri", "san_ip", "san_email", "certificate"},
		get:     (*svcauth.Client).Certificate, list: (*svcauth.Client).Certificates,
	}
	r.create = func(ctx context.Context, client *svcauth.Client, m certificateModel) (svcauth.Certificate, error) {
		return client.CreateCertificate(ctx, m.ServiceAccountID.ValueString(), svcauth.NewCertificate{
			SubjectDN: m.SubjectDN.ValueString(), SANDNS: m.SANDNS.ValueString(), SANURI: m.SANURI.ValueString(),
			SANIP: m.SANIP.ValueString(), SANEmail: m.SANEmail.ValueString(), Certificate: m.Certificate.ValueString(),
			Description: m.Description.ValueString(), ExpiresAt: instant(m.ExpiresAt),
		})
	}
	r.taken = func(c svcauth.Certificate, m certificateModel) bool {
		kind, text := m.registration()
		_, value := c.Registered()
		return canonical(kind, text) == value
	}
	r.differs = func(c svcauth.Certificate, m certificateModel) []string {
		return differing(map[string]bool{
			"description": c.Description != m.Description.ValueString(),
			"expires_at":  !sameInstant(c.ExpiresAt, instant(m.ExpiresAt)),
		})
	}
	r.update = func(ctx context.Context, client *svcauth.Client, m certificateModel) (svcauth.Certificate, error) {
		account, id := m.ids()
		return client.Certificate(ctx, account, id) // only how the same is written can differ
	}
	r.remove = func(client *svcauth.Client, ctx context.Context, account, id string) error {
		_, err := client.DeleteCertificate(ctx, account, id, true, 0)
		return err
	}
	return r
}
