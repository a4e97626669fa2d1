package feed

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/cache"
)

// Nodes tell each other of their subscribers by messages through Redis, and
// repeat them, so that nothing need be kept there. A node that misses one hears
// it again within five seconds, and a node that has died is forgotten after
// fifteen.
const (
	coalesce    = 2 * time.Millisecond // receipts of one revocation come together
	repeatEvery = presentFor / 3
	perMessage  = 100 // receipts; some 40 KB if every text is as long as it may be
)

// message is what one node says to the others.
type message struct {
	Issuer   string        `json:"issuer"`
	Node     string        `json:"node"`
	Number   int64         `json:"n"`               // rises with each message of this node
	Hello    bool          `json:"hello,omitempty"` // the node is new or has missed something: tell it
	Receipts []nodeReceipt `json:"receipts,omitempty"`

	// Uncounted are the keys of scopes of which some subscribers at that node
	// are not counted.
	Uncounted []string `json:"uncounted,omitempty"`

	// Wanted is for which revocation somebody waits at that node, by the keys
	// of scopes.
	Wanted map[string]int64 `json:"wanted,omitempty"`
}

// nodeReceipt is a receipt as one node tells it.
type nodeReceipt struct {
	ClientID string `json:"client_id"`
	Instance string `json:"instance"`
	OrgID    string `json:"org_id"`
	Operator bool   `json:"operator,omitempty"`
	Name     string `json:"name,omitempty"`
	Audience string `json:"audience,omitempty"`
	Version  string `json:"version,omitempty"`
	Cursor   int64  `json:"cursor"`
	SinceMS  int64  `json:"since_ms,omitempty"` // connected to that node since; 0: it is not
}

// exchange keeps the receipts of all nodes in step.
type exchange struct {
	cfg      Config
	feed     *Feed
	receipts *receipts
	heard    atomic.Int64 // when this node last heard itself through Redis, ms

	sending sync.Mutex
	sent    int64 // how many messages this node has sent; guarded by sending

	numbers map[string]int64 // node → number of its last message; only receive uses it
}

func newExchange(cfg Config, f *Feed) *exchange {
	return &exchange{cfg: cfg, feed: f, receipts: f.receipts, numbers: map[string]int64{}}
}

// run exchanges receipts until ctx is done. Without Redis there is nobody to
// exchange them with.
func (e *exchange) run(ctx context.Context) {
	if !e.cfg.Cache.Shared() {
		<-ctx.Done()
		return
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { e.sendAll(ctx); return nil })
	group.Go(func() error {
		return e.cfg.Cache.Subscribe(ctx, cache.ChannelReceipts, e.receive, func() {
			e.receipts.enqueueAll()
			e.send(ctx, message{Hello: true})
		})
	})
	_ = group.Wait()
}

func (e *exchange) sendAll(ctx context.Context) {
	ticker := time.NewTicker(repeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			e.sendQueued(last)
			cancel()
			return
		case <-ticker.C:
			e.receipts.enqueueAll()
			e.send(ctx, message{}) // its echo shows that Redis carries messages
			for keys := range slices.Chunk(e.receipts.uncountedHere(), perMessage) {
				e.send(ctx, message{Uncounted: keys})
			}
		case <-e.receipts.wake:
			select {
			case <-time.After(coalesce):
			case <-ctx.Done():
			}
		}
		e.sendQueued(ctx)
	}
}

func (e *exchange) sendQueued(ctx context.Context) {
	if wanted := e.receipts.dequeueWanted(); len(wanted) > 0 {
		e.send(ctx, message{Wanted: wanted})
	}
	for {
		part := e.receipts.dequeue()
		if len(part) == 0 || !e.send(ctx, message{Receipts: part}) {
			return
		}
	}
}

func (e *exchange) send(ctx context.Context, m message) bool {
	e.sending.Lock() // numbers go out in order
	defer e.sending.Unlock()
	m.Issuer, m.Node, m.Number = e.cfg.Issuer, e.cfg.Node, e.sent+1
	e.sent++
	msg, err := json.Marshal(m)
	if err == nil {
		err = e.cfg.Cache.Publish(ctx, cache.ChannelReceipts, msg)
	}
	if err != nil && ctx.Err() == nil {
		e.cfg.Logger.Debug("the other nodes could not be told of this node's subscribers", "error", err)
	}
	return err == nil
}

