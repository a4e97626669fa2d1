package cache

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// heard is a subscription and what came through it.
type heard struct {
	mu       sync.Mutex
	messages []string
	gaps     atomic.Int64
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.messages, " ")
}

// listen subscribes until the test ends, and returns when the subscription is
// in force.
func listen(t *testing.T, c *Cache, channel Channel) *heard {
	t.Helper()
	h := &heard{}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Subscribe(ctx, channel, func(msg []byte) {
			h.mu.Lock()
			h.messages = append(h.messages, string(msg))
			h.mu.Unlock()
		}, func() { h.gaps.Add(1) })
	}()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	eventually(t, func() bool { return h.gaps.Load() > 0 }, "the subscription")
	return h
}

func testNotifier(t *testing.T, b backend) {
	publisher := b.node(t, Config{Prefix: "bell:"})
	other := publisher
	if b.url != "" {
		other = b.node(t, Config{Prefix: "bell:"})
	}
	stranger := b.node(t, Config{})
	one, two, receipts, apart := listen(t, publisher, ChannelChanges), listen(t, other, ChannelChanges), listen(t,
		other, ChannelReceipts), listen(t, stranger, ChannelChanges)
	var sent []string // as many as a Cluster that passes them on by different ways would shuffle for certain
	for i := range 100 {
		sent = append(sent, strconv.Itoa(i))
		require.NoError(t, publisher.Publish(t.Context(), ChannelChanges, []byte(sent[i])))
	}
	inOrder := strings.Join(sent, " ")
	require.NoError(t, publisher.Publish(t.Context(), ChannelReceipts, []byte("r")))
	eventually(t, func() bool { return one.all() == inOrder && two.all() == inOrder && receipts.all() == "r" },
		"the messages, in order")
	require.Empty(t, apart.all(), "another prefix is another installation")
	require.ErrorContains(t, publisher.Publish(t.Context(), ChannelChanges, make([]byte, maxMessage+1)),
		"expected at most 65536")
	require.NoError(t, publisher.Publish(t.Context(), ChannelChanges, []byte(strings.Repeat("x", maxMessage))))
	eventually(t, func() bool { return len(two.all()) == len(inOrder)+1+maxMessage }, "the largest message")
}

func testResubscription(t *testing.T, b backend) {
	if b.url == "" {
		t.Skip("the twin loses no subscription")
	}
	c := b.node(t, Config{})
	h := listen(t, c, ChannelChanges)
	for round := range int64(3) {
		eventually(t, func() bool {
			for _, node := range b.nodes {
				node.Must("CLIENT", "KILL", "TYPE", "pubsub")
			}
			return h.gaps.Load() > round+1
		}, "the subscription to come back, and the caller to hear that it may have missed something")
	}
	eventually(t, func() bool {
		return c.Publish(t.Context(), ChannelChanges, []byte("again")) == nil && strings.Contains(h.all(), "again")
	}, "messages to come again")
}

// TestTwinSaysThatItDropped checks the bound of the twin's notifier: a
// subscriber that does not listen loses messages, is told so, and holds up
// nobody.
func TestTwinSaysThatItDropped(t *testing.T) {
	var d memoryNotifier
	ctx, stop := context.WithCancel(t.Context())
	entered, leave := make(chan struct{}, 1000), make(chan struct{})
	var gaps, got atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = d.subscribe(ctx, ChannelChanges, func([]byte) { got.Add(1); entered <- struct{}{}; <-leave },
			func() { gaps.Add(1); entered <- struct{}{} })
	}()
	<-entered // the first gap: subscribed
	require.NoError(t, d.publish(ctx, ChannelChanges, []byte("x")))
	<-entered // busy with it
	for range 1000 {
		require.NoError(t, d.publish(ctx, ChannelChanges, []byte("x")))
	}
	close(leave)
	eventually(t, func() bool { return got.Load() == 257 && gaps.Load() == 2 }, "what fits to arrive, and one gap")
	stop()
	<-ended
	require.Empty(t, d.listeners)
}

// TestForgedMessagesAreNotHeard has somebody publish who may write in Redis but
// is no node: nothing of that is heard, nor what is moved from one channel to
// another, nor what another installation says.
func TestForgedMessagesAreNotHeard(t *testing.T) {
	server := redistest.Start(t)
	b := backend{url: server.URL(), nodes: []*redistest.Server{server}}
	c := b.node(t, Config{Prefix: "forged:"})
	stranger := b.node(t, Config{Prefix: "forged:", Key: func() []byte { return []byte("another key") }})
	keyless := b.node(t, Config{Prefix: "forged:", Key: func() []byte { return nil }})
	changes, receipts, nothing := listen(t, c, ChannelChanges), listen(t, c, ChannelReceipts), listen(t, keyless,
		ChannelChanges)
	sealed, err := sealer{testKey}.seal("message", "forged:{receipts}", "receipt")
	require.NoError(t, err)
	for _, msg := range []string{`{"seq":9}`, "", ".", sealed, strings.Repeat("A", sealSize) + `.{"seq":9}`,
		sealed[:sealSize] + ".other", strings.Repeat("A", sealSize+1), strings.Repeat("x", 4*maxMessage)} {
		server.Must("PUBLISH", "forged:{changes}", msg)
	}
	require.NoError(t, stranger.Publish(t.Context(), ChannelChanges, []byte("stranger")))
	require.ErrorIs(t, keyless.Publish(t.Context(), ChannelChanges, []byte("keyless")), errNoKey)
	server.Must("PUBLISH", "forged:{receipts}", sealed)
	require.NoError(t, c.Publish(t.Context(), ChannelChanges, []byte("genuine")))
	eventually(t, func() bool { return changes.all() == "genuine" && receipts.all() == "receipt" }, "what nodes say")
	require.Empty(t, nothing.all())
}
