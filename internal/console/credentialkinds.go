package console

import (
	"cmp"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// credentialKinds are the kinds beside secrets, in the order of the tab.
var credentialKinds = []credentialKind{
	{
		kind: svcauth.KindKey, Title: "Public keys", Add: "Add a key",
		About: "The account signs an assertion with the private key, which never leaves it (private_key_jwt).",
		list:  listKeys, create: createKey,
		remove: func(v *visit, id, credentialID string, revoke bool) error {
			return v.k.cfg.Access.DeleteKey(v.ctx(), id, credentialID, revoke)
		},
		edit: keyForm, save: saveKey,
	},
	{
		kind: svcauth.KindFederatedCredential, Title: "Federated credentials", Add: "Trust another issuer",
		About: "A token of another issuer proves the account: a job of GitHub Actions, a pod of Kubernetes, a run of " +
			"HCP Terraform. Nothing has to be stored there.",
		list: listFederated, create: createFederated,
		remove: func(v *visit, id, credentialID string, revoke bool) error {
			return v.k.cfg.Access.DeleteFederatedCredential(v.ctx(), id, credentialID, revoke)
		},
		edit: federatedForm, save: saveFederated, show: showFederated,
	},
	{
		kind: svcauth.KindCertificate, Title: "Certificates", Add: "Add a certificate",
		About: "The account proves itself by its certificate in mutual TLS.",
		list:  listCertificates, create: createCertificate,
		remove: func(v *visit, id, credentialID string, revoke bool) error {
			return v.k.cfg.Access.DeleteCertificate(v.ctx(), id, credentialID, revoke)
		},
	},
}

func listKeys(v *visit, id string) (all []credential, err error) {
	list, err := v.k.cfg.Access.Keys(v.ctx(), id)
	for _, k := range list.Items {
		one := credential{
			ID: k.ID, Title: cmp.Or(k.Thumbprint, k.JWKSURI), Description: k.Description,
			CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy,
			ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt,
		}
		if k.JWKSURI != "" {
			one.Detail = append(one.Detail, "all keys that are published there")
		}
		if k.Kid != "" {
			one.Detail = append(one.Detail, "kid "+k.Kid)
		}
		if k.AcceptTokenURLAudience {
			one.Detail = append(one.Detail, "takes the token URL as audience")
		}
		all = append(all, one)
	}
	return all, err
}

func createKey(v *visit, id string, f *form) (*trust, error) {
	n := svcauth.NewKey{
		Description: f.Value("description"), ExpiresAt: f.dateTime("expires_at"),
		AcceptTokenURLAudience: f.Value("accept_token_url_audience") == "yes",
	}
	n.JWK, n.PEM = keyText(f.Value("value"))
	if n.JWKSURI = f.trimmed("jwks_uri"); (n.JWKSURI == "") == (n.PEM == "" && n.JWK == nil) {
		f.fail("value", "Give the public key, or the address of its keys: one of them.")
	}
	if len(f.Errors) > 0 {
		return nil, nil
	}
	_, err := v.k.cfg.Access.CreateKey(v.ctx(), id, n)
	if err != nil && f.refused(err, "value") {
		f.rename("jwk", "value")
		f.rename("pem", "value")
	}
	return nil, err
}

// keyForm shows a key for editing.
func keyForm(v *visit, id, credentialID string) (*form, error) {
	key, err := v.k.cfg.Access.Key(v.ctx(), id, credentialID)
	f := filled("description", key.Description, "expires_at", fieldTime(key.ExpiresAt))
	if key.AcceptTokenURLAudience {
		f.Values.Set("accept_token_url_audience", "yes")
	}
	return f, err
}

func saveKey(v *visit, id, credentialID string, f *form) error {
	now, err := keyForm(v, id, credentialID)
	if err != nil {
		return err
	}
	description, accept := f.Value("description"), f.Value("accept_token_url_audience") == "yes"
	patch := svcauth.KeyPatch{Description: &description, AcceptTokenURLAudience: &accept}
	if expires := f.dateTime("expires_at"); fieldTime(expires) != now.Value("expires_at") {
		patch.ExpiresAt, patch.ClearExpiresAt = expires, expires == nil
	}
	if len(f.Errors) > 0 {
		return nil
	}
	_, err = v.k.cfg.Access.UpdateKey(v.ctx(), id, credentialID, patch)
	return err
}

func listCertificates(v *visit, id string) (all []credential, err error) {
	list, err := v.k.cfg.Access.Certificates(v.ctx(), id)
	for _, c := range list.Items {
		field, value := c.Registered()
		one := credential{
			ID: c.ID, Title: value, Detail: []string{strings.ReplaceAll(field, "_", " ")}, Description: c.Description,
			CreatedAt: c.CreatedAt, CreatedBy: c.CreatedBy, ExpiresAt: c.ExpiresAt, LastUsedAt: c.LastUsedAt,
		}
		if c.Subject != "" {
			one.Detail = append(one.Detail, c.Subject)
		}
		all = append(all, one)
	}
	return all, err
}

func createCertificate(v *visit, id string, f *form) (*trust, error) {
	value := strings.TrimSpace(f.Value("value"))
	n := svcauth.NewCertificate{Description: f.Value("description"), ExpiresAt: f.dateTime("expires_at")}
	switch f.Value("by") {
	case "subject_dn":
		n.SubjectDN = value
	case "san_dns":
		n.SANDNS = value
	case "san_uri":
		n.SANURI = value
	case "san_ip":
		n.SANIP = value
	case "san_email":
		n.SANEmail = value
	default:
		n.Certificate = value
	}
	if len(f.Errors) > 0 {
		return nil, nil
	}
	_, err := v.k.cfg.Access.CreateCertificate(v.ctx(), id, n)
	if err != nil && f.refused(err, "value") {
		for _, field := range []string{"subject_dn", "san_dns", "san_uri", "san_ip", "san_email", "certificate"} {
			f.rename(field, "value")
		}
	}
	return nil, err
}
