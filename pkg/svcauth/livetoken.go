package svcauth

import "time"

// LiveToken is the record of an issued token. It never contains the token.
type LiveToken struct {
	JTI       string    `json:"jti" doc:"The token's id"`
	Scope     string    `json:"scope" doc:"Its privileges, separated by spaces"`
	SecretID  string    `json:"secret_id" doc:"The credential that obtained it, of whatever kind"`
	IssuedAt  time.Time `json:"issued_at" doc:"When it was issued"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it expires"`
	IP        string    `json:"ip" doc:"The address it came from"`
	UserAgent string    `json:"user_agent" doc:"The User-Agent it came with"`
}