// maxNodes is of how many nodes the number of their last message is remembered.
// Each process is one.
const maxNodes = 1024

// receive takes a message of a node, once. Somebody who may only repeat
// messages in Redis must not have a node that is gone speak again. Messages are
// believed for counts that people look at, and for nothing else.
func (e *exchange) receive(msg []byte) {
	var m message
	if json.Unmarshal(msg, &m) != nil || m.Issuer != e.cfg.Issuer || m.Number <= e.numbers[m.Node] {
		return
	}
	if len(e.numbers) >= maxNodes {
		clear(e.numbers)
	}
	e.numbers[m.Node] = m.Number
	if m.Node == e.cfg.Node {
		e.heard.Store(e.cfg.Clock().UnixMilli())
		return
	}
	if m.Hello {
		e.receipts.enqueueAll()
	}
	e.receipts.merge(m)
	for key, cursor := range m.Wanted {
		e.feed.want(key, cursor)
	}
}

// cutOff reports whether there should be other nodes' receipts and may be none:
// this node has not heard its own messages through Redis lately.
func (e *exchange) cutOff() bool {
	return e.cfg.Cache.Shared() && e.cfg.Clock().Sub(time.UnixMilli(e.heard.Load())) > presentFor
}

// enqueue has a receipt sent to the other nodes, if there may be any. r.mu is
// held.
func (r *receipts) enqueue(one *receipt) {
	if !r.shared {
		return
	}
	queue := r.outgoing[1]
	if one.Operator {
		queue = r.outgoing[0]
	}
	queue[one] = struct{}{}
	r.signal()
}

// signal has what is queued sent to the other nodes.
func (r *receipts) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// enqueueWanted has the other nodes told for which revocation somebody waits.
func (r *receipts) enqueueWanted(key string, cursor int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted[key] = max(r.wanted[key], cursor)
	r.signal()
}

func (r *receipts) dequeueWanted() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := r.wanted
	r.wanted = map[string]int64{}
	return wanted
}

// enqueueAll has the receipts of all who are connected to this node sent.
func (r *receipts) enqueueAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for one := range r.visible(Scope{Operator: true}) {
		if slices.ContainsFunc(one.at, func(p presence) bool { return p.node == r.node && p.holds(now) }) {
			r.enqueue(one)
		}
	}
}

// uncountedHere returns the keys of scopes of which this node does not count
// all.
func (r *receipts) uncountedHere() (keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for key, u := range r.uncounted {
		if u.here && u.until.After(now) {
			keys = append(keys, key)
		}
	}
	return keys
}

// dequeue returns some of what is to be sent, the operator's first: tenants'
// must not hold it up.
func (r *receipts) dequeue() (out []nodeReceipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for _, queue := range r.outgoing {
		for one := range queue {
			if len(out) == perMessage {
				return out
			}
			delete(queue, one)
			n := nodeReceipt{
				ClientID: one.ClientID, Instance: one.Instance, OrgID: one.OrgID, Operator: one.Operator,
				Name: one.Name, Audience: one.Audience, Version: one.Version, Cursor: one.cursor,
			}
			for _, p := range one.at {
				if p.node == r.node && p.holds(now) {
					n.SinceMS = p.since.UnixMilli()
				}
			}
			out = append(out, n)
		}
	}
	return out
}

// merge takes what another node has said.
func (r *receipts) merge(m message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for _, key := range m.Uncounted {
		r.markUncounted(key, false, presentFor)
	}
	for _, n := range m.Receipts {
		one := r.get(Subscriber{
			Scope:    Scope{n.OrgID, n.Operator},
			ClientID: n.ClientID,
			Name:     n.Name,
			Audience: n.Audience,
			Instance: n.Instance,
			Version:  n.Version,
		}, false, presentFor)
		if one == nil {
			continue
		}
		one.cursor, one.acked = max(one.cursor, n.Cursor), now
		p := one.presence(m.Node)
		if p.until = now.Add(presentFor); n.SinceMS == 0 {
			p.until = now
		}
		p.since = time.UnixMilli(n.SinceMS)
		r.changed(one)
	}
}
