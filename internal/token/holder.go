package token

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
)

// holder is a client with what its roles give it. If it has become outdated
// without our knowing, tokens minted from it carry an old epoch or pol and are
// born revoked: both were read with the grants, and before what the roles give.
type holder struct {
	*store.Credentials
	*roleSet
	since clientauth.Moment

	known    bool     // false: there is no such client
	standard decision // what a request that asks for nothing in particular gets; none: it is refused
}

// newHolder works out once what every token request of a client needs.
func newHolder(
	row *store.Credentials, roles []store.HeldRole, cat *catalogue, issuer string, now time.Time,
) *holder {
	return holderOf(row, newRoleSet(roles, cat, issuer, row.Operator, now), issuer)
}

func holderOf(row *store.Credentials, set *roleSet, issuer string) *holder {
	h := &holder{Credentials: row, known: true, roleSet: set}
	h.standard = h.usual(issuer)
	return h
}

// under returns a holder that has of h's privileges only those that a
// credential's ceiling has too.
func (h *holder) under(ceiling []string, issuer string) *holder {
	held := h.held
	held.Privileges = without(h.held.Privileges, func(p string) bool { return !slices.Contains(ceiling, p) })
	held.Roles = h.held.RolesOf(held.Privileges)
	below := &holder{Credentials: h.Credentials, known: h.known,
		roleSet: &roleSet{Roles: h.Roles, catalog: h.catalog, held: held, capped: true}}
	below.prepare(issuer)
	below.standard = below.usual(issuer)
	return below
}

// usual returns what a request that asks for nothing in particular gets: what
// there is for the client's default resource, else for all APIs, and this
// server's own privileges only if there are no others. It is empty if such a
// request is refused.
func (h *holder) usual(issuer string) decision {
	if h.usualRefused(issuer) != nil {
		return decision{}
	}
	if h.DefaultResource != "" {
		resources := []string{h.DefaultResource}
		return h.decision(h.ofResources(resources), resources, issuer, true, true)
	}
	shared := h.roleSet.usual.Load() // all holders of the set have the same, capped or not
	if shared == nil {
		shared = h.share(h.asked, h.held.Roles, h.scope, issuer, true)
		h.roleSet.usual.Store(shared)
	}
	d := h.of(shared)
	d.own = h.own
	return d
}

// Holds reports whether the client's roles give it a privilege.
func (h *holder) Holds(privilege string) bool { return h.granted[privilege] }

// without returns those that are not of a kind: all itself if none is.
func without(all []string, kind func(string) bool) []string {
	if !slices.ContainsFunc(all, kind) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), kind)
}

// decision is what a token carries for its client: everything but the times,
// the credential and the token's own id. The client's part of the claims is
// written anew for each token. The zero value is none.
type decision struct {
	*sharedDecision
	client *store.Credentials
	more   []byte // see [holder.moreClaims]
	length int    // of the claims, in bytes
	own    bool   // of the standard one: it has this server's privileges, as there are no others
}

// none reports whether nothing was decided.
func (d decision) none() bool { return d.sharedDecision == nil }

// shown returns what there is to say of a decision: nothing, if it is none.
func (d decision) shown() (s sharedDecision) {
	if !d.none() {
		s = *d.sharedDecision
	}
	return s
}

// size returns how many bytes the claims of each token will have.
func (d decision) size() int { return d.length + tokenClaimsSize }

// payload returns the claims of one token.
func (d decision) payload(claims tokenClaims) []byte {
	return claims.after(d.claims(claims.Confirmation != nil))
}

// decision returns the one for these privileges of some APIs, whose tokens may
// have one form. A narrowed one has only the roles that give one of them. full
// says that no scope was asked for.
func (h *holder) decision(privileges, resources []string, issuer string, narrowed, full bool) decision {
	roles := h.held.Roles
	if narrowed {
		roles = h.held.RolesOf(privileges)
	}
	return h.of(h.share(resources, roles, strings.Join(privileges, " "), issuer, full))
}

