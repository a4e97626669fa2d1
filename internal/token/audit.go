package token

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ownRevocation returns the event of a client that revoked a token of its own.
func ownRevocation(client clientauth.Authentication, jti string) svcauth.AuditEvent {
	e := svcauth.AuditEvent{
		OrganizationID: client.OrgID, Action: "token.revoke", Outcome: svcauth.OutcomeDone, Actor: client.AuditActor(),
		Target: svcauth.AuditTarget{ID: jti, Kind: "token", Name: client.Name},
	}
	if client.IP.IsValid() {
		e.IP = client.IP.String()
	}
	return e
}

// ownRevocations joins the revocations of each client within a minute into one
// event: a program may revoke every token that it is done with. Only the one
// goroutine that writes revocations uses it.
type ownRevocations struct {
	began time.Time
	ids   map[string]string // of this minute's events, by client
}

// write adds the events of a batch, in its transaction.
func (o *ownRevocations) write(ctx context.Context, q *store.Q, now time.Time, batch []*pending) error {
	if began := now.Truncate(time.Minute); !began.Equal(o.began) {
		o.began, o.ids = began, map[string]string{}
	}
	joined := map[string]int{}
	var events []svcauth.AuditEvent
	for _, p := range batch {
		client := p.event.Actor.ClientID
		at, ok := joined[client]
		if !ok {
			at = len(events)
			joined[client] = at
			e := p.event
			if e.Time = now; o.ids[client] == "" {
				o.ids[client] = typeid.New(svcauth.PrefixEvent, now)
			}
			e.ID = o.ids[client]
			events = append(events, e)
		}
		events[at].Count++
	}
	for _, e := range events {
		if err := q.JoinAuditEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
