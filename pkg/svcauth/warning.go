package svcauth

import (
	"fmt"
	"strings"
)

// CredentialWarning names a credential whose creator doesn't hold what the
// service account has just gained, or not for as long. If the creator may use
// it, as who may have kept a secret or a private key can, replace it.
type CredentialWarning struct {
	ServiceAccount Ref      `json:"service_account" doc:"The service account whose credential it is"`
	Kind           string   `json:"kind" enum:"secret,key,federated_credential,certificate" doc:"Of which kind the credential is"`
	CredentialID   string   `json:"credential_id" doc:"The credential's id"`
	Hint           string   `json:"hint" doc:"By what people tell it from others: a secret's last four characters"`
	CreatedBy      Creator  `json:"created_by" doc:"Who made it; both fields are empty where that is not known"`
	Missing        []string `json:"missing_privileges" doc:"What its maker does not hold, or not for as long"`
}

// String returns the warning in two sentences: what is wrong, and what to do.
func (w CredentialWarning) String() string {
	maker := w.CreatedBy.Email
	if maker == "" {
		maker = "somebody unknown"
	}
	called := CredentialName(w.Kind) + " " + w.CredentialID
	if w.Kind == KindSecret {
		called += " (…" + w.Hint + ")"
	}
	return fmt.Sprintf("The %s of the service account %s was made by %s, who "+
		"does not hold %s, or not for as long: whoever made or kept it can use that now. If that is "+
		"not meant, end it and make another.",
		called, w.ServiceAccount.Name, maker, strings.Join(w.Missing, ", "))
}

// SizeWarning names an account whose tokens would be longer than the server
// issues. It gets one only if it asks for a scope or a resource.
type SizeWarning struct {
	ID         string `json:"id" doc:"The id of the service account, or of the member whose application keys it is about"`
	Name       string `json:"name" doc:"The service account's name, or the address of the member whose application keys it is about"`
	Characters int    `json:"characters" doc:"How long its token would be without scope and resource, in characters"`
	Max        int    `json:"max_characters" doc:"The longest token that is issued, in characters"`
}

// String returns the warning in two sentences: what is wrong, and what to do.
func (w SizeWarning) String() string {
	whose := "The service account " + w.Name
	if ValidID(PrefixMember, w.ID) {
		whose = "The application keys of " + w.Name
	}
	return fmt.Sprintf("%s would get a token of %d characters, more than the %d that are "+
		"issued (token.max_size). Let each request name what it needs, by scope or resource, "+
		"or take roles away.",
		whose, w.Characters, w.Max)
}
