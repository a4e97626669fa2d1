package svcauth

// ExplainRequest is the body of POST /v1/explain. Exactly one of Token, JTI,
// ClientID and RequestID says what is explained; Privilege and Audience say
// what it should be able to do, and have no meaning with RequestID.
type ExplainRequest struct {
	Token     string `json:"token,omitempty" maxLength:"16384" doc:"An access token, whole"`
	JTI       string `json:"jti,omitempty" maxLength:"256" doc:"The id of a token"`
	ClientID  string `json:"client_id,omitempty" maxLength:"256" doc:"What a token issued to it now could do"`
	RequestID string `json:"request_id,omitempty" maxLength:"30" doc:"The id of a request that was refused; needs audit:read"`
	Privilege string `json:"privilege,omitempty" maxLength:"256" doc:"The privilege to ask about; absent: whether it is good at all"`
	Audience  string `json:"audience,omitempty" maxLength:"256" doc:"Of the API; absent: the one that knows the privilege"`
}

// String returns the request without its token, so that fmt does not print
// that.
func (r ExplainRequest) String() string {
	return "explain client " + r.ClientID + " jti " + r.JTI + " privilege " + r.Privilege + " audience " + r.Audience +
		" request " + r.RequestID
}

// GoString returns String, so that %#v does not print the token.
func (r ExplainRequest) GoString() string { return r.String() }

// The outcomes of a step of an [Explanation].
const (
	StepOK     = "ok"
	StepFailed = "failed"
	// The step was not checked: an earlier one failed, or nothing was asked
	// about it.
	StepSkipped = "skipped"
)

// Explanation says why a token or a client is, or isn't, allowed to do
// something. Its steps are the links of the chain in order: token, credential,
// account, roles, privileges, audience, revocation. Each is checked by the same
// rules that decide about real requests.
type Explanation struct {
	Allowed bool          `json:"allowed" doc:"Whether it is allowed"`
	Steps   []ExplainStep `json:"steps" doc:"The links of the chain in order"`
	// LastRefused is what the client was last refused, and only for a caller
	// with members:read. Refusal is what the request belongs to.
	LastRefused *Refusal `json:"last_refused,omitempty" doc:"Of a client: what it was last refused; needs members:read too"`
	Refusal     *Refusal `json:"refusal,omitempty" doc:"Of a request: the equal refusals that it is among"`
}

// ExplainStep is one link of the chain.
type ExplainStep struct {
	Name    string `json:"name" doc:"Which link"`
	Outcome string `json:"outcome" doc:"ok, failed or skipped"`
	Detail  string `json:"detail" doc:"What was found, and where it failed what to do"`
}
