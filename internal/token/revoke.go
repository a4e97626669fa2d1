package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Revoke revokes a client's own token, RFC 7009 §2.1. A token that is
// malformed, forged, revoked or unknown needs nothing more (§2.2): nil. One
// that has expired by our clock is revoked like any other, as that clock may be
// wrong. Another client's stays valid, and the request is refused. When Revoke
// returns nil, the revocation is durable and in force on this node.
func (s *Service) Revoke(ctx context.Context, client clientauth.Authentication, token string) *oautherr.Error {
	if token == "" {
		return oautherr.New(oautherr.CodeInvalidRequest, "no_token",
			"token is missing: expected the access token to revoke")
	}
	if err := client.Use(ctx); err != nil {
		return err
	}
	p, err := s.anyAudience.Authentic(ctx, token) // whatever our clock says of its time: others may have another one
	if isUnavailable(err) {
		return oautherr.Unavailable(err)
	}
	if err != nil {
		return nil
	}
	if _, already := s.cfg.Revocations.Revoked(p); already {
		return nil
	}
	if p.ClientID != client.ClientID && errors.Is(s.anyAudience.CheckClaims(p), verify.ErrExpired) {
		return nil
	}
	if p.ClientID != client.ClientID {
		return oautherr.New(oautherr.CodeInvalidGrant, "foreign_token",
			"this token was issued to another client, which alone may revoke it here; it stays valid")
	}
	if err := s.cfg.Store.Admit(ctx); err != nil {
		return oautherr.From(err)
	}
	entry := svcauth.Revocation{
		JTI:      p.JTI,
		Exp:      p.ExpiresAt.Unix(),
		ClientID: p.ClientID,
		Epoch:    p.Epoch,
		Pol:      p.Policy,
	}
	if err := s.batch.add(ctx, &pending{claims: p, entry: entry, event: ownRevocation(client, p.JTI)}); err != nil {
		return oautherr.From(err)
	}
	s.cfg.Cache.MarkRevoked(p.JTI, verify.KeptUntil(p.ExpiresAt))
	return nil
}

// pending is one revocation that waits for its transaction.
type pending struct {
	claims *verify.Claims // of the token
	entry  svcauth.Revocation
	event  svcauth.AuditEvent
	done   chan error
}

const (
	maxBatch   = 256
	maxPending = 10_000
)

// revocationBatch writes revocations that arrive together in one transaction.
// They share the database's fsync, and each answer still waits for it.
type revocationBatch struct {
	queue chan *pending
	write func(context.Context, []*pending) error
}

func newRevocationBatch(write func(context.Context, []*pending) error) *revocationBatch {
	return &revocationBatch{queue: make(chan *pending, maxPending), write: write}
}

// add adds a revocation and returns when it is durable, or can't be.
func (b *revocationBatch) add(ctx context.Context, p *pending) error {
	p.done = make(chan error, 1)
	select {
	case b.queue <- p:
	default:
		return fmt.Errorf("%w: too many revocations wait to be written", store.ErrUnavailable)
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	}
}

func (b *revocationBatch) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-b.queue:
			batch := []*pending{first}
			for len(batch) < maxBatch && len(b.queue) > 0 {
				batch = append(batch, <-b.queue)
			}
			err := b.write(context.WithoutCancel(ctx), batch)
			for _, p := range batch {
				p.done <- err
			}
		}
	}
}

// writeRevocations writes those of a batch that are needed.
func (s *Service) writeRevocations(ctx context.Context, batch []*pending) error {
	batch = s.needed(batch)
	if len(batch) == 0 {
		return nil
	}
	err := s.cfg.Store.WriteInTurn(ctx, store.Turn{First: true}, func(q *store.Q) error {
		for _, p := range batch {
			if err := s.writeRevocation(ctx, q, p); err != nil {
				return err
			}
		}
		return s.events.write(ctx, q, s.cfg.Clock().UTC(), batch)
	})
	if err == nil && s.cfg.Observer != nil {
		for range batch {
			s.cfg.Observer.TokenRevoked()
		}
	}
	return err
}

// needed returns those of a batch whose token is not revoked yet, one for each
// token. It may have been revoked since [Service.Revoke] looked, as many
// requests may ask for one at once. Each entry is kept by every node and every
// resource server.
func (s *Service) needed(batch []*pending) (needed []*pending) {
	seen := make(map[string]bool, len(batch))
	for _, p := range batch {
		_, already := s.cfg.Revocations.Revoked(p.claims)
		if already || seen[p.entry.JTI] {
			continue
		}
		seen[p.entry.JTI] = true
		needed = append(needed, p)
	}
	return needed
}

func (s *Service) writeRevocation(ctx context.Context, q *store.Q, p *pending) error {
	now := s.cfg.Clock().UTC().Truncate(time.Millisecond)
	wider, err := q.AddRevocation(ctx, now, p.claims.OrgID, p.entry)
	if err != nil || wider == store.WiderNot {
		return err
	}
	s.cfg.Logger.WarnContext(ctx,
		"a client revokes more tokens than are kept one by one: all older ones are revoked instead",
		"client_id", p.entry.ClientID, "org_id", p.claims.OrgID, "revoked", string(wider))
	by := p.event.Actor
	actor := access.Actor{ID: by.ID, Kind: by.Kind, Name: by.Name, ClientID: by.ClientID, IP: p.event.IP}
	return q.InsertAuditEvent(ctx, access.RevokedMore(now, actor, p.claims.OrgID, p.entry.ClientID, wider))
}
