package svcauth

import "time"

// The ways in which a client authenticates by a certificate (RFC 8705 §2), as
// the metadata calls them.
const (
	MethodTLSClientAuth           = "tls_client_auth"
	MethodSelfSignedTLSClientAuth = "self_signed_tls_client_auth"
)

// Certificate is a registration by which a service account proves who it is in
// mutual TLS (RFC 8705): a name that a certificate of a trusted authority must
// have, so that a renewed one works too, or one certificate itself. Exactly one
// of the names, or CertificateSHA256 with Subject and NotAfter, is set.
type Certificate struct {
	ID                string     `json:"id" doc:"Its id"`
	Method            string     `json:"method" enum:"tls_client_auth,self_signed_tls_client_auth" doc:"How the client authenticates by it (RFC 8705 §2)"`
	SubjectDN         string     `json:"subject_dn,omitempty" doc:"The subject that the certificate has, as RFC 4514 writes it"`
	SANDNS            string     `json:"san_dns,omitempty" doc:"A DNS name that the certificate has"`
	SANURI            string     `json:"san_uri,omitempty" doc:"A URI that the certificate has"`
	SANIP             string     `json:"san_ip,omitempty" doc:"An IP address that the certificate has"`
	SANEmail          string     `json:"san_email,omitempty" doc:"A mail address that the certificate has"`
	CertificateSHA256 string     `json:"certificate_sha256,omitempty" doc:"The SHA-256 of the registered certificate's DER, in hexadecimal digits"`
	Subject           string     `json:"subject,omitempty" doc:"The subject of the registered certificate, for people"`
	NotAfter          *time.Time `json:"not_after,omitempty" doc:"When the registered certificate itself ends"`
	Description       string     `json:"description" doc:"For people"`
	CreatedAt         time.Time  `json:"created_at" doc:"When it was made"`
	CreatedBy         Creator    `json:"created_by" doc:"Who made it; both fields are empty where that is not known"`
	ExpiresAt         *time.Time `json:"expires_at" doc:"When the registration expires; null: never"`
	LastUsedAt        *time.Time `json:"last_used_at" doc:"When it was last used, right within five minutes; null: never"`
}

// NewCertificate is the body of POST /v1/service-accounts/{id}/certificates.
// Exactly one of the names or Certificate is set.
type NewCertificate struct {
	SubjectDN   string     `json:"subject_dn,omitempty" maxLength:"512" doc:"The subject, as RFC 4514 writes it: CN=deployer,OU=ci,O=Example"`
	SANDNS      string     `json:"san_dns,omitempty" maxLength:"512" doc:"A DNS name, compared to the letter"`
	SANURI      string     `json:"san_uri,omitempty" maxLength:"512" doc:"A URI such as a SPIFFE ID, compared to the letter"`
	SANIP       string     `json:"san_ip,omitempty" maxLength:"512" doc:"An IP address"`
	SANEmail    string     `json:"san_email,omitempty" maxLength:"512" doc:"A mail address, compared to the letter"`
	Certificate string     `json:"certificate,omitempty" maxLength:"12288" doc:"The certificate itself in PEM, self-signed or not; no private key"`
	Description string     `json:"description,omitempty" maxLength:"256" doc:"For people"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"When the registration expires; null or absent: never"`
}

// Registered returns the field that is set and its value, or the certificate's
// SHA-256, for people.
func (c Certificate) Registered() (field, value string) {
	for _, one := range []struct{ field, value string }{
		{"subject_dn", c.SubjectDN}, {"san_dns", c.SANDNS}, {"san_uri", c.SANURI}, {"san_ip", c.SANIP},
		{"san_email", c.SANEmail},
	} {
		if one.value != "" {
			return one.field, one.value
		}
	}
	return "certificate", c.CertificateSHA256
}
