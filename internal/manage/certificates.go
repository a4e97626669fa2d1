package manage

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagCertificates = "Certificates"
	pathCertificate = pathAccount + "/{id}/certificates"
)

// CertificateOf names a registered certificate of a service account.
type CertificateOf struct {
	Item
	CertificateID string `path:"certificate_id" doc:"The registration's id"`
}

// NewCertificateOf registers a certificate for a service account.
type NewCertificateOf struct {
	Item
	Body svcauth.NewCertificate
}

// CertificateRemoval takes a registration away.
type CertificateRemoval struct {
	CertificateOf
	Waiting
	RevokeTokens bool `query:"revoke_tokens" doc:"The tokens that were obtained with it die at once; else they live until they expire"`
}

func (m *API) certificates() {
	add(m, operation("listCertificates", "GET", pathCertificate, tagCertificates, svcauth.MembersRead,
		"List the certificates of a service account",
		"What is registered for mutual TLS (RFC 8705). There are at most 10, all on one page."),
		func(ctx context.Context, in *Item) (*plain[svcauth.List[svcauth.Certificate]], error) {
			return page(m.cfg.Access.Certificates(ctx, in.ID))
		})
	addMade(m, operation("createCertificate", "POST", pathCertificate, tagCertificates, svcauth.MembersManage,
		"Register a certificate for a service account",
		"Give exactly one of: a name, which any certificate of the server's authorities for clients must have "+
			"(`tls_client_auth`; a renewed one with the same name works too), or a certificate itself in PEM "+
			"(`self_signed_tls_client_auth`). Names are compared to the letter. You need every privilege of the "+
			"account's roles."),
		func(ctx context.Context, in *NewCertificateOf) (*created[svcauth.Certificate], error) {
			made, err := m.cfg.Access.CreateCertificate(ctx, in.ID, in.Body)
			return &created[svcauth.Certificate]{pathAccount + "/" + in.ID + "/certificates/" + made.ID, made}, err
		})
	add(m, operation("getCertificate", "GET", pathCertificate+"/{certificate_id}", tagCertificates,
		svcauth.MembersRead, "Get a registered certificate", "What is registered, and when it was last used."),
		func(ctx context.Context, in *CertificateOf) (*plain[svcauth.Certificate], error) {
			return unversioned(m.cfg.Access.Certificate(ctx, in.ID, in.CertificateID))
		})
	addDone(m, operation("deleteCertificate", "DELETE", pathCertificate+"/{certificate_id}", tagCertificates,
		svcauth.MembersManage, "Remove a registered certificate", "No new tokens for it from now on."),
		func(ctx context.Context, in *CertificateRemoval) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error {
				return m.cfg.Access.DeleteCertificate(ctx, in.ID, in.CertificateID, in.RevokeTokens)
			})
		})
}
