package feed

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var operator = Scope{OrgID: "org_operator", Operator: true}

func org(n int) Scope { return Scope{OrgID: fmt.Sprint("org_", n)} }

func instance(scope Scope, n int) Subscriber {
	return Subscriber{Scope: scope, ClientID: "sa_" + scope.OrgID, Instance: fmt.Sprint(n)}
}

// fill takes as much as there is, for many tenants, and returns how much each
// and all have had.
func fill(take func(scope Scope, n int) bool) (each []int, all int) {
	for tenant := range 10 {
		n := 0
		for n < 1000 && take(org(tenant), n) {
			n++
		}
		each, all = append(each, n), all+n
	}
	return each, all
}

// TestTenantsTogetherHaveHalf says so of all that the feed has a bounded number
// of, and that one of them leaves others their part.
func TestTenantsTogetherHaveHalf(t *testing.T) {
	const subscribers = 64
	for name, c := range map[string]struct {
		total int
		take  func(f *Feed) func(scope Scope, n int) bool
	}{
		"streams": {subscribers, func(f *Feed) func(Scope, int) bool {
			return func(scope Scope, n int) bool { _, err := f.Open(instance(scope, n)); return err == nil }
		}},
		"receipts": {subscribers * receiptsPerStream, func(f *Feed) func(Scope, int) bool {
			return func(scope Scope, n int) bool { return f.receipts.ack(instance(scope, n), 1) == nil }
		}},
		"polls": {maxPolls, func(f *Feed) func(Scope, int) bool {
			return func(scope Scope, _ int) bool { _, err := f.BeginPoll(scope); return err == nil }
		}},
		"waiters": {maxWaiters, func(f *Feed) func(Scope, int) bool {
			f.receipts.opened(instance(operator, -1)) // who serves everybody and has confirmed nothing
			return func(scope Scope, _ int) bool {
				waits, full := f.receipts.enter(&waiter{scope: scope, target: 1, done: make(chan struct{})})
				require.NotEqual(t, waits, full)
				return waits
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			take := c.take(newTestFeed(t, subscribers))
			each, all := fill(take)
			require.Equal(t, c.total/8, each[0], "one tenant")
			require.Equal(t, c.total/2, all, "all of them: %v", each)
			for n := range c.total / 2 {
				require.True(t, take(operator, n), "the operator's half, no %d", n)
			}
		})
	}
}

func TestReleasedSlotsAreFree(t *testing.T) {
	f := newTestFeed(t, 16)
	for range 3 {
		var streams []*Stream
		for n := range 2 {
			s, err := f.Open(instance(org(1), n))
			require.NoError(t, err)
			streams = append(streams, s)
			leave, err := f.BeginPoll(org(1))
			require.NoError(t, err)
			defer leave()
		}
		_, err := f.Open(instance(org(1), 2))
		require.ErrorIs(t, err, ErrFull)
		for _, s := range streams {
			f.Leave(s, "gone")
		}
	}
	require.Zero(t, f.streamed.all.Used()+f.streamed.tenants.Used())
	w := &waiter{scope: operator, target: 1, done: make(chan struct{})}
	f.receipts.opened(instance(operator, 1))
	waits, _ := f.receipts.enter(w)
	require.True(t, waits)
	f.receipts.leave(w)
	f.receipts.leave(w)
	require.Zero(t, f.receipts.waiting.all.Used())
}

// count is what a wait that does not wait says.
func (f *Feed) count(scope Scope) svcauth.Enforcement {
	return f.receipts.leave(&waiter{scope: scope, target: 1})
}

// TestWhoIsNotCountedIsSaidNotToBe has a tenant's account take all receipts
// that its organization may have.
func TestWhoIsNotCountedIsSaidNotToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestFeed(t, 16) // 8 receipts for one tenant
		_, err := f.Open(instance(operator, 0))
		require.NoError(t, err)
		for n := range 8 {
			require.NoError(t,
				f.receipts.ack(Subscriber{Scope: org(1), ClientID: "sa_noise", Instance: fmt.Sprint(n)}, 0))
		}
		require.Equal(t, svcauth.Enforcement{Connected: 1}, f.count(org(1)), "all are counted so far")
		s, err := f.Open(instance(org(1), 1))
		require.NoError(t, err)
		require.Equal(t, svcauth.Enforcement{Connected: 1, NotCounted: true}, f.count(org(1)))
		require.False(t, f.count(org(1)).All())
		require.Equal(t, svcauth.Enforcement{Connected: 1}, f.count(operator), "the operator's are")
		require.Equal(t, svcauth.Enforcement{Connected: 1}, f.count(org(2)))

		// It is counted as soon as there is room, though it stays connected.
		time.Sleep(ackedFor + time.Second)
		f.receipts.sweep()
		f.count1(s)
		require.NoError(t, f.receipts.ack(s.Subscriber, 1))
		time.Sleep(presentFor)
		require.Equal(t, svcauth.Enforcement{Connected: 2, Enforced: 1}, f.count(org(1)))
		f.Leave(s, "gone")
		require.Equal(t, svcauth.Enforcement{Connected: 1}, f.count(org(1)))

		// One that polls, for as long as it would have counted.
		for n := range 20 {
			_ = f.receipts.ack(Subscriber{Scope: org(1), ClientID: "sa_noise", Instance: fmt.Sprint(n)}, 0)
		}
		time.Sleep(presentFor + time.Second)
		require.False(t, f.count(org(1)).NotCounted)
		f.Polled(instance(org(1), 5), 20*time.Second)
		require.True(t, f.count(org(1)).NotCounted)
		time.Sleep(59 * time.Second)
		require.True(t, f.count(org(1)).NotCounted)
		time.Sleep(2 * time.Second)
		require.False(t, f.count(org(1)).NotCounted)
		f.receipts.sweep()
		require.Empty(t, f.receipts.uncounted)
	})
}

