package cache

import (
	"context"
	"fmt"
	"sync"

	"github.com/svcauth/svcauth/internal/wire"
)

// Channel names what a message is about. In Redis its name is Config.Prefix +
// Channel.
type Channel string

const (
	ChannelChanges  Channel = wire.Channel // svcauth:{changes}: the change log has grown
	ChannelReceipts Channel = "{receipts}" // svcauth:{receipts}: a resource server enforces a cursor
)

// maxMessage is the most bytes of one message. A sender with more to say says
// where to read it.
const maxMessage = 64 << 10

// Publish sends msg to whoever subscribes to the channel now, at most once and
// after what was published before it. With Redis that includes this node. Only
// while Redis fails over may messages change places. It fails with
// [ErrUnavailable], and for a message of more than 64 KiB.
func (c *Cache) Publish(ctx context.Context, channel Channel, msg []byte) error {
	if len(msg) > maxMessage {
		return fmt.Errorf("message of %d bytes for %s: expected at most %d", len(msg), channel, maxMessage)
	}
	return c.notifier.publish(ctx, channel, msg)
}

// Subscribe calls onMessage with each message of the channel until ctx ends;
// then it returns nil. It calls onGap when the subscription is in force, and
// again each time it is so after having been lost: what was published before
// may have been missed, and is to be read where it is kept. Both run on the
// caller's goroutine, one at a time; onMessage may keep its slice. While Redis
// is away Subscribe tries again for ever.
func (c *Cache) Subscribe(ctx context.Context, channel Channel, onMessage func([]byte), onGap func()) error {
	return c.notifier.subscribe(ctx, channel, onMessage, onGap)
}

// memoryNotifier carries messages within this process.
type memoryNotifier struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
}

type listener struct {
	channel  Channel
	messages chan []byte
	missed   chan struct{} // holds one entry after messages was full
}

func (n *memoryNotifier) publish(_ context.Context, channel Channel, msg []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.listeners {
		if l.channel != channel {
			continue
		}
		select {
		case l.messages <- append([]byte(nil), msg...):
		default:
			select {
			case l.missed <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

func (n *memoryNotifier) subscribe(ctx context.Context, channel Channel, onMessage func([]byte), onGap func()) error {
	l := &listener{channel, make(chan []byte, 256), make(chan struct{}, 1)}
	n.mu.Lock()
	if n.listeners == nil {
		n.listeners = map[*listener]struct{}{}
	}
	n.listeners[l] = struct{}{}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.listeners, l)
		n.mu.Unlock()
	}()
	onGap()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.missed:
			onGap()
		case msg := <-l.messages:
			onMessage(msg)
		}
	}
}