// sharedDecision is what a [decision] has in common with those of other clients
// that hold the same roles and get the same.
type sharedDecision struct {
	audience []string
	scope    string
	roles    []string
	binding  []string // those of the roles that are given by bound tokens only
	profile  *apiProfile
	encoded  []byte // the [sharedClaims], once for all tokens
	unbound  []byte // the same for a token that is not bound; nil: no other
}

func (r *roleSet) share(audience, roles []string, scope, issuer string, full bool) *sharedDecision {
	if len(audience) == 0 {
		audience = []string{issuer}
	}
	if roles == nil {
		roles = []string{} // JSON's null is no list
	}
	p, _ := r.catalog.profile(audience)
	claims := sharedClaims{Issuer: issuer, Audience: p.audience(audience), Full: full && !r.capped, Roles: roles}
	claims.carry(p.ScopeClaim, scope)
	d := &sharedDecision{
		audience: audience, roles: roles, binding: r.held.BindingRoles(roles), scope: scope, profile: p,
		encoded: mustEncode(claims),
	}
	// A token that is not bound hands over nothing of the roles that it leaves
	// out since they demand that.
	if claims.Full && len(r.held.BindingRoles(r.held.Roles)) > 0 {
		claims.Full = false
		d.unbound = mustEncode(claims)
	}
	return d
}

// of returns the decision of the client for what it has in common with others.
func (h *holder) of(shared *sharedDecision) decision {
	d := decision{
		sharedDecision: shared, client: h.Credentials,
		more: h.moreClaims(shared.profile, h.catalog.accountClaims(shared.audience)),
	}
	d.length = len(d.claims(true))
	return d
}

// client returns what there is to say of a client, to a caller that may ask.
func (s *Service) client(ctx context.Context, id string) (*holder, *oautherr.Error) {
	client, err := s.cfg.Clients.Get(ctx, id)
	if err != nil {
		return nil, oautherr.From(err)
	}
	return s.holder(ctx, client)
}

// holder adds what the client's roles give. If the first of its grants has
// expired since that was worked out, it is worked out anew.
func (s *Service) holder(ctx context.Context, client *clientauth.Client) (*holder, *oautherr.Error) {
	if !client.Known {
		return &holder{Credentials: client.Credentials, roleSet: &roleSet{}}, nil
	}
	if kept, ok := client.Rights().(*holder); ok && !kept.since.Outdated() {
		return s.current(kept), nil
	}
	fresh, err := s.newHolder(ctx, client.Credentials)
	if err != nil {
		return nil, oautherr.From(err)
	}
	client.Keep(fresh)
	return fresh, nil
}

// proven returns what a client that has proven who it is may do: of what its
// roles give, no more than the ceiling of the credential that it did so with.
func (s *Service) proven(ctx context.Context, client clientauth.Authentication) (*holder, *oautherr.Error) {
	holder, refusal := s.holder(ctx, client.Client)
	if refusal == nil && client.Ceiling != nil {
		holder = holder.under(client.Ceiling, s.cfg.Issuer)
	}
	return holder, refusal
}

func (s *Service) newHolder(ctx context.Context, client *store.Credentials) (*holder, error) {
	began := s.cfg.Clients.Now() // what changes from here on outdates the result
	cat, err := s.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	roles, since, err := s.cfg.Clients.Roles(ctx, client)
	if err != nil {
		return nil, err
	}
	h := holderOf(client, s.sets.of(client, roles, cat, s.cfg.Issuer, s.cfg.Clock()), s.cfg.Issuer)
	h.since = since.Older(s.cfg.Clients.Known(client.OrgID, began))
	return h, nil
}

// current returns h, or what it has become since a grant of it expired.
func (s *Service) current(h *holder) *holder {
	now := s.cfg.Clock()
	if h.held.ExpiresAt.IsZero() || now.Before(h.held.ExpiresAt) {
		return h
	}
	return newHolder(h.Credentials, h.Roles, h.catalog, s.cfg.Issuer, now)
}
