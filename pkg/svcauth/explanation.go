package svcauth

// ExplainRequest is the body of POST /v1/explain. One of Token, JTI and ClientID
// says about what; Privilege and Audience say what it should be able to do.
type ExplainRequest struct {
	Token     string `json:"token,omitempty"` // an access token, whole
	JTI       string `json:"jti,omitempty"`
	ClientID  string `json:"client_id,omitempty"` // what a token issued now would be able to do
	Privilege string `json:"privilege,omitempty"` // empty: whether the token or client is good at all
	Audience  string `json:"audience,omitempty"`  // of the API; empty: the one that knows the privilege
}

// String keeps the token out of what fmt prints.
func (r ExplainRequest) String() string {
	return "explain client " + r.ClientID + " jti " + r.JTI + " privilege " + r.Privilege + " audience " + r.Audience
}

// GoString keeps %#v from showing the token.
func (r ExplainRequest) GoString() string { return r.String() }

// The outcomes of a step of an [Explanation].
const (
	StepOK      = "ok"
	StepFailed  = "failed"
	StepSkipped = "skipped" // not looked at, because an earlier step failed or because nothing was asked about it
)

// Explanation says why a token or a client may, or may not, do something: each
// link of the chain in order (secret, account, roles, privileges, audience,
// revocation), by the same rules that decide.
type Explanation struct {
	Allowed bool          `json:"allowed"`
	Steps   []ExplainStep `json:"steps"`
}

// ExplainStep is one link of the chain.
type ExplainStep struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"` // ok, failed or skipped
	Detail  string `json:"detail"`  // what was found and, if it failed, what to do
}
