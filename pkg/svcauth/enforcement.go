package svcauth

import "time"

// MaxWait is the longest time that a call may wait until resource servers
// enforce a revocation.
const MaxWait = 10 * time.Second

// Enforcement says how many of the connected resource servers enforce a
// revocation. It is in the answer to a call with wait.
type Enforcement struct {
	Enforced  int   `json:"enforced"`
	Connected int   `json:"connected"`
	ElapsedMS int64 `json:"elapsed_ms"`

	// Partial is true if the server's nodes could not tell each other about
	// their resource servers (Redis is unavailable): only those connected to
	// the answering node were counted.
	Partial bool `json:"partial,omitempty"`

	// NotCounted is true if there are more connected resource servers than were
	// counted: they are too many for the server to track, or it could not read
	// its database. Enforced and Connected are then lower bounds.
	NotCounted bool `json:"not_counted,omitempty"`

	// NotWaited is true if too many calls were waiting already: the count was
	// taken at once.
	NotWaited bool `json:"not_waited,omitempty"`
}

// All reports whether every connected resource server is known to enforce the
// revocation.
func (e Enforcement) All() bool {
	return e.Enforced >= e.Connected && !e.Partial && !e.NotCounted
}
