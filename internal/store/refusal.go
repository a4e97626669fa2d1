package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// RefusalKept is how long it is known what clients were refused. A shorter
// audit.retention shortens it.
const RefusalKept = 30 * 24 * time.Hour

// How many rows of refusals are kept of a client, of each of both kinds: after
// it has proven who it is, and before. What no client was recognized in has
// more of them, since it is of all strangers together.
const (
	refusalsEach         = 40
	refusalsUnrecognized = 400
)

// refusalIDs is how many request ids a row has, in bytes: 50 ids of 30
// characters, with a space after each.
const refusalIDs = 50 * (len("req_") + 26 + 1)

// refusalBatch is how many rows one transaction of [Store.NoteRefusals] writes.
const refusalBatch = 200

// Refusal is one row: equal refusals of an hour.
type Refusal struct {
	ID              string // the same for equal ones, on every node
	OrgID, ClientID string // both are empty if no client was recognized
	svcauth.Refusal
}

// NoteRefusals adds refusals to the rows that tell of equal ones, and deletes
// the oldest rows of a client that has too many. It writes in portions: after
// an error the first of all, which it returns how many of, are written.
func (s *Store) NoteRefusals(ctx context.Context, all []Refusal) (written int, err error) {
	// Nodes write rows with the same ids at the same time: each takes them in
	// one order.
	slices.SortFunc(all, func(a, b Refusal) int { return strings.Compare(a.ID, b.ID) })
	for batch := range slices.Chunk(all, refusalBatch) {
		err := s.WriteAside(ctx, func(q *Q) error {
			for _, r := range batch {
				if err := q.noteRefusal(ctx, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return written, err
		}
		written += len(batch)
		if err := s.WriteAside(ctx, func(q *Q) error { return q.pruneRefusals(ctx, batch) }); err != nil {
			return written, err
		}
	}
	return written, nil
}

func (q *Q) noteRefusal(ctx context.Context, r Refusal) error {
	_, err := q.exec(ctx, `INSERT INTO refusal (id, org_id, client_id, proven, first_ms, last_ms, count, endpoint,
		code, reason, detail, credential_id, ip, user_agent, request_ids)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (id) DO UPDATE SET count = refusal.count + excluded.count,
			first_ms = CASE WHEN excluded.first_ms < refusal.first_ms
				THEN excluded.first_ms ELSE refusal.first_ms END,
			last_ms = CASE WHEN excluded.last_ms > refusal.last_ms THEN excluded.last_ms ELSE refusal.last_ms END,
			ip = excluded.ip, user_agent = excluded.user_agent,
			request_ids = substr(excluded.request_ids || ' ' || refusal.request_ids, 1, $16)`,
		r.ID, r.OrgID, r.ClientID, r.Authenticated, r.FirstAt.UnixMilli(), r.At.UnixMilli(), r.Count, r.Endpoint,
		r.Code, r.Reason, r.Detail, r.CredentialID, r.IP, r.UserAgent, strings.Join(r.RequestIDs, " "),
		refusalIDs-1)
	return err
}

// pruneRefusals deletes the oldest rows of the clients of a batch. It leaves
// out rows that another node is writing.
func (q *Q) pruneRefusals(ctx context.Context, batch []Refusal) error {
	ids := make([]string, len(batch))
	for i, r := range batch {
		ids[i] = r.ClientID
	}
	slices.Sort(ids)
	list, args := in([]any{refusalsEach, refusalsUnrecognized}, slices.Compact(ids))
	_, err := q.exec(ctx, `WITH gone AS MATERIALIZED (SELECT id FROM refusal WHERE id IN
			(SELECT id FROM (SELECT id, client_id,
				ROW_NUMBER() OVER (PARTITION BY client_id, proven ORDER BY last_ms DESC, id) AS place
				FROM refusal WHERE client_id IN (`+list+`)) AS placed
			WHERE place > CASE WHEN client_id = '' THEN CAST($2 AS BIGINT) ELSE CAST($1 AS BIGINT) END)`+
		q.skipLocked()+`)
		DELETE FROM refusal WHERE id IN (SELECT id FROM gone)`, args...)
	return err
}

const refusalSelect = `SELECT id, org_id, client_id, proven, first_ms, last_ms, count, endpoint,
	code, reason, detail, credential_id, ip, user_agent, request_ids FROM refusal WHERE `

// Refusals reads up to limit of what a client of an organization was refused,
// newest first.
func (q *Q) Refusals(ctx context.Context, orgID, clientID string, limit int) ([]Refusal, error) {
	return many(ctx, q, scanRefusal, refusalSelect+`client_id = $1 AND org_id = $2
		ORDER BY last_ms DESC, id LIMIT $3`, clientID, orgID, limit)
}

// RefusalOf reads the refusal of one request, which came at a moment. It
// returns [ErrNotFound] if there is none.
func (q *Q) RefusalOf(ctx context.Context, requestID string, at time.Time) (Refusal, error) {
	ms := at.UnixMilli() // a row is of one hour
	return single(ctx, q, scanRefusal, refusalSelect+`last_ms >= $1 AND last_ms < $2 AND first_ms <= $1
		AND request_ids LIKE $3 LIMIT 1`, ms, ms+time.Hour.Milliseconds(), "%"+likeText(requestID)+"%")
}

// likeText returns a text without a meaning of its own in LIKE: an id has "_",
// which stands for any character, and so for itself.
func likeText(id string) string { return strings.ReplaceAll(id, "%", "") }

// eventWithin is how long after a request came its audit event may have been
// written, by whichever node's clock.
const eventWithin = 10 * time.Minute

// AuditEventOf reads the first event that a request left in the log of an
// organization. It returns [ErrNotFound] if there is none.
func (q *Q) AuditEventOf(ctx context.Context, orgID, requestID string, at time.Time) (svcauth.AuditEvent, error) {
	return single(ctx, q, scanAuditEvent, auditColumns+`
		WHERE org_id = $1 AND request_id = $2 AND id > $3 AND id < $4 ORDER BY id LIMIT 1`, orgID, requestID,
		typeid.New(svcauth.PrefixEvent, at.Add(-time.Minute)), typeid.New(svcauth.PrefixEvent, at.Add(eventWithin)))
}

// RefusedSignIns reads up to limit events, newest first, of failed sign-ins as
// a member since a moment.
func (q *Q) RefusedSignIns(ctx context.Context, orgID, memberID string, since time.Time, limit int,
) ([]svcauth.AuditEvent, error) {
	return many(ctx, q, scanAuditEvent, auditColumns+`
		WHERE org_id = $1 AND target_id = $2 AND id > $3 AND action = 'member.sign_in' AND outcome = $4
		ORDER BY id DESC LIMIT $5`,
		orgID, memberID, typeid.New(svcauth.PrefixEvent, since), svcauth.OutcomeRefused, limit)
}

func scanRefusal(r row) (one Refusal, err error) {
	var first, last int64
	var ids string
	err = r.Scan(&one.ID, &one.OrgID, &one.ClientID, &one.Authenticated, &first, &last, &one.Count, &one.Endpoint,
		&one.Code, &one.Reason, &one.Detail, &one.CredentialID, &one.IP, &one.UserAgent, &ids)
	one.FirstAt, one.At, one.RequestIDs = at(first), at(last), strings.Fields(ids)
	return one, err
}
