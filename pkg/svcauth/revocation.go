package svcauth

// Revocation is one entry of the revocation feed. The fields that are set say
// which tokens it denies. The names are those of the token's claims; min_epoch
// and min_pol are compared with its epoch and pol. A token is revoked if any
// entry matches it:
//
//	{"jti","exp"}
//	that token
//	{"client_id","min_epoch"}
//	the client's tokens with a lower epoch
//	{"client_id","role","min_epoch"}
//	of these, the ones that carry the role; a reader that does not know
//	the field refuses more than it must, never less
//	{"cred"}
//	the tokens obtained with that credential
//	{"org_id","role","privilege"?,"min_pol"}
//	the organization's tokens with a lower pol that carry that role and,
//	if a privilege is named, have it in their scope
//	{"org_id","min_pol"}
//	all of the organization's tokens with a lower pol: it was deleted, or
//	had more revocations than are kept
//	{"client_id","min_epoch","unless_bound"}
//	{"org_id","role","min_pol","unless_bound"}
//	these without the tokens that are bound so, see [Revocation.Spares]; a
//	reader that does not know the field refuses more than it must
//
// Entries about one client also have its org_id, and the highest epoch and pol
// of the tokens that they deny; the first two kinds have its client_id too.
// That does not change which tokens match. It lets a reader forget entries that
// one with a higher min_epoch or min_pol makes superfluous.
type Revocation struct {
	JTI       string `json:"jti,omitempty" doc:"The token with this id"`
	ClientID  string `json:"client_id,omitempty" doc:"The client's tokens"`
	MinEpoch  int64  `json:"min_epoch,omitempty" doc:"Tokens with a lower epoch"`
	Cred      string `json:"cred,omitempty" doc:"The tokens that this credential obtained"`
	OrgID     string `json:"org_id,omitempty" doc:"The organization's tokens"`
	Role      string `json:"role,omitempty" doc:"Tokens that carry this role"`
	Privilege string `json:"privilege,omitempty" doc:"Tokens with this privilege in their scope"`
	MinPol    int64  `json:"min_pol,omitempty" doc:"Tokens with a lower pol"`
	// UnlessBound is any, dpop or mtls. An entry has it if tokens must be
	// bound since then.
	UnlessBound string `json:"unless_bound,omitempty" doc:"Not the tokens that are bound so by their cnf: any (jkt or x5t#S256), dpop (jkt) or mtls (x5t#S256). Of another value: none are spared"`
	Epoch       int64  `json:"epoch,omitempty" doc:"The highest epoch of the tokens that this denies; matches nothing"`
	Pol         int64  `json:"pol,omitempty" doc:"The highest pol of the tokens that this denies; matches nothing"`
	// Exp is when the last token that the entry denies expires, in seconds
	// since 1970. After that the entry may be forgotten.
	Exp int64 `json:"exp" doc:"When the last token that this denies expires, in seconds since 1970: forget the entry after that"`
}

// Spares returns which tokens the entry does not deny, because they are bound
// as has been demanded: [TokenBindingAny], [TokenBindingDPoP] or
// [TokenBindingMTLS], as [BoundAs] compares them. It returns the empty string
// if the entry spares none, also for a value that is not known, and for an
// entry of a kind that has no such tokens: to refuse more than one must is
// safe.
func (r *Revocation) Spares() string {
	aClients := r.ClientID != "" && r.MinEpoch > 0 && r.JTI+r.Cred+r.Role == ""
	aRoles := r.ClientID == "" && r.Role != "" && r.MinPol > 0 && r.JTI+r.Cred+r.Privilege == ""
	switch r.UnlessBound {
	case TokenBindingAny, TokenBindingDPoP, TokenBindingMTLS:
		if aClients || aRoles {
			return r.UnlessBound
		}
	}
	return ""
}
