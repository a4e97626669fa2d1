package svcauth

import "time"

// ResourceServer is a resource server that is connected to the revocation feed
// and has told its name.
type ResourceServer struct {
	Name           string    `json:"name" doc:"What it calls itself"`
	Audience       string    `json:"audience" doc:"The audience of its API, a URI"`
	ClientID       string    `json:"client_id" doc:"The client that it authenticates as"`
	Version        string    `json:"version" doc:"The version of pkg/resourceserver that it runs, as it says; empty: it has not said"`
	Instance       string    `json:"instance" doc:"One process of it"`
	Node           string    `json:"node" doc:"The svcauth node that it is connected to"`
	Cursor         string    `json:"cursor" doc:"Up to where it enforces the feed"`
	Behind         int64     `json:"behind" doc:"Revocations that it has not confirmed yet"`
	LagMS          int64     `json:"lag_ms" doc:"How long the oldest unconfirmed revocation has been waiting, in milliseconds; 0 where there is none"`
	ChecksBindings bool      `json:"checks_bindings" doc:"Whether that version checks what a token is bound to, a key or a client certificate; false: it is taken to accept a bound token from whoever has it"`
	ConnectedAt    time.Time `json:"connected_at" doc:"Since when it is connected"`
}
