// Package audit writes down what is refused. A change writes its own event in
// its own transaction. A refusal has no transaction, and a caller that is
// refused often must neither wait for the database nor fill the log.
//
// It owns: joining equal events of a minute into one row with a count, the
// bounded queue, and writing it aside from all requests. It also gives every
// event its place in the log, by which the log is followed.
// It refuses to know: what is refused and why.
package audit

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// How many rows one minute may have, at this node. Beyond maxEach of one actor
// (or, if nobody knows who it was, on one target) rows are joined by action,
// and beyond maxOrganization of one organization by action whoever did it.
const (
	window          = time.Minute
	maxEach         = 20
	maxOrganization = 200
	maxRows         = 10_000 // of all organizations, waiting to be written
	writeEvery      = time.Second
	batchSize       = 200 // rows a transaction
	numberBatch     = 500 // events a transaction
	// settles is how long after the end of a minute its rows are complete: what
	// was noted at its end has been written by then.
	settles = 5 * time.Second
)

// Observer measures a Log. [telemetry.Metrics] is one.
type Observer interface {
	// QueueDropped is called with "audit" and how many events were lost,
	// because too many rows waited.
	QueueDropped(queue string, n int)
}

// Config is what a Log stands on.
type Config struct {
	Store  *store.Store
	Logger *slog.Logger
	// Observer may be nil: nothing is measured.
	Observer Observer
}

// Log joins refusals and writes them. It is safe for concurrent use.
type Log struct {
	cfg Config

	writing sync.Mutex // one flush at a time

	mu      sync.Mutex
	begin   time.Time // of the current minute
	rows    map[key]*row
	of      map[string]int // rows of an actor or target, and of an organization
	changed []*row         // those with something to write
	dropped int            // since the last report
}

// key says which events are equal.
type key struct {
	org, who, client, action, reason string
	network                          netip.Addr // only if nobody knows who it was
}

// row is one row of the log. The first event decides what it says.
type row struct {
	event   svcauth.AuditEvent
	waiting int // how many events are not written yet
}

// New returns a Log that writes to cfg.Store as long as its Run runs.
func New(cfg Config) *Log {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Log{cfg: cfg, rows: map[key]*row{}, of: map[string]int{}}
}

// Note takes an event and returns at once. It will be written within a second
// or so, joined with those of the same minute that have the same actor, action
// and reason. An event of no organization is forgotten, after the same work.
// Its id is given here. A nil Log forgets all.
func (l *Log) Note(e svcauth.AuditEvent) {
	k := key{org: e.OrganizationID, who: e.Actor.ID, client: e.Actor.ClientID, action: e.Action, reason: e.Reason}
	if k.who == "" {
		k.who, k.network = e.Target.ID, network(e.IP)
	}
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if began := e.Time.Truncate(window); !began.Equal(l.begin) {
		l.begin = began
		clear(l.rows)
		clear(l.of)
	}
	r := l.find(k, e)
	if r == nil {
		l.dropped++
		return
	}
	if r.waiting++; r.waiting == 1 && e.OrganizationID != "" {
		l.changed = append(l.changed, r)
	}
}

// find returns the row that tells of an event, a new one if there is none yet;
// nil if there is no room for it.
func (l *Log) find(k key, e svcauth.AuditEvent) *row {
	who := k.org + " " + k.who
	if r := l.rows[k]; r != nil {
		return r
	}
	if l.of[who] < maxEach && l.of[k.org] < maxOrganization {
		return l.add(k, who, e)
	}
	e.Reason, e.Target, e.RequestID = "Refused for several reasons: only the first of this minute have rows of "+
		"their own.", svcauth.AuditTarget{Kind: e.Target.Kind}, ""
	k.reason, k.network = "", netip.Addr{}
	if r := l.rows[k]; r != nil {
		return r
	}
	if l.of[k.org] < maxOrganization {
		return l.add(k, who, e)
	}
	e.Actor, e.IP = svcauth.AuditActor{Kind: svcauth.KindUnknown, Name: "several"}, ""
	k.who, k.client = "", ""
	if r := l.rows[k]; r != nil {
		return r
	}
	return l.add(k, who, e)
}

func (l *Log) add(k key, who string, e svcauth.AuditEvent) *row {
	if len(l.changed) >= maxRows {
		return nil
	}
	e.ID = typeid.New(svcauth.PrefixEvent, e.Time)
	r := &row{event: e}
	l.rows[k] = r
	l.of[who]++
	l.of[k.org]++
	return r
}

// network returns what an address is counted by. A text that is no address has
// none.
func network(ip string) netip.Addr {
	addr, _ := netip.ParseAddr(ip)
	return limits.NetworkOf(addr)
}

// Run writes what is noted until ctx is done, and what is left then. It numbers
// events meanwhile.
func (l *Log) Run(ctx context.Context) error {
	store.WriteEvery(ctx, writeEvery, func(ctx context.Context) {
		l.report(l.Flush(ctx))
		if err := l.Number(ctx, time.Now()); err != nil && ctx.Err() == nil {
			l.cfg.Logger.Debug("events of the audit log wait for their places; tried again in a moment",
				"error", err)
		}
	})
	return nil
}

// Number gives their places in the log to the events that are there, by the
// time now. Any node does it for all.
func (l *Log) Number(ctx context.Context, now time.Time) error {
	over := now.Add(-settles).Truncate(window)
	for ctx.Err() == nil {
		ready, err := l.cfg.Store.Read().ReadyAuditEvents(ctx, over)
		if err != nil || !ready {
			return err
		}
		var n int64
		err = l.cfg.Store.WriteAside(ctx, func(q *store.Q) error {
			n, err = q.NumberAuditEvents(ctx, over, numberBatch)
			return err
		})
		if err != nil || n < numberBatch {
			return err
		}
	}
	return ctx.Err()
}

func (l *Log) report(err error) {
	if err != nil {
		l.cfg.Logger.Warn("refusals could not be written into the audit log; tried again in a moment", "error", err)
	}
	l.mu.Lock()
	lost := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	if lost == 0 {
		return
	}
	l.cfg.Logger.Warn(
		"refusals are missing in the audit log: more of them came than can wait to be written",
		"count", lost)
	if l.cfg.Observer != nil {
		l.cfg.Observer.QueueDropped("audit", lost)
	}
}

// Flush writes what has been noted so far. What can't be written waits for the
// next flush.
func (l *Log) Flush(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	for {
		events := l.take()
		if len(events) == 0 {
			return nil
		}
		if err := l.write(ctx, events); err != nil {
			return err
		}
	}
}

// portion is rows that are being written, each with how many events it grows
// by.
type portion struct {
	rows   []*row
	events []svcauth.AuditEvent
}

func (l *Log) take() []*row {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.changed), batchSize)
	batch := l.changed[:n:n]
	l.changed = l.changed[n:]
	return batch
}

func (l *Log) write(ctx context.Context, batch []*row) error {
	p := l.portion(batch)
	err := l.cfg.Store.WriteAside(ctx, func(q *store.Q) error {
		for _, e := range p.events {
			if err := q.JoinAuditEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range p.rows {
		if r.waiting == 0 {
			l.changed = append(l.changed, r)
		}
		r.waiting += p.events[i].Count
	}
	return err
}

func (l *Log) portion(batch []*row) portion {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := portion{rows: batch}
	for _, r := range batch {
		e := r.event
		e.Count, r.waiting = r.waiting, 0
		p.events = append(p.events, e)
	}
	return p
}
