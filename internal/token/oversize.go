package token

import (
	"context"
	"errors"
	"time"

	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxOversized is how many accounts are looked at and named.
const maxOversized = 20

// Sizer finds out how long tokens would be.
type Sizer struct {
	Issuer    string
	Algorithm string                                   // what tokens are signed with if their API does not say
	MaxSize   int                                      // 0: no bound, and nothing is looked at
	TokenSize func(form keyring.Form, payload int) int // see [keyring.Keyring.TokenSize]
	Now       time.Time
	catalog   *catalogue
}

// NewSizer returns one for a catalogue that need not be in force. apis and
// privileges do not include this server's own.
func NewSizer(s Sizer, apis []svcauth.API, privileges []svcauth.Privilege) Sizer {
	apis = append([]svcauth.API{{Audience: s.Issuer}}, apis...)
	s.catalog = newCatalogue(apis, append(builtin.Privileges(s.Issuer), privileges...), s.Issuer, s.Algorithm)
	return s
}

// Oversized returns the accounts that would get no token without scope or
// resource, as it would be too long. It looks at one principal, or at those
// that hold a role, or with neither at all; of one organization, or with none
// of all. It estimates from above first, so that few are looked at closely, and
// returns at most [maxOversized].
func (s *Service) Oversized(ctx context.Context, orgID, roleID, principalID string) ([]svcauth.SizeWarning, error) {
	cat, err := s.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	sizer := Sizer{
		Issuer:    s.cfg.Issuer,
		MaxSize:   s.cfg.MaxSize,
		TokenSize: s.cfg.Keyring.TokenSize,
		Now:       s.cfg.Clock(),
		catalog:   cat,
	}
	return sizer.Oversized(ctx, s.cfg.Store.Read(), orgID, roleID, principalID)
}

// Oversized is [Service.Oversized] on a database.
func (s Sizer) Oversized(
	ctx context.Context, q *store.Q, orgID, roleID, principalID string,
) (found []svcauth.SizeWarning, err error) {
	if s.MaxSize == 0 {
		return nil, nil
	}
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
		if warning.Characters > s.MaxSize {
			found = append(found, warning)
		}
	}
	return found, nil
}

// candidates returns those whose tokens may be too long.
func (s Sizer) candidates(ctx context.Context, q *store.Q, orgID, roleID string) ([]store.HeavyPrincipal, error) {
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
		Limit:  maxOversized,
	})
}

// room returns how many bytes privileges and roles may take in the claims of a
// token for all APIs.
func (s Sizer) room() int {
	audiences := 0
	for audience := range s.catalog.known {
		audiences += len(audience) + 3
	}
	none := s.holder(&store.Credentials{
		ClientID: svcauth.NewID(svcauth.PrefixServiceAccount), OrgID: svcauth.NewID(svcauth.PrefixOrganization),
		Epoch: 1e9, Policy: 1e9,
	})
	rest := s.MaxSize - s.TokenSize(keyring.Form{}, none.standard.size()+audiences)
	return rest / 4 * 3 // base64
}

// look works out how long the token of one principal would be.
func (s Sizer) look(ctx context.Context, q *store.Q, p store.HeavyPrincipal) (w svcauth.SizeWarning, err error) {
	w = svcauth.SizeWarning{ID: p.ID, Max: s.MaxSize}
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
	} else {
		account, err := q.ServiceAccount(ctx, p.OrgID, p.ID)
		if err != nil {
			return w, err
		}
		w.Name = account.Name
	}
	roles, err := q.HeldRoles(ctx, p.OrgID, p.ID)
	if err != nil {
		return w, err
	}
	standard := s.holder(row, roles...).standard
	w.Characters = s.TokenSize(standard.form, standard.size())
	return w, nil
}

func (s Sizer) holder(row *store.Credentials, roles ...store.HeldRole) *holder {
	return newHolder(row, roles, s.catalog, s.Issuer, s.Now)
}
