package svcauth

// Revocation is one entry of the revocation feed. Which fields are set says what it denies; a token is revoked if any live entry matches it:
//
//	{"jti","exp"}                                  that token
//	{"client_id","min_epoch"}                      that client's tokens with a lower epoch
//	{"client_id","role","min_epoch"}               of these, only the ones that carry the role; a reader that does not
//	                                               know the field refuses more than it must, never less
//	{"cred"}                                       the tokens obtained with that secret
//	{"org_id","role","privilege"?,"min_pol"}       tokens of that organization with that role (and, where named, that
//	                                               privilege in scope) and a lower pol
//	{"org_id","min_pol"}                           all tokens of that organization with a lower pol: it was deleted, or
//	                                               had more revocations than are kept
//
// Entries about one client also say whose it is and how old the tokens are that
// they deny (org_id, epoch, pol; the first two kinds client_id too). It decides
// nothing about a token: it tells a follower which entries another one, with a
// higher min_epoch or min_pol, makes superfluous, so that it may forget them.
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
	Exp       int64  `json:"exp"` // seconds since 1970: when the last token that the entry denies has expired and it may be forgotten
}
