package svcauth

// The kinds of credentials of a service account.
const (
	KindSecret              = "secret"
	KindKey                 = "key"
	KindFederatedCredential = "federated_credential"
	KindCertificate         = "certificate"
)

// CredentialName returns what a sentence calls a credential of a kind, such as
// "federated credential".
func CredentialName(kind string) string {
	if kind == KindFederatedCredential {
		return "federated credential"
	}
	return kind
}

// CredentialPath returns where the credentials of a kind are, behind the
// address of their service account, such as "federated-credentials".
func CredentialPath(kind string) string {
	if kind == KindFederatedCredential {
		return "federated-credentials"
	}
	return kind + "s"
}
