package feed

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/cache"
)

// Nodes tell each other of their followers by messages through Redis, and repeat them, so that nothing need be kept there: whoever misses one hears it again in
// five seconds, and a node that has died is forgotten after fifteen.
const (
	coalesce    = 2 * time.Millisecond // acknowledgements of one revocation come together
	repeatEvery = presentFor / 3
	perMessage  = 100 // receipts; some 40 KB where every text is as long as it may be
)

// saying is one message.
type saying struct {
	Issuer   string  `json:"issuer"`
	Node     string  `json:"node"`
	Number   int64   `json:"n"`               // rises with each word of this node
	Hello    bool    `json:"hello,omitempty"` // the node is new or has missed something: tell it
	Receipts []share `json:"receipts,omitempty"`

	// Uncounted are the keys of scopes of which some who follow at that node
	// are not counted.
	Uncounted []string `json:"uncounted,omitempty"`
}

// share is a receipt as one node tells it.
type share struct {
	ClientID string `json:"client_id"`
	Instance string `json:"instance"`
	OrgID    string `json:"org_id"`
	Operator bool   `json:"operator,omitempty"`
	Name     string `json:"name,omitempty"`
	Audience string `json:"audience,omitempty"`
	Cursor   int64  `json:"cursor"`
	SinceMS  int64  `json:"since_ms,omitempty"` // connected to that node since; 0: it is not
}

// share keeps the nodes' receipts in step until ctx is done.
func (f *Feed) share(ctx context.Context) {
	if !f.cfg.Cache.Shared() {
		<-ctx.Done()
		return
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { f.tell(ctx); return nil })
	group.Go(func() error {
		return f.cfg.Cache.Subscribe(ctx, cache.ChannelReceipts, f.hear, func() {
			f.receipts.tellAll()
			f.publish(ctx, saying{Hello: true})
		})
	})
	_ = group.Wait()
}

func (f *Feed) tell(ctx context.Context) {
	ticker := time.NewTicker(repeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			f.tellChanged(last)
			cancel()
			return
		case <-ticker.C:
			f.receipts.tellAll()
			f.publish(ctx, saying{}) // its echo shows that Redis carries messages
			for some := range slices.Chunk(f.receipts.missed(), perMessage) {
				f.publish(ctx, saying{Uncounted: some})
			}
		case <-f.receipts.wake:
			select {
			case <-time.After(coalesce):
			case <-ctx.Done():
			}
		}
		f.tellChanged(ctx)
	}
}

func (f *Feed) tellChanged(ctx context.Context) {
	for {
		part := f.receipts.take()
		if len(part) == 0 || !f.publish(ctx, saying{Receipts: part}) {
			return
		}
	}
}

func (f *Feed) publish(ctx context.Context, s saying) bool {
	f.speaking.Lock() // numbers go out in order
	defer f.speaking.Unlock()
	s.Issuer, s.Node, s.Number = f.cfg.Issuer, f.cfg.Node, f.said+1
	f.said++
	msg, err := json.Marshal(s)
	if err == nil {
		err = f.cfg.Cache.Publish(ctx, cache.ChannelReceipts, msg)
	}
	if err != nil && ctx.Err() == nil {
		f.cfg.Logger.Debug("the other nodes could not be told of this node's followers", "error", err)
	}
	return err == nil
}

// maxHeard is of how many nodes is remembered what they said last. Each process
// is one.
const maxHeard = 1024

// hear takes what a node says, once: somebody who may only repeat messages in
// Redis must not have a node that is gone speak again. They are believed for
// counts that people look at, and for nothing else.
func (f *Feed) hear(msg []byte) {
	var s saying
	if json.Unmarshal(msg, &s) != nil || s.Issuer != f.cfg.Issuer || s.Number <= f.hearing[s.Node] {
		return
	}
	if len(f.hearing) >= maxHeard {
		clear(f.hearing)
	}
	f.hearing[s.Node] = s.Number
	if s.Node == f.cfg.Node {
		f.heard.Store(f.cfg.Clock().UnixMilli())
		return
	}
	if s.Hello {
		f.receipts.tellAll()
	}
	f.receipts.merge(s)
}

// alone says that there should be other nodes' receipts and may be none: this node has not heard its own words through Redis lately.
func (f *Feed) alone() bool {
	return f.cfg.Cache.Shared() && f.cfg.Clock().Sub(time.UnixMilli(f.heard.Load())) > presentFor
}

// tellAll has the receipts of all who are connected to this node told.
func (r *receipts) tellAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for one := range r.seen(Scope{Operator: true}) {
		if slices.ContainsFunc(one.at, func(p presence) bool { return p.node == r.node && p.holds(now) }) {
			r.tell(one)
		}
	}
}

// missed gives the keys of scopes of which this node does not count all.
func (r *receipts) missed() (keys []string) {
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

// take gives some of what is to be told, the operator's first: tenants' must
// not hold it up.
func (r *receipts) take() (out []share) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for _, dirty := range r.dirty {
		for one := range dirty {
			if len(out) == perMessage {
				return out
			}
			delete(dirty, one)
			s := share{ClientID: one.ClientID, Instance: one.Instance, OrgID: one.OrgID, Operator: one.Operator, Name: one.Name, Audience: one.Audience, Cursor: one.cursor}
			for _, p := range one.at {
				if p.node == r.node && p.holds(now) {
					s.SinceMS = p.since.UnixMilli()
				}
			}
			out = append(out, s)
		}
	}
	return out
}

func (r *receipts) merge(s saying) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for _, key := range s.Uncounted {
		r.miss(key, false, presentFor)
	}
	for _, told := range s.Receipts {
		who := Identity{Scope: Scope{told.OrgID, told.Operator}, ClientID: told.ClientID, Name: told.Name, Audience: told.Audience, Instance: told.Instance}
		one := r.get(who, false, presentFor)
		if one == nil {
			continue
		}
		if told.Cursor > one.cursor {
			one.cursor = told.Cursor
		}
		one.acked = now
		p := one.presence(s.Node)
		if p.until = now.Add(presentFor); told.SinceMS == 0 {
			p.until = now
		}
		p.since = time.UnixMilli(told.SinceMS)
		r.changed(one, false)
	}
}
