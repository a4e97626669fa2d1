package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Impact is what taking something away would break: the live tokens that would
// die, and their use.
type Impact struct {
	Tokens    int        // that are on record
	Partial   bool       // there may be more of them
	Addresses int        // network addresses that fetched these
	Keys      int        // of a member: its application keys
	LastUsed  *time.Time // when the last of these tokens was fetched, or the client was last used
	Unknown   bool       // the records are not available right now; what follows can be done all the same
}

// ServiceAccountImpact returns what would die with a service account, with one
// of its credentials (credentialID), or with one of its roles (role, a name).
// The caller needs what [Service.Tokens] needs.
func (s *Service) ServiceAccountImpact(ctx context.Context, id, credentialID, role string) (Impact, error) {
	account, err := s.ServiceAccount(ctx, id)
	if err != nil {
		return Impact{}, err
	}
	actor, _ := ActorFrom(ctx)
	hit := Impact{LastUsed: account.LastUsedAt}
	if credentialID != "" {
		all, err := s.read().AllCredentials(ctx, actor.OrgID, id)
		if err != nil {
			return Impact{}, err
		}
		for _, one := range all {
			if one.ID == credentialID {
				hit.LastUsed = one.LastUsedAt
			}
		}
	}
	return s.countTokens(ctx, hit, account.CreatedAt, []string{id}, func(r cache.TokenRecord) bool {
		return (credentialID == "" || r.SecretID == credentialID) && (role == "" || slices.Contains(r.Roles, role))
	})
}

// MemberImpact returns what would die with a member, or with one of its roles
// (role, a name): the tokens of its application keys. It needs members:read.
func (s *Service) MemberImpact(ctx context.Context, id, role string) (Impact, error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return Impact{}, err
	}
	member, err := MemberRow(ctx, s.read(), actor.OrgID, id)
	if err != nil {
		return Impact{}, Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	keys, err := s.read().ApplicationKeyIDs(ctx, actor.OrgID, member.ID)
	if err != nil {
		return Impact{}, Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	return s.countTokens(ctx, Impact{
		Keys: len(keys),
	}, member.CreatedAt, keys, func(r cache.TokenRecord) bool {
		return role == "" || slices.Contains(r.Roles, role)
	})
}

// ApplicationKeyImpact returns what would die with an application key that the
// caller may see.
func (s *Service) ApplicationKeyImpact(ctx context.Context, id string) (Impact, error) {
	key, err := s.ApplicationKey(ctx, id)
	if err != nil {
		return Impact{}, err
	}
	return s.countTokens(ctx, Impact{
		LastUsed: key.LastUsedAt,
	}, key.CreatedAt, []string{id}, func(cache.TokenRecord) bool { return true })
}

// countTokens adds the live tokens of some clients of the caller's
// organization, all of them made at some time or later.
func (s *Service) countTokens(
	ctx context.Context,
	hit Impact,
	made time.Time,
	clients []string,
	counts func(cache.TokenRecord) bool,
) (Impact, error) {
	actor, _ := ActorFrom(ctx)
	from := map[string]bool{}
	missing, err := s.unrecorded(ctx)
	if err != nil {
		return Impact{}, Problem(err, svcauth.AuditTarget{})
	}
	hit.Partial = hit.Partial || len(clients) > 0 && made.Before(missing)
	for _, id := range clients {
		records, partial, err := s.cfg.Cache.Tokens(ctx, actor.OrgID, id, made)
		if errors.Is(err, cache.ErrUnavailable) {
			hit.Unknown = true
			return hit, nil
		}
		if err != nil {
			return Impact{}, err
		}
		hit.Partial = hit.Partial || partial
		for _, r := range records {
			if r.OrgID != actor.OrgID || s.revoked(r) || !counts(r) {
				continue
			}
			hit.Tokens++
			from[r.IP] = true
			if at := r.IssuedAt; hit.LastUsed == nil || at.After(*hit.LastUsed) {
				hit.LastUsed = &at // last use is written down a little later
			}
		}
	}
	hit.Addresses = len(from)
	return hit, nil
}
