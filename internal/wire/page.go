package wire

import (
	"encoding/json"
	"slices"
)

// PageEntries is the most entries that the server puts into one page.
const PageEntries = 2000

// Page is an answer of the feed to a poll. Without the cursor it is the data of
// a snapshot event. Entries is how its reader or writer holds the revocations.
type Page[Entries any] struct {
	// Cursor leads on from here. It is opaque to subscribers.
	Cursor string `json:"cursor,omitempty" doc:"Where to go on from: the next since, or Last-Event-ID"`
	// Snapshot begins anew: what was held before is forgotten once a page
	// without More has come.
	Snapshot bool `json:"snapshot,omitempty" doc:"This begins anew: forget what you held once a page without more has come"`
	// More says that this is not all: the rest follows, or is asked for with
	// the cursor.
	More bool `json:"more,omitempty" doc:"The rest is there already: ask again at once"`

	Revocations Entries `json:"revocations" doc:"What to refuse from now on"`
}

// AppendPage appends a page whose entries are JSON already. [json.Marshal]
// writes the same, but reads each entry once more, which takes most of the
// time.
func AppendPage(b []byte, p Page[[]json.RawMessage]) []byte {
	size := 80
	for _, entry := range p.Revocations {
		size += len(entry) + 1
	}
	b = append(slices.Grow(b, size), '{')
	if p.Cursor != "" {
		b = append(append(append(b, `"cursor":"`...), p.Cursor...), `",`...)
	}
	if p.Snapshot {
		b = append(b, `"snapshot":true,`...)
	}
	if p.More {
		b = append(b, `"more":true,`...)
	}
	b = append(b, `"revocations":[`...)
	for i, entry := range p.Revocations {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, entry...)
	}
	return append(b, "]}"...)
}
