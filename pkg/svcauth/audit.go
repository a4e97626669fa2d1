package svcauth

import (
	"encoding/json"
	"time"
)

// The kinds of principals and actors.
const (
	KindMember         = "member"
	KindServiceAccount = "service_account"
	KindSystem         = "system"  // the server itself, or its command line
	KindUnknown        = "unknown" // somebody unauthenticated, or several callers
)

// AuditActor is who did it. It stays readable after the actor is deleted.
type AuditActor struct {
	ID       string `json:"id" doc:"Its id"`
	Kind     string `json:"kind" doc:"member, service_account, system (the server itself, or its command line) or unknown (somebody unauthenticated, or several callers)"`
	Name     string `json:"name" doc:"A member's address, a service account's name"`
	ClientID string `json:"client_id,omitempty" doc:"The client whose token was used; absent: it was done in the console"`
}

// AuditTarget is what it was done to.
type AuditTarget struct {
	ID   string `json:"id" doc:"Its id"`
	Kind string `json:"kind" doc:"service_account, secret, key, federated_credential, certificate, role, member, application_key, organization, signing_key, catalog or token"`
	Name string `json:"name" doc:"What people call it"`
}

// The outcomes of audited actions.
const (
	OutcomeDone    = "done"
	OutcomeRefused = "refused"
)

// AuditEvent is one change, or several refusals of the same kind within a
// minute.
type AuditEvent struct {
	ID             string          `json:"id" doc:"Its id"`
	Time           time.Time       `json:"time" doc:"When; where it stands for several, of the first"`
	Count          int             `json:"count" doc:"How many equal events of one minute this one stands for; 1 for most"`
	OrganizationID string          `json:"organization_id" doc:"The organization"`
	Actor          AuditActor      `json:"actor" doc:"Who did it"`
	Action         string          `json:"action" doc:"What was done, noun.verb, such as service_account.create"`
	Target         AuditTarget     `json:"target" doc:"What it was done to"`
	Outcome        string          `json:"outcome" doc:"done or refused"`
	Reason         string          `json:"reason" doc:"Why it was refused"`
	Before         json.RawMessage `json:"before" doc:"What it was before, without secrets; null where there was nothing"`
	After          json.RawMessage `json:"after" doc:"What it was afterwards, without secrets; null where nothing was left"`
	IP             string          `json:"ip" doc:"The address it came from"`
	RequestID      string          `json:"request_id" doc:"The id of the request, as in the server's log"`
}