// count1 does for one stream what a heartbeat does for all.
func (f *Feed) count1(s *Stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.countStream(s)
}

// TestNodesTellWhomTheyDoNotCount says it to those who ask another node, and
// not for ever.
func TestNodesTellWhomTheyDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := newTestFeed(t, 16), newTestFeed(t, 16)
		for n := range 20 {
			_ = there.receipts.ack(instance(org(1), n), 1)
		}
		require.Equal(t, []string{"org_1"}, there.receipts.uncountedHere())
		msg, err := json.Marshal(message{Issuer: "https://auth.example", Node: "there", Number: 1,
			Uncounted: there.receipts.uncountedHere()})
		require.NoError(t, err)
		here.exchange.receive(msg)
		require.True(t, here.count(org(1)).NotCounted)
		require.False(t, here.count(org(2)).NotCounted)
		require.Empty(t, here.receipts.uncountedHere(), "what was heard is not told again")
		time.Sleep(presentFor + time.Second)
		require.False(t, here.count(org(1)).NotCounted)
	})
}

// TestTheOperatorsReceiptsAreToldFirst has a tenant with more to tell than goes
// into one message.
func TestTheOperatorsReceiptsAreToldFirst(t *testing.T) {
	f := newTestFeed(t, 4000)
	f.receipts.shared = true
	for n := range 4 * perMessage {
		require.NoError(t, f.receipts.ack(instance(org(1), n), 1))
	}
	require.NoError(t, f.receipts.ack(instance(operator, 1), 1))
	told := f.receipts.dequeue()
	require.Len(t, told, perMessage)
	require.True(t, told[0].Operator)
	n := len(told)
	for len(told) > 0 {
		told = f.receipts.dequeue()
		n += len(told)
	}
	require.Equal(t, 4*perMessage+1, n)
}

// TestFollowersComeWhileTheyAreListed: each of the two holds what the other
// wants.
func TestFollowersComeWhileTheyAreListed(t *testing.T) {
	f := newTestFeed(t, 1000)
	var news []store.Change
	for seq := range int64(1000) {
		news = append(news,
			store.Change{Seq: seq + 1, OrgID: "org_1", Kind: store.ChangeRevocation, Payload: `{"jti":"a","exp":1}`})
	}
	f.Apply(t.Context(), news)
	for n := range 20 {
		_, err := f.Open(instance(org(1), n))
		require.NoError(t, err)
	}
	var both sync.WaitGroup
	both.Go(func() {
		for range 2000 {
			if s, err := f.Open(instance(org(1), 99)); err == nil {
				f.Leave(s, "gone")
			}
		}
	})
	both.Go(func() {
		for range 300 {
			f.ResourceServers(org(1))
		}
	})
	done := make(chan struct{})
	go func() { both.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		require.Fail(t, "they wait for each other")
	}
	all := f.ResourceServers(operator)
	require.Len(t, all, 20)
	require.EqualValues(t, 1000, all[0].Behind)
	require.NoError(t, f.receipts.ack(instance(org(1), 0), 400))
	f.Apply(t.Context(),
		[]store.Change{{Seq: 1001, OrgID: "org_2", Kind: store.ChangeRevocation, Payload: `{"jti":"b","exp":1}`}})
	for _, one := range f.ResourceServers(operator) {
		if one.Instance == "0" {
			require.EqualValues(t, 600, one.Behind, "what its organization does not see is none of its matter")
		}
	}
	require.Empty(t, f.ResourceServers(org(2)))
}

// TestHowOftenTheFeedMayBeAsked has an organization's clients ask as fast as
// they can.
func TestHowOftenTheFeedMayBeAsked(t *testing.T) {
	f := newTestFeed(t, 800)
	now := time.Unix(0, 0)
	most := func(callers *limits.Callers, client string, who Scope) (n int) {
		for {
			leave, wait := callers.Enter(client, who.OrgID, now)
			if wait > 0 {
				return n
			}
			leave()
			n++
		}
	}
	for name, callersOf := range map[string]func(Scope) *limits.Callers{"pages": f.PageCallers,
		"receipts": f.ReceiptCallers} {
		require.Equal(t, 200, most(callersOf(org(1)), "sa_1", org(1)), name)
		require.Equal(t, 200, most(callersOf(org(1)), "sa_2", org(1)), name)
		require.Zero(t, most(callersOf(org(1)), "sa_3", org(1)), "%s: the organization has had its part", name)
		require.Equal(t, 200, most(callersOf(org(2)), "sa_4", org(2)), "%s: another has its own", name)
		require.Equal(t, 800, most(callersOf(operator), "sa_5", operator), name)
	}
	few := newTestFeed(t, 4)
	require.Equal(t, 2*minPerSecond, most(few.PageCallers(org(1)), "sa_1", org(1)))
}

