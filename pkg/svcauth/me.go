package svcauth

// Me is the answer to GET /v1/me: the calling principal.
type Me struct {
	ID           string   `json:"id" doc:"Its id"`
	Kind         string   `json:"kind" doc:"member or service_account"`
	Name         string   `json:"name" doc:"A member's address, a service account's name"`
	ClientID     string   `json:"client_id,omitempty" doc:"The OAuth2 client_id"`
	Organization Ref      `json:"organization" doc:"The caller's organization"`
	Operator     bool     `json:"operator" doc:"The organization is the operator's own"`
	Roles        []string `json:"roles" doc:"The roles that it holds"`
	Privileges   []string `json:"privileges" doc:"Those in force for this call"`
}
