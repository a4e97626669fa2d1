package feed

import (
	"github.com/svcauth/svcauth/internal/limits"
)

// How often the feed may be asked a second, for a page or a stream, and as often
// it takes receipts. It follows from the number of streams: whoever finds none
// asks about once a second instead, and confirms a revocation once. So a client
// may ask as often as its organization may have streams, and the organization
// twice as often. The operator's clients may ask four times as often, as they
// may have four times as many streams.
const (
	leastAsked       = 10 // by one client, however few streams there may be
	operatorsAsked   = 4
	clientsPerAsking = 2 // at their bounds, that an organization has room for
)

// asking bounds how often the feed is asked, and how often receipts come.
type asking struct {
	operators, tenants struct{ pages, receipts *limits.Callers }
}

func newAsking(followers int) (a asking) {
	at := func(factor int) *limits.Callers {
		return limits.NewCallers(limits.CallersBound{PerSecond: factor * max(leastAsked, followers/8), Organization: clientsPerAsking})
	}
	a.operators.pages, a.operators.receipts = at(operatorsAsked), at(operatorsAsked)
	a.tenants.pages, a.tenants.receipts = at(1), at(1)
	return a
}

// Askers returns the bounds on those who ask for a page or a stream.
func (f *Feed) Askers(who Scope) *limits.Callers {
	if who.Operator {
		return f.asking.operators.pages
	}
	return f.asking.tenants.pages
}

// Confirmers returns the bounds on those who send receipts.
func (f *Feed) Confirmers(who Scope) *limits.Callers {
	if who.Operator {
		return f.asking.operators.receipts
	}
	return f.asking.tenants.receipts
}

// Missed notes that a question or a receipt was refused unread: whether the one
// who sent it is connected and what it enforces is not known for a while.
func (f *Feed) Missed(who Scope) {
	f.receipts.mu.Lock()
	defer f.receipts.mu.Unlock()
	f.receipts.miss(who.key(), true, presentFor)
}

// What the feed has room for at once. Of each, half is kept for the operator's
// organization, so that tenants together can't have all of it, and one tenant
// has at most an eighth.
const (
	maxPolls   = 256 // answers that are being read, or wait for their turn
	maxWaiters = 256 // who wait for receipts; others are told at once how it stands
	// receiptsPerStream is how many receipts there is room for, in the streams
	// of one node: of the other nodes' followers too, and of those who poll.
	receiptsPerStream = 4
	minReceipts       = 16
)

// feedReads is how many pages are read from the table at once, feedReadsKept
// how many of them for the operator only.
const (
	feedReads     = 4
	feedReadsKept = 2
)

// places is room for a number of something. It is safe for concurrent use.
type places struct{ all, tenants *limits.Shares[string] }

func newPlaces(total int) places {
	return places{
		limits.NewShares[string](limits.Bound{Total: total}),
		limits.NewShares[string](limits.Bound{Total: max(1, total/2), Each: max(1, total/8)}),
	}
}

// take takes one place and reports whether there was one.
func (p places) take(who Scope) bool {
	if !who.Operator && !p.tenants.Take(who.OrgID, 1, false) {
		return false
	}
	if !p.all.Take(who.OrgID, 1, true) {
		if !who.Operator {
			p.tenants.Give(who.OrgID, 1)
		}
		return false
	}
	return true
}

// give gives a place back.
func (p places) give(who Scope) {
	p.all.Give(who.OrgID, 1)
	if !who.Operator {
		p.tenants.Give(who.OrgID, 1)
	}
}

// Poll takes a place for a caller who polls; leave gives it back. [ErrFull]:
// there is none.
func (f *Feed) Poll(who Scope) (leave func(), err error) {
	if !f.polls.take(who) {
		return nil, ErrFull
	}
	return func() { f.polls.give(who) }, nil
}
