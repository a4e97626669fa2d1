package access

import (
	"context"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/clientcert"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Certificates lists what is registered for a service account, newest first. It
// needs members:read.
func (s *Service) Certificates(ctx context.Context, id string) (list svcauth.List[svcauth.Certificate], err error) {
	rows, err := s.credentials(ctx, id, certificateKind)
	list.Items = make([]svcauth.Certificate, 0, len(rows))
	for _, row := range rows {
		list.Items = append(list.Items, certificateOf(row))
	}
	return list, err
}

// Certificate reads one registration. It needs members:read.
func (s *Service) Certificate(ctx context.Context, id, certificateID string) (svcauth.Certificate, error) {
	row, err := s.credential(ctx, id, certificateKind, certificateID)
	if err != nil {
		return svcauth.Certificate{}, err
	}
	return certificateOf(row), nil
}

// CreateCertificate registers a name that certificates of a service account
// have, or one certificate (RFC 8705 §2). The caller must hold every privilege
// that the account holds.
func (s *Service) CreateCertificate(
	ctx context.Context, id string, n svcauth.NewCertificate,
) (svcauth.Certificate, error) {
	var row store.CredentialRow
	row.Description, row.ExpiresAt = n.Description, n.ExpiresAt
	material, hint, problem := registrationOf(n, s.cfg.Clock())
	row.Material, row.Hint = material, hint
	row, err := s.createCredential(ctx, id, certificateKind, row, func(_ *Tx, there []store.CredentialRow) error {
		if problem != nil {
			return problem
		}
		for _, one := range there {
			if one.Material == material {
				return svcauth.NewProblem(svcauth.CodeConflict,
					"The service account has this registered already: it is %s.", one.ID)
			}
		}
		return nil
	}, shownCertificate)
	if err != nil {
		return svcauth.Certificate{}, err
	}
	return certificateOf(row), nil
}

// DeleteCertificate ends a registration, even the last one. Tokens that it
// obtained live on, unless revokeTokens kills them.
func (s *Service) DeleteCertificate(ctx context.Context, id, certificateID string, revokeTokens bool) error {
	return s.deleteCredential(ctx, id, certificateKind, certificateID, revokeTokens, shownCertificate)
}

// registrationOf returns what is stored of a registration. The hint of a whole
// certificate has what people know it by: when it ends, and its subject.
func registrationOf(n svcauth.NewCertificate, now time.Time) (material, hint string, problem error) {
	fields := []struct {
		kind clientcert.Kind
		text string
	}{
		{clientcert.SubjectDN, n.SubjectDN}, {clientcert.SANDNS, n.SANDNS}, {clientcert.SANURI, n.SANURI},
		{clientcert.SANIP, n.SANIP}, {clientcert.SANEmail, n.SANEmail}, {clientcert.Certificate, n.Certificate},
	}
	given := fields[:0:0]
	for _, f := range fields {
		if f.text != "" {
			given = append(given, f)
		}
	}
	if len(given) != 1 {
		return "", "", svcauth.InvalidField("body", "Give exactly one of subject_dn, san_dns, san_uri, san_ip, "+
			"san_email and certificate: an account may have several registrations.")
	}
	kind, text := given[0].kind, given[0].text
	if kind != clientcert.Certificate {
		name, err := clientcert.Parse(kind, text)
		if err != nil {
			return "", "", svcauth.InvalidField("body."+string(kind), "Refused: it %s.", err)
		}
		return name.String(), "", nil
	}
	leaf, err := clientcert.ParsePEM(text, now)
	if err != nil {
		return "", "", svcauth.InvalidField("body.certificate", "Refused: it %s.", err)
	}
	subject := ""
	if names := clientcert.Names(leaf); len(names) > 0 {
		subject = names[0].Value
	}
	return clientcert.Of(leaf).String(), leaf.NotAfter.UTC().Format(time.RFC3339) + " " + subject, nil
}

func certificateOf(row store.CredentialRow) svcauth.Certificate {
	c := svcauth.Certificate{
		ID: row.ID, Method: svcauth.MethodTLSClientAuth, Description: row.Description, CreatedAt: row.CreatedAt,
		CreatedBy: svcauth.Creator{ID: row.CreatedByID, Email: row.CreatedByName}, ExpiresAt: row.ExpiresAt,
		LastUsedAt: row.LastUsedAt,
	}
	name := clientcert.ParseStored(row.Material)
	switch name.Kind {
	case clientcert.SubjectDN:
		c.SubjectDN = name.Value
	case clientcert.SANDNS:
		c.SANDNS = name.Value
	case clientcert.SANURI:
		c.SANURI = name.Value
	case clientcert.SANIP:
		c.SANIP = name.Value
	case clientcert.SANEmail:
		c.SANEmail = name.Value
	case clientcert.Certificate:
		c.Method, c.CertificateSHA256 = svcauth.MethodSelfSignedTLSClientAuth, name.Value
		end, subject, _ := strings.Cut(row.Hint, " ")
		if at, err := time.Parse(time.RFC3339, end); err == nil {
			c.NotAfter = &at
		}
		c.Subject = subject
	}
	return c
}

// shownCertificate is what the audit log keeps of a registration: nothing in it
// is a secret.
func shownCertificate(row store.CredentialRow) any { return certificateOf(row) }
