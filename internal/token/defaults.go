package token

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxDefaultRefused is how many accounts are looked at and named.
const maxDefaultRefused = 20

// Defaults finds out who gets no token by a request that says neither scope nor
// resource.
type Defaults struct {
	Issuer    string
	Algorithm string                                   // what tokens are signed with if their API does not say
	MaxSize   int                                      // 0: no token is too long
	TokenSize func(form keyring.Form, payload int) int // see [keyring.Keyring.TokenSize]
	Now       time.Time
	catalog   *catalogue
}

// NewDefaults returns one for a catalogue that need not be in force. apis and
// privileges do not include this server's own.
func NewDefaults(d Defaults, apis []svcauth.API, privileges []svcauth.Privilege) Defaults {
	apis = append([]svcauth.API{{Audience: d.Issuer}}, apis...)
	d.catalog = newCatalogue(apis, append(builtin.Privileges(d.Issuer), privileges...), d.Issuer, d.Algorithm)
	return d
}

// DefaultRefused returns the accounts that get no token without scope and
// resource: it would be too long, or for APIs whose tokens have different
// forms, or for a default resource that is no API any more. It looks at one
// principal, or at those that hold a role, or with neither at all; of one
// organization, or with none of all. It estimates from above first, so that few
// are looked at closely, and returns at most twice [maxDefaultRefused].
func (s *Service) DefaultRefused(
	ctx context.Context, q *store.Q, orgID, roleID, principalID string,
) ([]svcauth.DefaultWarning, error) {
	cat, err := s.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	d := Defaults{
		Issuer:    s.cfg.Issuer,
		Algorithm: s.cfg.Keyring.Algorithm(),
		MaxSize:   s.cfg.MaxSize,
		TokenSize: s.cfg.Keyring.TokenSize,
		Now:       s.cfg.Clock(),
		catalog:   cat,
	}
	return d.DefaultRefused(ctx, q, orgID, roleID, principalID)
}