// TestWhatIsRememberedIsNotReadFromTheTable has a feed without a table.
func TestWhatIsRememberedIsNotReadFromTheTable(t *testing.T) {
	f := newTestFeed(t, 16)
	f.Reset(t.Context(), 10)
	entry := func(seq int64) string { return fmt.Sprintf(`{"jti":"%d","exp":1}`, seq) }
	var news []store.Change
	for seq := int64(11); seq <= 10+3*wire.PageEntries; seq++ {
		news = append(news, store.Change{Seq: seq, OrgID: fmt.Sprint("org_", seq%2), Kind: store.ChangeRevocation,
			Payload: entry(seq)})
	}
	f.Apply(t.Context(), news)
	head := f.Head()
	page := func(scope Scope, after, upTo int64) Page {
		p, err := f.Page(t.Context(), scope, after, upTo)
		require.NoError(t, err)
		return p
	}
	require.Equal(t, Page{Entries: []json.RawMessage{}, Next: head}, page(org(1), head, head))
	require.Equal(t, Page{Entries: []json.RawMessage{json.RawMessage(entry(13))}, Next: 14}, page(org(1), 11, 14),
		"its own alone, and not beyond")
	for scope, pages := range map[Scope]int{operator: 3, org(1): 2, org(2): 1} {
		var all []json.RawMessage
		after := int64(10)
		for n := 1; ; n++ {
			p := page(scope, after, head)
			require.LessOrEqual(t, len(p.Entries), wire.PageEntries)
			all, after = append(all, p.Entries...), p.Next
			if !p.More {
				require.Equal(t, pages, n, scope)
				break
			}
		}
		require.Equal(t, head, after)
		var want []json.RawMessage
		for _, c := range news {
			if scope.sees(c.OrgID) {
				want = append(want, json.RawMessage(c.Payload))
			}
		}
		require.Equal(t, want, all, scope)
	}
	require.Panics(t, func() { page(operator, 9, head) }, "what came before is in the table")
}

// TestAFirstPageIsGivenToAllWhoComeWithoutACursor has a feed without a table
// that has read the first page of two scopes.
func TestAFirstPageIsGivenToAllWhoComeWithoutACursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestFeed(t, 16)
		f.Reset(t.Context(), 10)
		text := func(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"jti":"%d","exp":1}`, n)) }
		full := Page{Entries: make([]json.RawMessage, wire.PageEntries), Next: 9, More: true}
		f.keepFirst(f.firsts, operator, full)
		f.keepFirst(f.firsts, org(1), Page{Entries: []json.RawMessage{text(4)}, Next: 10})
		f.Apply(t.Context(), []store.Change{
			{Seq: 11, OrgID: "org_1", Kind: store.ChangeRevocation, Payload: string(text(11))},
			{Seq: 12, OrgID: "org_2", Kind: store.ChangeRevocation, Payload: string(text(12))},
			{Seq: 13, OrgID: "org_1", Kind: store.ChangeRevocation, Payload: string(text(13))}})
		p, ok := f.fromMemory(operator, 0, 13)
		require.True(t, ok)
		require.Equal(t, full, p)
		for range 2 { // what is given to one is not changed for the next
			p, ok = f.fromMemory(org(1), 0, 13)
			require.True(t, ok)
			require.Equal(t, Page{Entries: []json.RawMessage{text(4), text(11), text(13)}, Next: 13}, p)
		}
		_, ok = f.fromMemory(org(2), 0, 13)
		require.False(t, ok, "another's is no concern of its")
		_, ok = f.fromMemory(org(1), 1, 13)
		require.False(t, ok, "whoever has a cursor is not at the beginning")
		_, ok = f.fromMemory(org(1), 0, 9)
		require.False(t, ok, "it goes beyond what was asked for")
		time.Sleep(firstPageFor)
		_, ok = f.fromMemory(org(1), 0, 13)
		require.False(t, ok, "too old")

		before := f.firsts
		f.Reset(t.Context(), 20)
		f.keepFirst(before, org(1), Page{Next: 10})
		_, ok = f.fromMemory(org(1), 0, 20)
		require.False(t, ok, "it was read before all was forgotten")
		for n := range 2 * maxFirstPages {
			f.keepFirst(f.firsts, org(n), Page{Next: 20})
		}
		require.LessOrEqual(t, len(f.firsts), maxFirstPages)
	})
}
