package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Tokens returns a page of a service account's live tokens, newest first. It
// needs members:read. They are records from the cache: the tokens themselves
// are kept nowhere. Partial tells that there may be more of them.
func (s *Service) Tokens(
	ctx context.Context,
	id string,
	o svcauth.ListOptions,
) (list svcauth.List[svcauth.LiveToken], err error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return list, err
	}
	var account svcauth.ServiceAccount
	if err = checkID(svcauth.PrefixServiceAccount, id); err == nil {
		account, err = s.read().ServiceAccount(ctx, actor.OrgID, id)
	}
	if err != nil {
		return list, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
	}
	records, partial, err := s.cfg.Cache.Tokens(ctx, actor.OrgID, id, account.CreatedAt)
	if err != nil {
		return list, recordsAway(err)
	}
	missing, err := s.unrecorded(ctx)
	if err != nil {
		return list, Problem(err, svcauth.AuditTarget{})
	}
	partial = partial || account.CreatedAt.Before(missing)
	records = slices.DeleteFunc(records,
		func(r cache.TokenRecord) bool { return r.OrgID != actor.OrgID || s.revoked(r) })
	live := make([]svcauth.LiveToken, len(records))
	for i, r := range records {
		live[i] = svcauth.LiveToken{
			JTI:       r.JTI,
			Scope:     r.Scope,
			SecretID:  r.SecretID,
			IssuedAt:  r.IssuedAt,
			ExpiresAt: r.ExpiresAt,
			IP:        r.IP,
			UserAgent: r.UserAgent,
		}
	}
	list, err = paging.Newest(live, o, func(t svcauth.LiveToken) string { return paging.Key(t.IssuedAt, t.JTI) })
	list.Partial = partial && err == nil
	return list, err
}

// unrecorded returns until when some node has issued tokens that it has not
// recorded yet, or had not when it ended. Of a client that was made before, the
// cache may lack live tokens.
func (s *Service) unrecorded(ctx context.Context) (time.Time, error) {
	if !s.cfg.Cache.Shared() {
		return time.Time{}, nil // its records are this node's own
	}
	return s.read().Unrecorded(ctx, s.now())
}

// revoked reports whether a live revocation denies the token of the record.
func (s *Service) revoked(r cache.TokenRecord) bool {
	if s.cfg.Revocations == nil {
		return false
	}
	_, revoked := s.cfg.Revocations.Revoked(r.Claims())
	return revoked
}

// RevokeToken revokes one live token of a service account. Its expiry is known
// from its record; a token without one is not found. One that is revoked
// already needs nothing more.
func (s *Service) RevokeToken(ctx context.Context, id, jti string) error {
	// Inside the transaction nothing but the database may be waited for, so the
	// record is read before. Whether the caller may ask is decided inside.
	record, found, lookup := s.cfg.Cache.FindToken(ctx, jti)
	err := s.changeAccount(ctx, id, "token.revoke", func(
		ctx context.Context,
		t *Tx,
		account svcauth.ServiceAccount,
	) error {
		if lookup != nil {
			return recordsAway(lookup)
		}
		if !found || record.ClientID != id || record.OrgID != t.Actor.OrgID {
			return svcauth.NewProblem(svcauth.CodeNotFound,
				"The service account %s has no live token with this id on record. If one may "+
					"be in use all the same, revoke all of its tokens.", account.Name)
		}
		t.Target = svcauth.AuditTarget{Kind: "token", ID: jti, Name: account.Name}
		entry := svcauth.Revocation{
			ClientID: id,
			JTI:      jti,
			Exp:      record.ExpiresAt.Unix(),
			Epoch:    record.Epoch,
			Pol:      record.Pol,
		}
		already, err := t.TokenRevoked(ctx, t.Actor.OrgID, entry)
		if t.Silent = already; already || err != nil {
			return err // each entry is kept by every node and every resource server
		}
		return t.revoke(ctx, t.Actor.OrgID, entry)
	})
	if err == nil {
		s.cfg.Cache.MarkRevoked(jti, verify.KeptUntil(record.ExpiresAt))
	}
	return err
}

// RevokeTokens revokes every token issued to a service account so far. Its
// secrets stay good.
func (s *Service) RevokeTokens(ctx context.Context, id string) error {
	return s.changeAccount(ctx, id, "service_account.revoke_tokens", func(
		ctx context.Context,
		t *Tx,
		_ svcauth.ServiceAccount,
	) error {
		return t.revokeClient(ctx, t.Actor.OrgID, id, "")
	})
}

// recordsAway turns a failure of the cache into what a caller is told.
func recordsAway(err error) error {
	if errors.Is(err, cache.ErrUnavailable) {
		return away.Problem(away.Records, "Try again in a moment. To revoke all tokens of an account works "+
			"without them.", err)
	}
	return err
}
