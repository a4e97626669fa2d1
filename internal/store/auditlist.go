package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// AuditFilter narrows a list of audit events. Empty fields do not narrow it.
type AuditFilter struct {
	ActorID, ActorName string
	Target             string    // id or name
	Actions            []string  // any of them
	Since, Until       time.Time // Since inclusive, Until exclusive
	// From is the id of the event that the page begins behind; empty for the
	// first page.
	From string
	// Ascending lists the events that have their place in the log, in its
	// order. Otherwise all are listed, newest first.
	Ascending bool
}

// AuditPage is a part of the audit log.
type AuditPage struct {
	Events []svcauth.AuditEvent
	// Next is where the next page begins: [AuditFilter.From] of its filter. It
	// is empty if there is none. A page may have fewer events than were asked
	// for, or none, although there is a next one.
	Next string
}

const (
	auditColumns = `SELECT id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action,
		target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id, count
		FROM audit_event`
	// auditScan is how many rows one page looks at, at most. A filter that fits
	// few of them gets its events by more pages, so that no question reads a
	// whole log at once.
	auditScan = 1000
	// auditStart is how many events are looked at to find where those since a
	// moment begin. An event may have its place later than a younger one if its
	// node could not write it at once.
	auditStart = 1000
)

// AuditEvents reads a page of an organization's events, of at most limit
// events. [ErrNotFound] means that an ascending page shall begin behind an
// event that is not there.
func (q *Q) AuditEvents(ctx context.Context, orgID string, f AuditFilter, limit int) (page AuditPage, err error) {
	// Events have milliseconds. What is asked for more exactly must leave none
	// out.
	if rest := f.Until.Nanosecond() % int(time.Millisecond); !f.Until.IsZero() && rest > 0 {
		f.Until = f.Until.Add(time.Millisecond - time.Duration(rest))
	}
	walk := auditWalk{org: orgID, filter: f, limit: limit}
	walk.postgres = q.postgres || q.outside != nil && q.outside.postgres
	if f.Ascending {
		err = q.beginAscending(ctx, &walk)
		if err != nil || walk.nothing {
			return AuditPage{Events: []svcauth.AuditEvent{}}, err
		}
	}
	text, args := walk.query()
	if page.Events, err = many(ctx, q, scanAuditEvent, text, args...); err != nil {
		return page, err
	}
	if len(page.Events) > limit {
		page.Events = page.Events[:limit]
		page.Next = page.Events[limit-1].ID
		return page, nil
	}
	if !walk.narrow() {
		return page, nil
	}
	text, args = walk.scanned()
	last, err := many(ctx, q, scanText, text, args...)
	if len(last) > 0 {
		page.Next = last[0]
	}
	return page, err
}

// beginAscending finds the seq behind which an ascending page begins.
func (q *Q) beginAscending(ctx context.Context, w *auditWalk) error {
	if w.filter.From != "" {
		seq, err := count(ctx, q, `SELECT seq FROM audit_event WHERE id = $1 AND org_id = $2`, w.filter.From, w.org)
		w.seq, w.nothing = seq, seq <= 0 // without a place: nothing is behind it yet
		return err
	}
	if w.filter.Since.IsZero() {
		return nil
	}
	first, err := count(ctx, q, `SELECT COALESCE(MIN(seq), 0) FROM (SELECT seq FROM audit_event
		WHERE org_id = $1 AND id >= $2 AND seq > 0 ORDER BY id LIMIT `+fmt.Sprint(auditStart)+`) AS first`,
		w.org, earliestEvent(w.filter.Since))
	w.seq, w.nothing = first-1, first == 0
	return err
}

// HasAuditName reports whether an organization's log has an event of this name:
// its actor's, or its target's name or id.
func (q *Q) HasAuditName(ctx context.Context, orgID, name string) (bool, error) {
	n, err := count(ctx, q, `SELECT COUNT(*) FROM (
		SELECT 1 FROM (SELECT id FROM audit_event WHERE org_id = $1 AND actor_name = $2 LIMIT 1) AS a
		UNION ALL SELECT 1 FROM (SELECT id FROM audit_event WHERE org_id = $1 AND target_name = $2 LIMIT 1) AS b
		UNION ALL SELECT 1 FROM (SELECT id FROM audit_event WHERE org_id = $1 AND target_id = $2 LIMIT 1) AS c
		) AS found`,
		orgID, name)
	return n > 0, err
}

