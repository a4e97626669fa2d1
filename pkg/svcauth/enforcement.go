package svcauth

import "time"

// MaxWait is the longest that a call may wait for resource servers to enforce a
// revocation.
const MaxWait = 10 * time.Second

// Enforcement says how many connected resource servers enforce a revocation. It
// is in the answer to a call with wait.
type Enforcement struct {
	Enforced  int   `json:"enforced"`
	Connected int   `json:"connected"`
	ElapsedMS int64 `json:"elapsed_ms"`

	// Partial says that the nodes could not tell each other of their resource
	// servers (Redis is away): only those of the node that answered were
	// counted.
	Partial bool `json:"partial,omitempty"`

	// NotCounted says that there are more connected resource servers than were
	// counted, because so many follow that the server keeps no account of some,
	// or because it could not read its database: Enforced and Connected are
	// what is known at least.
	NotCounted bool `json:"not_counted,omitempty"`

	// NotWaited says that too many waited already: the count was taken at once.
	NotWaited bool `json:"not_waited,omitempty"`
}

// All reports whether every connected resource server is known to enforce the
// revocation.
func (e Enforcement) All() bool {
	return e.Enforced >= e.Connected && !e.Partial && !e.NotCounted
}
