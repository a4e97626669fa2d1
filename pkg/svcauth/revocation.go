package svcauth

// Revocation is one entry of the revocation feed. The fields that are set say
// which tokens it denies; a token is revoked if any live entry matches it:
//
//	{"jti","exp"}
//		that token
//	{"client_id","min_epoch"}
//		the client's tokens with a lower epoch
//	{"client_id","role","min_epoch"}
//		of these, the ones that carry the role; a reader that does not know
//		the field refuses more than it must, never less
//	{"cred"}
//		the tokens obtained with that secret
//	{"org_id","role","privilege"?,"min_pol"}
//		the organization's tokens with that role, with that privilege in scope
//		if one is named, and with a lower pol
//	{"org_id","min_pol"}
//		all of the organization's tokens with a lower pol: it was deleted, or
//		had more revocations than are kept
//
// Entries about one client also say whose it is and how old the tokens are that
// they deny (org_id, epoch, pol; the first two kinds client_id too). This decides
// nothing about a token: it tells a subscriber which entries are made needless by
// one with a higher min_epoch or min_pol, so that it may forget them.
type Revocation struct {
	JTI       string `json:"jti,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	MinEpoch  int64  `json:"min_epoch,omitempty"`
	Cred      string `json:"cred,omitempty"`
	OrgID     string `json:"org_id,omitempty"`
	Role      string `json:"role,omitempty"`
	Privilege string `json:"privilege,omitempty"`
	MinPol    int64  `json:"min_pol,omitempty"`
	Epoch     int64  `json:"epoch,omitempty"`
	Pol       int64  `json:"pol,omitempty"`
	// Exp is when the last token that the entry denies has expired, in seconds
	// since 1970. The entry may be forgotten then.
	Exp int64 `json:"exp"`
}