// auditWalk is one page's query. It reads along one index, chosen by the
// filter, and what else the filter says decides which of those rows are on the
// page.
type auditWalk struct {
	org     string
	filter  AuditFilter
	limit   int
	seq     int64 // the page begins behind it, if ascending
	nothing bool  // the page is empty

	postgres bool

	args []any
}

// branch is a part of an index: the rows whose column has the value.
type branch struct{ column, value string }

// branches returns the parts of the index to read along.
func (w *auditWalk) branches() []branch {
	f := w.filter
	switch {
	case f.Ascending:
		return []branch{{}}
	case f.Target != "":
		return []branch{{"target_id", f.Target}, {"target_name", f.Target}}
	case f.ActorID != "":
		return []branch{{"actor_id", f.ActorID}}
	case f.ActorName != "":
		return []branch{{"actor_name", f.ActorName}}
	}
	var all []branch
	for _, action := range f.Actions {
		all = append(all, branch{"action", action})
	}
	for n := len(all); n > 0 && n&(n-1) != 0; n++ { // few texts of queries: see [prepared]
		all = append(all, all[0])
	}
	if len(all) == 0 {
		return []branch{{}}
	}
	return all
}

// narrow reports whether rows may have to be left out that the index has.
func (w *auditWalk) narrow() bool {
	f, given := w.filter, 0
	for _, set := range []bool{f.Target != "", f.ActorID != "", f.ActorName != "", len(f.Actions) > 0} {
		if set {
			given++
		}
	}
	if f.Ascending {
		return given > 0 || !f.Since.IsZero() || !f.Until.IsZero()
	}
	return given > 1 || len(w.branches()) > 1
}

func (w *auditWalk) arg(value any) string {
	w.args = append(w.args, value)
	return fmt.Sprintf("$%d", len(w.args))
}

// along returns the conditions and the order of a read along a part of an
// index. For SQLite, which has no statistics, it compares whole keys of that
// index, since it would read along another one. PostgreSQL could not estimate
// how many rows that leaves.
func (w *auditWalk) along(b branch) string {
	org := w.arg(w.org)
	if w.filter.Ascending {
		// SQLite seeks by the first of two conditions on one column. The second
		// is what the index is for.
		return ` WHERE org_id = ` + org + ` AND seq > ` + w.arg(w.seq) + ` AND seq > 0 ORDER BY seq LIMIT `
	}
	from, below := earliestEvent(w.filter.Since), "evt_~"
	if !w.filter.Until.IsZero() {
		below = earliestEvent(w.filter.Until)
	}
	if w.filter.From != "" {
		below = min(below, w.filter.From)
	}
	if w.postgres {
		text := ` WHERE org_id = ` + org
		if b.column != "" {
			text += ` AND ` + b.column + ` = ` + w.arg(b.value)
		}
		return text + ` AND id >= ` + w.arg(from) + ` AND id < ` + w.arg(below) + ` ORDER BY id DESC LIMIT `
	}
	key, value, order := `org_id, `, org+`, `, ` ORDER BY org_id DESC, `
	if b.column != "" {
		key, value, order = key+b.column+`, `, value+w.arg(b.value)+`, `, order+b.column+` DESC, `
	}
	key += `id`
	return ` WHERE (` + key + `) >= (` + value + w.arg(from) + `) AND (` + key + `) < (` + value + w.arg(below) +
		`)` + order + `id DESC LIMIT `
}

// near returns the rows that the page looks at, as a common table expression.
func (w *auditWalk) near() string {
	var parts []string
	columns, scan := "id", fmt.Sprint(auditScan)
	if w.filter.Ascending {
		columns = "id, seq"
	}
	for i, b := range w.branches() {
		parts = append(parts, fmt.Sprintf(`SELECT %[1]s FROM (SELECT %[1]s FROM audit_event%s%s) AS b%d`,
			columns, w.along(b), scan, i))
	}
	return `WITH near AS MATERIALIZED (` + strings.Join(parts, ` UNION `) + w.order() + ` LIMIT ` + scan + `) `
}

func (w *auditWalk) order() string {
	if w.filter.Ascending {
		return ` ORDER BY seq`
	}
	return ` ORDER BY id DESC`
}

