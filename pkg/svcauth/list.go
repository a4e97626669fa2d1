package svcauth

// List is one page of a list, newest first. NextCursor is null on the last
// page. Partial, only in lists of live tokens, says that some may be missing
// from all pages: the server's records of them are bounded.
type List[T any] struct {
	Items      []T     `json:"items" doc:"The things of this page"`
	NextCursor *string `json:"next_cursor" doc:"The cursor of the next page; null: this is the last"`
	Partial    bool    `json:"partial,omitempty" doc:"There may be more than all pages have: records had to give way; only in lists of live tokens"`
}
