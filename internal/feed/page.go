package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/svcauth/svcauth/internal/store"
)

// Page is a part of the feed.
type Page struct {
	// Entries are each a [svcauth.Revocation], as it stands in the table: to
	// decode a million of them and encode them again would take most of the time.
	Entries []json.RawMessage
	Next    int64 // the cursor to which it leads
	More    bool  // Next is not the end yet
}

// firstPage is what was read from the beginning, for one scope. All who come
// without a cursor are given it, and what has come since.
type firstPage struct {
	page Page // never changed
	at   time.Time
}

// For how long a first page is given, since revocations that have expired go
// from the table; and for how many scopes it is kept, at most some 300 KB each.
const (
	firstPageFor = 5 * time.Second
	firstPages   = 32
)

// Page returns the live revocations after a cursor and not beyond upTo that the
// scope may see, at most 2,000. What is remembered is not read from the table.
// From there few pages are read at a time; organizations take turns, the
// operator's before all others.
func (f *Feed) Page(ctx context.Context, scope Scope, after, upTo int64) (Page, error) {
	if p, ok := f.remembered(scope, after, upTo); ok {
		return p, nil
	}
	if err := f.reads.Take(ctx, scope.OrgID, scope.Operator); err != nil {
		return Page{}, err
	}
	defer f.reads.Give()
	if p, ok := f.remembered(scope, after, upTo); ok { // somebody has read it meanwhile
		return p, nil
	}
	f.mu.Lock()
	of := f.firsts
	f.mu.Unlock()
	rows, err := f.rows(ctx, scope, after, upTo)
	if err != nil {
		return Page{}, err
	}
	p := Page{Entries: make([]json.RawMessage, 0, len(rows)), Next: upTo, More: len(rows) == feedPageSize}
	for _, row := range rows {
		// One line, as we write them: a line break would end the event that carries the entry.
		if entry := json.RawMessage(row.Payload); scope.sees(row.OrgID) && json.Valid(entry) && !bytes.ContainsAny(entry, "\r\n") {
			p.Entries = append(p.Entries, entry)
		}
	}
	if p.More {
		p.Next = rows[len(rows)-1].Seq
	}
	if after == 0 {
		f.keep(of, scope, p)
	}
	return p, nil
}

// keep keeps a first page, among those that there were when it was read: a
// reset meanwhile has put others into their place.
func (f *Feed) keep(of map[string]*firstPage, scope Scope, p Page) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range of {
		if len(of) < firstPages {
			break
		}
		delete(of, key)
	}
	of[scope.key()] = &firstPage{p, f.cfg.Clock()}
}

// remembered is Page from memory; ok is false if it does not reach back so far.
func (f *Feed) remembered(scope Scope, after, upTo int64) (p Page, ok bool) {
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
		if len(p.Entries) == feedPageSize {
			return Page{p.Entries, last, true}, true
		}
		p.Entries, last = append(p.Entries, r.entry), r.seq
	}
	return p, true
}

func (f *Feed) rows(ctx context.Context, scope Scope, after, upTo int64) ([]store.Change, error) {
	if scope.Operator {
		return f.cfg.Store.Read().LiveRevocations(ctx, after, upTo, feedPageSize)
	}
	return f.cfg.Store.Read().LiveRevocationsOf(ctx, scope.OrgID, after, upTo, feedPageSize)
}
