package svcauth

import "time"

// Refusal is what a client was refused at the OAuth2 endpoints: equal refusals
// within an hour, counted.
type Refusal struct {
	At            time.Time `json:"at" doc:"When the last of them came"`
	FirstAt       time.Time `json:"first_at" doc:"When the first of them came, within the hour"`
	Count         int       `json:"count" doc:"How many they are"`
	Endpoint      string    `json:"endpoint" doc:"The path that was called"`
	Code          string    `json:"code" doc:"The error code of the answer"`
	Reason        string    `json:"reason" doc:"Why, as a word: that of the server's log and metrics"`
	Detail        string    `json:"detail" doc:"Why, as a sentence"`
	Authenticated bool      `json:"authenticated" doc:"Whether the client had proven who it is; false: it may have been a stranger who knows the client_id"`
	CredentialID  string    `json:"credential_id,omitempty" doc:"The credential that the client had proven itself by"`
	IP            string    `json:"ip,omitempty" doc:"Where the last of them came from; absent: from several places"`
	UserAgent     string    `json:"user_agent,omitempty" doc:"The program, as it calls itself"`
	RequestIDs    []string  `json:"request_ids" doc:"The ids of the newest requests, at most 50"`
}
