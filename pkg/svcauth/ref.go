package svcauth

// Ref is the id and the name of something. It stays readable after that is
// deleted.
type Ref struct {
	ID   string `json:"id" doc:"Its id"`
	Name string `json:"name" doc:"What people call it"`
}

// Creator is the member who made something. The address stays readable after
// that member is deleted.
type Creator struct {
	ID    string `json:"id" doc:"Its id"`
	Email string `json:"email" doc:"The e-mail address"`
}
