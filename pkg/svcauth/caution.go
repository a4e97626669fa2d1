package svcauth

// Caution is part of each request by which something may come about that there
// is to warn of: who gets no token any more by default, who can use what was
// never given to them, whose tokens would fit. Without it the change is made,
// and the answer warns.
type Caution struct {
	Strict bool `json:"strict,omitempty" doc:"If there is anything to warn of, change nothing: the answer is 422 with the warnings"`
	// DryRun changes nothing in any case. The call returns a [*Problem] if the
	// same request would be refused with Strict, and else nothing: the thing
	// that it returns is empty.
	DryRun bool `json:"dry_run,omitempty" doc:"Change nothing. The answer is as with strict, and 204 if there is nothing to refuse or to warn of"`
}
