package clientauth

import (
	"time"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Expired returns the refusal of a credential that has expired, and nil if it
// has not. The zero expiresAt means never.
func Expired(kind string, expiresAt, now time.Time) *oautherr.Error {
	if expiresAt.IsZero() || expiresAt.UnixMilli() > now.UnixMilli() {
		return nil
	}
	return oautherr.New(oautherr.CodeInvalidClient, expiredReasons[kind],
		"%s expired on %s; make a new one for this client", credentialNames[kind], expiresAt.UTC().Format(time.RFC3339))
}

// expiredReasons is the access log's reason for an expired credential of each
// kind: a word of a closed list, which the metrics share.
var expiredReasons = map[string]string{
	store.CredentialSecret:      "expired_secret",
	store.CredentialKey:         "expired_key",
	store.CredentialFederated:   "expired_federated",
	store.CredentialCertificate: "expired_certificate",
}

// Called returns a credential's id after what its kind is called: "key key_…".
func Called(id string) string {
	for kind, prefix := range prefixes {
		if svcauth.ValidID(prefix, id) {
			return credentialNames[kind] + " " + id
		}
	}
	return id
}

// prefixes begin the ids of the credentials of each kind.
var prefixes = map[string]string{
	store.CredentialSecret:      svcauth.PrefixSecret,
	store.CredentialKey:         svcauth.PrefixKey,
	store.CredentialFederated:   svcauth.PrefixFederated,
	store.CredentialCertificate: svcauth.PrefixCertificate,
}

// credentialNames is what a caller calls a credential of each kind.
var credentialNames = map[string]string{
	store.CredentialSecret:      "secret",
	store.CredentialKey:         "key",
	store.CredentialFederated:   "federated credential",
	store.CredentialCertificate: "certificate registration",
}
