package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/wire"
)

// Page is a part of the feed.
type Page struct {
	// Entries are each a [svcauth.Revocation], as it stands in the table. To
	// decode a million of them and encode them again would take most of the
	// time.
	Entries []json.RawMessage
	Next    int64 // the cursor to which it leads
	More    bool  // Next is not the end yet
}

// Cursor returns the cursor to which the page leads, as it is sent.
func (p Page) Cursor() string { return formatCursor(p.Next) }

// firstPage is what was read from the beginning, for one scope. It is given to
// all that come without a cursor, together with what has come since.
type firstPage struct {
	page Page // never changed
	at   time.Time
}

const (
	// firstPageFor is how long a first page is given. Revocations that have
	// expired are deleted from the table.
	firstPageFor = 5 * time.Second
	// maxFirstPages is for how many scopes one is kept, at most some 300 KB
	// each.
	maxFirstPages = 32
)

// Page returns the live revocations after a cursor and not beyond upTo that the
// scope may see, at most 2,000. What is in memory is not read from the table.
// Few pages are read from there at a time. Organizations take turns, the
// operator's before all others.
func (f *Feed) Page(ctx context.Context, scope Scope, after, upTo int64) (Page, error) {
	if p, ok := f.fromMemory(scope, after, upTo); ok {
		return p, nil
	}
	if err := f.reads.Take(ctx, scope.OrgID, scope.Operator); err != nil {
		return Page{}, err
	}
	defer f.reads.Give()
	if p, ok := f.fromMemory(scope, after, upTo); ok { // it was read meanwhile
		return p, nil
	}
	f.mu.Lock()
	firsts := f.firsts
	f.mu.Unlock()
	p, err := f.fromTable(ctx, scope, after, upTo)
	if err == nil && after == 0 {
		f.keepFirst(firsts, scope, p)
	}
	return p, err
}

// fromTable reads a page from the table.
func (f *Feed) fromTable(ctx context.Context, scope Scope, after, upTo int64) (Page, error) {
	rows, err := f.rows(ctx, scope, after, upTo)
	if err != nil {
		return Page{}, err
	}
	p := Page{Entries: make([]json.RawMessage, 0, len(rows)), Next: upTo, More: len(rows) == wire.PageEntries}
	for _, row := range rows {
		// A line break would end the event that carries the entry.
		entry := json.RawMessage(row.Payload)
		if scope.sees(row.OrgID) && json.Valid(entry) && !bytes.ContainsAny(entry, "\r\n") {
			p.Entries = append(p.Entries, entry)
		}
	}
	if p.More {
		p.Next = rows[len(rows)-1].Seq
	}
	return p, nil
}

// keepFirst keeps a first page among those that there were when it was read. A
// reset meanwhile has replaced them.
func (f *Feed) keepFirst(firsts map[string]*firstPage, scope Scope, p Page) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range firsts {
		if len(firsts) < maxFirstPages {
			break
		}
		delete(firsts, key)
	}
	firsts[scope.key()] = &firstPage{p, f.cfg.Clock()}
}

// fromMemory is Page without the table. ok is false if memory does not reach
// back so far.
func (f *Feed) fromMemory(scope Scope, after, upTo int64) (p Page, ok bool) {
	var first Page
	f.mu.Lock()
	if kept := f.firsts[scope.key()]; after == 0 && kept != nil {
		if age := f.cfg.Clock().Sub(kept.at); age >= 0 && age < firstPageFor && kept.page.Next <= upTo {
			first, after = kept.page, kept.page.Next
		}
	}
	known := first.More || after >= f.floor && upTo <= f.head
	fresh := f.after(after) // what is in there does not change
	f.mu.Unlock()
	if first.More || !known {
		return first, first.More
	}
	p = Page{Entries: append([]json.RawMessage{}, first.Entries...), Next: upTo}
	last := after
	for _, r := range fresh {
		if r.seq > upTo {
			break
		}
		if !scope.sees(r.orgID) {
			continue
		}
		if len(p.Entries) == wire.PageEntries {
			return Page{p.Entries, last, true}, true
		}
		p.Entries, last = append(p.Entries, r.entry), r.seq
	}
	return p, true
}

func (f *Feed) rows(ctx context.Context, scope Scope, after, upTo int64) ([]store.Change, error) {
	if scope.Operator {
		return f.cfg.Store.Read().LiveRevocations(ctx, after, upTo, wire.PageEntries)
	}
	return f.cfg.Store.Read().LiveRevocationsOf(ctx, scope.OrgID, after, upTo, wire.PageEntries)
}
