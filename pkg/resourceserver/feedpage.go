package resourceserver

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Limits of what is accepted from a feed, so that a broken or hostile one costs
// little more than the real one, which sends at most 2,000 entries at once.
const (
	maxPageSize    = 8 << 20 // bytes of one answer to a poll, and of one event of a stream
	maxPageEntries = 10_000
	maxEntryText   = 4 << 10 // bytes of the names in one entry
	maxCursorSize  = 128
	maxEmptyPages  = 100 // in a row, though more is announced
	maxBeginnings  = 3   // snapshots that may begin while the feed is read once

	tokenWeight = 64  // bytes that a revoked token takes, about
	ruleWeight  = 256 // bytes that any other entry takes beside its names
)

// feedPage is one answer to a poll.
type feedPage = wire.Page[entries]

// entries are the entries of one page. They are counted before the first is
// decoded: `{}` takes fifty times as much memory as a Go value.
type entries []svcauth.Revocation

// UnmarshalJSON refuses more entries than a page may have. The decoder has
// already checked that data is valid JSON.
func (e *entries) UnmarshalJSON(data []byte) error {
	if all, ok := plainEntries(data); ok {
		*e = all
		return nil
	}
	if untrusted.CountElements(data, maxPageEntries) > maxPageEntries {
		return fmt.Errorf("a page of the revocation feed has more than %d entries", maxPageEntries)
	}
	return json.Unmarshal(data, (*[]svcauth.Revocation)(e))
}

// weigh returns about how much memory the entries take in a set.
func (e entries) weigh() (total int64, err error) {
	for i := range e {
		one := &e[i]
		names := len(one.ClientID) + len(one.Cred) + len(one.OrgID) + len(one.Role) + len(one.Privilege)
		if names+len(one.JTI) > maxEntryText {
			return 0, fmt.Errorf("an entry of the revocation feed has more than %d bytes of names", maxEntryText)
		}
		if one.JTI != "" { // of which only a digest is kept
			total += tokenWeight
		} else {
			total += int64(ruleWeight + names)
		}
	}
	return total, nil
}

// validCursor reports whether s can be sent back in a header or a query.
func validCursor(s string) bool {
	return s != "" && len(s) <= maxCursorSize && untrusted.Quotable(s, maxCursorSize) == s
}

var errNowhere = errors.New("an answer of the revocation feed leads nowhere: expected a " +
	"cursor that moves on, and entries")

// errTooMuch is the error if the set would take more memory than it may. The
// entries that it has stay in force until it is stale.
func errTooMuch(limit int64) error {
	return fmt.Errorf(
		"the revocation feed has more than fits into Feed.MaxMemory, %d bytes; raise it if "+
			"the issuer has that many live revocations",
		limit,
	)
}

// paging joins the pages that are read from one cursor. The entries of the set
// stay in force until a snapshot is complete.
type paging struct {
	cursor     string
	next       *verify.Replacement // the snapshot being read; nil: none
	more       bool
	weight     int64 // of next
	empty      int   // pages without an entry, in a row
	beginnings int
}

func (p *paging) begin(f *subscriber) {
	*p = paging{cursor: f.cursor, more: true}
	// Before the request, so that what is added to the set meanwhile is in the
	// snapshot too.
	if f.cursor == "" {
		p.anew(f)
	}
}

// anew begins a snapshot.
func (p *paging) anew(f *subscriber) {
	p.next, p.weight = f.cfg.revocations.BeginReplacement(), 0
}

func (p *paging) end() {
	if p.next != nil {
		p.next.Abandon()
		p.next = nil
	}
}

// take applies one answer to a poll.
func (p *paging) take(f *subscriber, page feedPage) error {
	if !validCursor(page.Cursor) || page.More && page.Cursor == p.cursor {
		return errNowhere
	}
	if page.Snapshot {
		if p.beginnings++; p.beginnings > maxBeginnings {
			return errNowhere
		}
		p.anew(f)
	}
	if err := p.add(f, page); err != nil {
		return err
	}
	p.cursor, p.more = page.Cursor, page.More
	if !p.more {
		p.commit(f, p.cursor)
	}
	return nil
}

// add puts the entries of a page into the snapshot or the set, if there is
// room.
func (p *paging) add(f *subscriber, page feedPage) error {
	if p.empty++; len(page.Revocations) > 0 {
		p.empty = 0
	}
	if page.More && p.empty > maxEmptyPages {
		return errNowhere
	}
	if p.next == nil {
		return f.admit(page.Revocations)
	}
	weight, err := page.Revocations.weigh()
	if err != nil {
		return err
	}
	if p.weight += weight; p.weight > f.cfg.Feed.MaxMemory {
		return errTooMuch(f.cfg.Feed.MaxMemory)
	}
	p.next.Add(page.Revocations...)
	return nil
}

// commit ends the reading, which has reached cursor.
func (p *paging) commit(f *subscriber, cursor string) {
	if p.next != nil {
		p.next.Commit()
		f.held = p.weight
		p.end()
	}
	f.cursor = cursor
}

// admit adds entries to the set. If they are too many, some of the set's may
// have expired: the whole feed is read again.
func (f *subscriber) admit(more entries) error {
	weight, err := more.weigh()
	if err != nil {
		return err
	}
	if f.held+weight > f.cfg.Feed.MaxMemory {
		f.cursor = ""
		return errTooMuch(f.cfg.Feed.MaxMemory)
	}
	f.held += weight
	f.cfg.revocations.Add(more...)
	return nil
}
