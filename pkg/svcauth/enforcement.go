package svcauth

import "time"

// MaxWait is the longest time that a call may wait until resource servers
// enforce a revocation.
const MaxWait = 10 * time.Second

// Enforcement says how many of the connected resource servers enforce a
// revocation. It is in the answer to a call with wait.
type Enforcement struct {
	Enforced  int   `json:"enforced" doc:"Resource servers that enforce it already"`
	Connected int   `json:"connected" doc:"Resource servers that are connected"`
	ElapsedMS int64 `json:"elapsed_ms" doc:"How long was waited, in milliseconds"`

	Partial bool `json:"partial,omitempty" doc:"Only the resource servers of the node that answered were counted: the nodes could not tell each other of theirs"`

	NotCounted bool `json:"not_counted,omitempty" doc:"More resource servers are connected than were counted, because so many follow that the server keeps no account of some, or because it could not read its database: enforced and connected are what is known at least"`

	NotWaited bool `json:"not_waited,omitempty" doc:"Too many waited already: the count was taken at once"`
}

// All reports whether every connected resource server is known to enforce the
// revocation.
func (e Enforcement) All() bool {
	return e.Enforced >= e.Connected && !e.Partial && !e.NotCounted
}
