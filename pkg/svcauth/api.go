package svcauth

// API is a resource server that the server issues tokens for: its audience, and
// what it is called.
type API struct {
	Audience    string `json:"audience" doc:"The audience of the API, a URI"`
	Name        string `json:"name" doc:"The name"`
	Description string `json:"description" doc:"For people"`
}

// Privilege is one permission. Its name is a value of OAuth2 scope.
type Privilege struct {
	Name        string `json:"name" doc:"The name, noun:verb: a value of OAuth2 scope"`
	Title       string `json:"title" doc:"What it is called in lists"`
	Description string `json:"description" doc:"For people"`
	API         string `json:"api" doc:"The audience of the API it belongs to"`
}