// DefaultRefused is [Service.DefaultRefused] on a database.
func (s Defaults) DefaultRefused(
	ctx context.Context, q *store.Q, orgID, roleID, principalID string,
) (found []svcauth.DefaultWarning, err error) {
	candidates := []store.HeavyPrincipal{{OrgID: orgID, ID: principalID}}
	if principalID == "" {
		if candidates, err = s.candidates(ctx, q, orgID, roleID); err != nil {
			return nil, err
		}
	}
	for _, p := range candidates {
		warning, err := s.look(ctx, q, p)
		if errors.Is(err, store.ErrNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if warning.Reason != "" {
			found = append(found, warning)
		}
	}
	return found, nil
}

// candidates returns those who may get no token, once each.
func (s Defaults) candidates(ctx context.Context, q *store.Q, orgID, roleID string) ([]store.HeavyPrincipal, error) {
	heavy, err := s.heavy(ctx, q, orgID, roleID)
	if err != nil {
		return nil, err
	}
	var torn, lost []store.HeavyPrincipal
	if forms := s.catalog.forms(s.Issuer); forms != nil {
		if torn, err = q.TornPrincipals(ctx, store.Torn{
			OrgID: orgID, RoleID: roleID, Forms: forms, Now: s.Now, Limit: maxDefaultRefused,
		}); err != nil {
			return nil, err
		}
	}
	if orgID == "" { // no change but the catalogue's makes any
		known := slices.Sorted(maps.Keys(s.catalog.known))
		known = without(known, func(api string) bool { return api == s.Issuer })
		if lost, err = q.LostDefaults(ctx, known, maxDefaultRefused); err != nil {
			return nil, err
		}
	}
	var all []store.HeavyPrincipal
	for _, p := range slices.Concat(heavy, torn, lost) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all, nil
}

// heavy returns those whose tokens may be too long.
func (s Defaults) heavy(ctx context.Context, q *store.Q, orgID, roleID string) ([]store.HeavyPrincipal, error) {
	if s.MaxSize == 0 {
		return nil, nil
	}
	all := 0
	for _, p := range s.catalog.privileges {
		all += len(p.Name) + 1
	}
	bound := s.room()
	if orgID != "" {
		names, err := q.HeaviestNames(ctx, orgID, svcauth.MaxRolesPerPrincipal+1) // and Public
		if err != nil || int(names)+all <= bound {
			return nil, err
		}
	}
	return q.HeavyPrincipals(ctx, store.Heavy{
		OrgID:  orgID,
		RoleID: roleID,
		All:    all,
		Bound:  bound,
		Limit:  maxDefaultRefused,
	})
}

// room returns how many bytes privileges and roles may take in the claims of a
// token for all APIs.
func (s Defaults) room() int {
	audiences := 0
	for audience := range s.catalog.known {
		audiences += len(audience) + 3
	}
	none := s.holder(&store.Credentials{
		ClientID: svcauth.NewID(svcauth.PrefixServiceAccount), OrgID: svcauth.NewID(svcauth.PrefixOrganization),
		Epoch: 1e9, Policy: 1e9,
	})
	rest := s.MaxSize - s.TokenSize(keyring.Form{}, none.standard.size()+audiences)
	return rest/4*3 - s.catalog.mostClaims() // base64
}

// mostClaims returns how many bytes an account's own claims, and those of a
// profile, add to a token at most.
func (c *catalogue) mostClaims() (most int) {
	for _, p := range c.profiles {
		size := len(p.alike)
		if len(p.accountClaims) > 0 {
			size += svcauth.MaxClaimsSize
		}
		most = max(most, size)
	}
	return most
}

// look works out what one principal gets.
func (s Defaults) look(ctx context.Context, q *store.Q, p store.HeavyPrincipal) (w svcauth.DefaultWarning, err error) {
	w = svcauth.DefaultWarning{ID: p.ID}
	org, err := q.Organization(ctx, p.OrgID)
	if err != nil {
		return w, err
	}
	row := &store.Credentials{ClientID: p.ID, OrgID: p.OrgID, Operator: org.Operator}
	if svcauth.ValidID(svcauth.PrefixMember, p.ID) {
		keys, err := q.ApplicationKeyIDs(ctx, p.OrgID, p.ID)
		if err != nil || len(keys) == 0 {
			return w, err // it gets no tokens
		}
		member, err := q.Member(ctx, p.OrgID, p.ID)
		if err != nil {
			return w, err
		}
		w.Name, row.ClientID, row.MemberID = member.Email, keys[0], p.ID
		row.Kind = store.ClientApplicationKey
	} else {
		account, err := q.ServiceAccount(ctx, p.OrgID, p.ID)
		if err != nil {
			return w, err
		}
		w.Name, row.DefaultResource, row.Name = account.Name, account.DefaultResource, account.Name
		if row.Claims, err = svcauth.ClaimsText(account.Claims); err != nil {
			return w, err
		}
	}
	roles, err := q.HeldRoles(ctx, p.OrgID, p.ID)
	if err != nil {
		return w, err
	}
	s.judge(&w, s.holder(row, roles...))
	return w, nil
}

// judge completes a warning, or leaves it without a reason.
func (s Defaults) judge(w *svcauth.DefaultWarning, h *holder) {
	if refusal := h.usualRefused(s.Issuer); refusal != nil {
		w.Reason, w.Resources = refusal.Reason, h.asked
		if h.DefaultResource != "" {
			w.Resources = []string{h.DefaultResource}
		}
		return
	}
	size := s.TokenSize(h.standard.profile.form, h.standard.size())
	if s.MaxSize > 0 && size > s.MaxSize {
		w.Reason, w.Characters, w.Max = svcauth.ReasonTokenSize, size, s.MaxSize
	}
}

func (s Defaults) holder(row *store.Credentials, roles ...store.HeldRole) *holder {
	return newHolder(row, roles, s.catalog, s.Issuer, s.Now)
}