// query returns the text that reads one event more than the page has.
func (w *auditWalk) query() (text string, args []any) {
	w.args = nil
	if !w.narrow() {
		text = auditColumns + w.along(w.branches()[0])
		return text + w.arg(w.limit+1), w.args
	}
	f := w.filter
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		since = f.Since.UnixMilli()
	}
	if !f.Until.IsZero() {
		until = f.Until.UnixMilli()
	}
	text = w.near() + auditColumns + ` WHERE id IN (SELECT id FROM near)`
	text += ` AND at_ms >= ` + w.arg(since) + ` AND at_ms < ` + w.arg(until)
	for _, equal := range []struct{ columns, value string }{
		{"actor_id", f.ActorID}, {"actor_name", f.ActorName}, {"target_id target_name", f.Target},
	} {
		value := `CAST(` + w.arg(equal.value) + ` AS TEXT)`
		text += ` AND (` + value + ` = ''`
		for column := range strings.FieldsSeq(equal.columns) {
			text += ` OR ` + column + ` = ` + value
		}
		text += `)`
	}
	// One text for lists of any length. No action's name has a comma.
	list := ""
	if len(f.Actions) > 0 {
		list = "," + strings.Join(f.Actions, ",") + ","
	}
	value := `CAST(` + w.arg(list) + ` AS TEXT)`
	text += ` AND (` + value + ` = '' OR ` + value + ` LIKE '%,' || action || ',%')`
	return text + w.order() + ` LIMIT ` + w.arg(w.limit+1), w.args
}

// scanned returns the text that reads the id of the last row that the page
// looked at, if there may be more behind it.
func (w *auditWalk) scanned() (text string, args []any) {
	w.args = nil
	return w.near() + `SELECT id FROM near` + w.order() + ` LIMIT 1 OFFSET ` + fmt.Sprint(auditScan-1), w.args
}

// earliestEvent returns what no id of an event at this moment or later is less
// than: an id begins with the event's time.
func earliestEvent(at time.Time) string {
	if at.IsZero() || at.UnixMilli() < 0 {
		return ""
	}
	const timeDigits = 10 // of five bits each: 48 bits of milliseconds, two zeros in front
	return typeid.New(svcauth.PrefixEvent, at)[:len(svcauth.PrefixEvent)+1+timeDigits]
}

// ReadyAuditEvents reports whether events wait for their place in the log:
// those that are written, and those before over to which none can be joined any
// more.
func (q *Q) ReadyAuditEvents(ctx context.Context, over time.Time) (bool, error) {
	n, err := count(ctx, q, `SELECT COUNT(*) FROM (SELECT id FROM audit_event WHERE seq <= 0 AND (seq = 0 OR at_ms < $1)
		LIMIT 1) AS ready`, over.UnixMilli())
	return n > 0, err
}

// numberingKey is the key of the advisory lock of [Q.NumberAuditEvents].
const numberingKey = 7_315_911_264

// NumberAuditEvents gives up to limit events their places in the logs of their
// organizations, and returns how many. It belongs into [Store.WriteAside]. One
// transaction at a time does it: so whoever reads a place can read all before
// it. While another one is at it, NumberAuditEvents does nothing.
//
// Events are committed in no order: ids are made by several nodes, before they
// commit, and refusals are written later. So no reader could tell by ids or
// times whether it has missed one.
func (q *Q) NumberAuditEvents(ctx context.Context, over time.Time, limit int) (n int64, err error) {
	if q.postgres {
		got, err := count(ctx, q, `SELECT CAST(pg_try_advisory_xact_lock($1) AS INT)`, int64(numberingKey))
		if err != nil || got == 0 {
			return 0, err
		}
	}
	return q.exec(ctx, `WITH ready AS MATERIALIZED (SELECT id, org_id FROM audit_event
			WHERE seq <= 0 AND (seq = 0 OR at_ms < $1) ORDER BY id LIMIT $2`+q.skipLocked()+`)
		UPDATE audit_event SET seq = numbered.place FROM (
			SELECT ready.id, COALESCE((SELECT MAX(m.seq) FROM audit_event m
					WHERE m.org_id = ready.org_id AND m.seq > 0), 0)
				+ ROW_NUMBER() OVER (PARTITION BY ready.org_id ORDER BY ready.id) AS place FROM ready) AS numbered
		WHERE audit_event.id = numbered.id`, over.UnixMilli(), limit)
}

func scanAuditEvent(r row) (e svcauth.AuditEvent, err error) {
	var ms int64
	var before, after string
	err = r.Scan(&e.ID, &e.OrganizationID, &ms, &e.Actor.ID, &e.Actor.Kind, &e.Actor.Name, &e.Actor.ClientID,
		&e.Action, &e.Target.ID, &e.Target.Kind, &e.Target.Name, &e.Outcome, &e.Reason,
		&before, &after, &e.IP, &e.RequestID, &e.Count)
	e.Time, e.Before, e.After = at(ms), rawJSON(before), rawJSON(after)
	return e, err
}

func rawJSON(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}
