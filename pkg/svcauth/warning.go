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

// The reasons of a [DefaultWarning].
const (
	ReasonTokenSize       = "token_size"       // the token would be too long
	ReasonProfiles        = "profiles"         // it would be for APIs whose tokens have different forms
	ReasonDefaultResource = "default_resource" // the account's default resource is no API any more
	ReasonUnknownProfile  = "unknown_profile"  // it would be for an API whose profile a newer release wrote
)

// DefaultWarning names an account whose requests are refused if they say
// neither scope nor resource.
type DefaultWarning struct {
	ID         string   `json:"id" doc:"The id of the service account, or of the member whose application keys it is about"`
	Name       string   `json:"name" doc:"The service account's name, or the address of the member whose application keys it is about"`
	Reason     string   `json:"reason" enum:"token_size,profiles,default_resource,unknown_profile" doc:"Why: the token would be too long; it would be for APIs whose tokens have different forms; the account's default_resource is no API of the catalogue any more; it would be for an API the form of whose tokens this release does not know"`
	Characters int      `json:"characters,omitempty" doc:"With token_size: how long the token would be, in characters"`
	Max        int      `json:"max_characters,omitempty" doc:"With token_size: the longest token that is issued, in characters"`
	Resources  []string `json:"resources,omitempty" doc:"With profiles: the APIs of which each request must name one; with default_resource: the one that is gone; with unknown_profile: those that it would be for"`
}

// String returns the warning in two sentences: what is wrong, and what to do.
func (w DefaultWarning) String() string {
	whose, key := "The service account "+w.Name, false
	if ValidID(PrefixMember, w.ID) {
		whose, key = "The application keys of "+w.Name, true
	}
	resources := strings.Join(w.Resources, ", ")
	switch {
	case w.Reason == ReasonProfiles && key:
		return fmt.Sprintf("%s get no token without a resource, as their roles are of APIs whose tokens have "+
			"different forms (%s). Let each request name one of these as resource.", whose, resources)
	case w.Reason == ReasonProfiles:
		return fmt.Sprintf("%s gets no token without a resource, as its roles are of APIs whose tokens have "+
			"different forms (%s). Let it have one of these as its default_resource, or each request name one as "+
			"resource.", whose, resources)
	case w.Reason == ReasonDefaultResource:
		return fmt.Sprintf("%s gets no token without a resource, as its default_resource %s is no API of the "+
			"catalogue any more. Let it have another one, or none.", whose, resources)
	case w.Reason == ReasonUnknownProfile && key:
		return fmt.Sprintf("%s get no token without a resource, as this release does not know the form of the tokens "+
			"for all of %s. Update the server, or let each request name another resource.", whose, resources)
	case w.Reason == ReasonUnknownProfile:
		return fmt.Sprintf("%s gets no token without a resource, as this release does not know the form of the tokens "+
			"for all of %s. Update the server, or let each request name another resource.", whose, resources)
	}
	return fmt.Sprintf("%s would get a token of %d characters, more than the %d that are "+
		"issued (token.max_size). Let each request name what it needs, by scope or resource, "+
		"or take roles away.",
		whose, w.Characters, w.Max)
}
