package feed

import (
	"errors"

	"github.com/svcauth/svcauth/internal/limits"
)

// ErrFull says that there is no room for one more stream, poll or receipt.
var ErrFull = errors.New("there are as many subscribers at this node as there may be")

// How often the feed may be asked a second for a page or a stream. As often it
// takes receipts. It follows from the number of streams: a subscriber without
// one asks about once a second instead, and confirms a revocation once. So a
// client may ask as often as its organization may have streams, and the
// organization twice as often. The operator's clients may ask four times as
// often, as they may have four times as many streams.
const (
	minPerSecond     = 10 // for one client, however few streams there may be
	operatorFactor   = 4
	clientsPerTenant = 2 // at their bounds, that an organization has room for
)

// callers bounds how often the feed is asked, and how often receipts come.
type callers struct {
	operator, tenant  struct{ pages, receipts *limits.Callers }
	receiptsPerSecond int // of one client of the operator's
}

func newCallers(subscribers int) (c callers) {
	perSecond := max(minPerSecond, subscribers/8)
	at := func(factor int) *limits.Callers {
		return limits.NewCallers(limits.CallersBound{PerSecond: factor * perSecond, Organization: clientsPerTenant})
	}
	c.receiptsPerSecond = operatorFactor * perSecond
	c.operator.pages, c.operator.receipts = at(operatorFactor), at(operatorFactor)
	c.tenant.pages, c.tenant.receipts = at(1), at(1)
	return c
}

// PageCallers returns the bounds on those who ask for a page or a stream.
func (f *Feed) PageCallers(scope Scope) *limits.Callers {
	if scope.Operator {
		return f.callers.operator.pages
	}
	return f.callers.tenant.pages
}

// ReceiptCallers returns the bounds on those who send receipts.
func (f *Feed) ReceiptCallers(scope Scope) *limits.Callers {
	if scope.Operator {
		return f.callers.operator.receipts
	}
	return f.callers.tenant.receipts
}

// MarkUncounted records that a request or a receipt was refused unread. Whether
// its sender is connected, and what it enforces, is not known for a while.
func (f *Feed) MarkUncounted(scope Scope) {
	f.receipts.mu.Lock()
	defer f.receipts.mu.Unlock()
	f.receipts.markUncounted(scope.key(), true, presentFor)
}

// What the feed has room for at once. Of each, half is kept for the operator's
// organization, so that tenants together can't have all of it. One tenant has
// at most an eighth.
const (
	maxPolls   = 256 // answers that are being read, or wait for their turn
	maxWaiters = 256 // waits for receipts; others are answered without waiting
	// receiptsPerStream is how many receipts there is room for, in the streams
	// of one node. Receipts of the other nodes' subscribers count, and of those
	// that poll.
	receiptsPerStream = 4
	minReceipts       = 16
)

// feedReads is how many pages are read from the table at once, feedReadsKept
// how many of them for the operator only.
const (
	feedReads     = 4
	feedReadsKept = 2
)

// slots is room for a number of something. It is safe for concurrent use.
type slots struct{ all, tenants *limits.Shares[string] }

func newSlots(total int) slots {
	return slots{
		limits.NewShares[string](limits.Bound{Total: total}),
		limits.NewShares[string](limits.Bound{Total: max(1, total/2), Each: max(1, total/8)}),
	}
}

// take takes one slot and reports whether there was one.
func (s slots) take(scope Scope) bool {
	if !scope.Operator && !s.tenants.Take(scope.OrgID, 1, false) {
		return false
	}
	if !s.all.Take(scope.OrgID, 1, true) {
		if !scope.Operator {
			s.tenants.Give(scope.OrgID, 1)
		}
		return false
	}
	return true
}

// release gives a slot back.
func (s slots) release(scope Scope) {
	s.all.Give(scope.OrgID, 1)
	if !scope.Operator {
		s.tenants.Give(scope.OrgID, 1)
	}
}

// BeginPoll takes a slot for one poll, until end is called. It returns
// [ErrFull] if there is none.
func (f *Feed) BeginPoll(scope Scope) (end func(), err error) {
	if !f.polled.take(scope) {
		return nil, ErrFull
	}
	return func() { f.polled.release(scope) }, nil
}
