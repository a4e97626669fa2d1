package feed

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
)

func newTestFeed(t *testing.T, subscribers int) *Feed {
	t.Helper()
	c, err := cache.New(cache.Config{})
	require.NoError(t, err)
	return New(Config{Cache: c, Issuer: "https://auth.example", Node: "here", Clock: time.Now,
		Logger: slog.New(slog.DiscardHandler), MaxSubscribers: subscribers})
}

// TestANodeIsHeardOnce has a message of another node played again after that
// node has taken it back.
func TestANodeIsHeardOnce(t *testing.T) {
	f := newTestFeed(t, 100)
	say := func(number, since int64) []byte {
		msg, err := json.Marshal(message{Issuer: "https://auth.example", Node: "there", Number: number,
			Receipts: []nodeReceipt{{ClientID: "sa_1", Instance: "i", OrgID: "org_1", Cursor: 7, SinceMS: since}}})
		require.NoError(t, err)
		return msg
	}
	connected := say(1, time.Now().UnixMilli())
	f.exchange.receive(connected)
	require.Len(t, f.ResourceServers(Scope{OrgID: "org_1"}), 1)
	f.exchange.receive(say(2, 0))
	require.Empty(t, f.ResourceServers(Scope{OrgID: "org_1"}), "it has gone")
	f.exchange.receive(connected)
	require.Empty(t, f.ResourceServers(Scope{OrgID: "org_1"}))
}

// TestWhoWasToldAheadComesBackForAll says that a reset takes back from
// subscribers what the table does not have.
func TestWhoWasToldAheadComesBackForAll(t *testing.T) {
	f := newTestFeed(t, 100)
	told, err := f.Open(Subscriber{Scope: Scope{OrgID: "org_1"}, ClientID: "sa_1"})
	require.NoError(t, err)
	other, err := f.Open(Subscriber{Scope: Scope{OrgID: "org_2"}, ClientID: "sa_2"})
	require.NoError(t, err)
	for _, s := range []*Stream{told, other} {
		_, ok := f.Subscribe(s, 0)
		require.True(t, ok)
	}
	f.ApplyEarly([]store.Change{{OrgID: "org_1", Payload: `{"jti":"a","exp":1}`}})
	f.Reset(t.Context(), 5)
	<-told.Ended
	<-other.Ended
	require.Equal(t, "event: reset\nid: 0\ndata: {}\n\n", string(told.Last),
		"usual readers take the id of a block with data only")
	require.Empty(t, other.Last)
}

// TestNobodyElseIsToldWithoutRedis says that nothing is kept for nodes that
// there are none of: each process that ever subscribed would be remembered.
func TestNobodyElseIsToldWithoutRedis(t *testing.T) {
	f := newTestFeed(t, 100)
	for n := range 20 {
		who := Subscriber{Scope: org(1), ClientID: "sa_1", Instance: fmt.Sprint(n)}
		s, err := f.Open(who)
		require.NoError(t, err)
		require.NoError(t, f.receipts.ack(who, 1))
		f.Leave(s, EndSlow)
	}
	for _, queue := range f.receipts.outgoing {
		require.Empty(t, queue)
	}
}
