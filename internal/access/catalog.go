package access

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ApplyCatalog replaces the database's catalogue by the given one, with this
// server's own API and privileges. It reports whether that changed anything. If
// a role holds a privilege that is no longer there, the catalogue is refused.
// With allowRemoval such privileges are taken off the roles instead, and the
// tokens that carry them die. Nodes that start at once agree.
func (s *Service) ApplyCatalog(
	ctx context.Context,
	apis []svcauth.API,
	privileges []svcauth.Privilege,
	allowRemoval bool,
) (changed bool, err error) {
	apis = append([]svcauth.API{
		{Audience: s.cfg.Issuer, Name: "svcauth", Description: "This authorization server itself"},
	}, apis...)
	privileges = append(builtin.Privileges(s.cfg.Issuer), privileges...)
	err = s.cfg.Store.Write(ctx, func(q *store.Q) error {
		hadAPIs, err := q.APIs(ctx)
		if err != nil {
			return err
		}
		had, err := q.Privileges(ctx)
		if err != nil {
			return err
		}
		if reflect.DeepEqual(hadAPIs, apis) && slices.Equal(had, privileges) {
			return nil
		}
		t := s.tx(q, System(""))
		removed := without(names(had), names(privileges))
		var losses losses
		for _, p := range removed {
			if err := s.dropPrivilege(ctx, t, p, allowRemoval, &losses); err != nil {
				return err
			}
		}
		if err := losses.audit(ctx, t); err != nil {
			return err
		}
		if err := q.ReplaceCatalog(ctx, apis, privileges); err != nil {
			return err
		}
		changed = true
		news := catalogNews{Added: without(names(privileges), names(had)), Removed: removed}
		if err := q.AuditSystem(ctx, t.Now, "catalog.update", svcauth.AuditTarget{
			Kind: "catalog",
		}, nil, news); err != nil {
			return err
		}
		return t.touch(ctx, "", store.ChangeCatalog, "")
	})
	return changed, Problem(err, svcauth.AuditTarget{Kind: "catalog"})
}

// catalogNews is what the operator's log says of a changed catalogue.
type catalogNews struct {
	Added   []string `json:"privileges_added,omitempty"`
	Removed []string `json:"privileges_removed,omitempty"`
}

func names(privileges []svcauth.Privilege) []string {
	all := make([]string, len(privileges))
	for i, p := range privileges {
		all[i] = p.Name
	}
	return all
}

// losses is what roles lose because the catalogue no longer has it.
type losses struct {
	roles []store.RoleRow
	of    map[string][]string // by role
}

func (l *losses) add(r store.RoleRow, privilege string) {
	if l.of == nil {
		l.of = map[string][]string{}
	}
	if l.of[r.ID] == nil {
		l.roles = append(l.roles, r)
	}
	l.of[r.ID] = append(l.of[r.ID], privilege)
}

// audit tells each organization which of its roles lost what.
func (l *losses) audit(ctx context.Context, t *Tx) error {
	for _, r := range l.roles {
		t.Actor = System(r.OrgID)
		t.Target = svcauth.AuditTarget{ID: r.ID, Kind: "role", Name: r.Name}
		t.Before = map[string][]string{"privileges": l.of[r.ID]}
		if err := t.Audit(ctx, "role.privileges_removed"); err != nil {
			return err
		}
	}
	return nil
}

// CheckCatalog returns what [Service.ApplyCatalog] would refuse of a catalogue,
// and changes nothing.
func CheckCatalog(
	ctx context.Context,
	q *store.Q,
	issuer string,
	privileges []svcauth.Privilege,
	allowRemoval bool,
) error {
	had, err := q.Privileges(ctx)
	if err != nil {
		return err
	}
	for _, p := range without(names(had), names(append(builtin.Privileges(issuer), privileges...))) {
		if _, err := holdersOf(ctx, q, p, allowRemoval); err != nil {
			return err
		}
	}
	return nil
}

// holdersOf returns the roles that lose a privilege with the catalogue's, or
// refuses to take it off any.
func holdersOf(ctx context.Context, q *store.Q, privilege string, allowRemoval bool) ([]store.RoleRow, error) {
	roles, err := q.RolesWithPrivilege(ctx, privilege)
	if err != nil || len(roles) == 0 || allowRemoval {
		return roles, err
	}
	var names []string
	for _, r := range roles[:min(10, len(roles))] {
		names = append(names, r.Name)
	}
	return nil, svcauth.NewProblem(svcauth.CodeConflict, "The catalogue no longer has the privilege %s, but %d "+
		"roles hold it (%s). Put it back, take it off these roles, or set catalog_allow_removal.",
		privilege, len(roles), strings.Join(names, ", "))
}

func (s *Service) dropPrivilege(ctx context.Context, t *Tx, privilege string, allowRemoval bool, losses *losses) error {
	roles, err := holdersOf(ctx, t.Q, privilege, allowRemoval)
	if err != nil {
		return err
	}
	for _, r := range roles {
		if err := t.RemoveRolePrivilege(ctx, r.ID, privilege); err != nil {
			return err
		}
		if err := t.revokeRole(ctx, r.OrgID, r.Name, privilege); err != nil {
			return err
		}
		if err := t.touch(ctx, r.OrgID, store.ChangeRole, r.ID); err != nil {
			return err
		}
		losses.add(r, privilege)
	}
	// Administrator has what the catalogue has, without a list of its own.
	administrators, err := t.AdministratorRoles(ctx)
	if err != nil {
		return err
	}
	for _, r := range administrators {
		if err := t.revokeRole(ctx, r.OrgID, r.Name, privilege); err != nil {
			return err
		}
		losses.add(r, privilege)
	}
	return nil
}

// APIs lists the catalogue's, in its order. Every caller may.
func (s *Service) APIs(ctx context.Context, o svcauth.ListOptions) (none svcauth.List[svcauth.API], err error) {
	if _, err := Caller(ctx, ""); err != nil {
		return none, err
	}
	all, err := s.read().APIs(ctx)
	if err != nil {
		return none, Problem(err, svcauth.AuditTarget{Kind: "catalog"})
	}
	return paging.After(all, o, func(a svcauth.API) string { return a.Audience })
}

// Privileges lists those that the caller's organization can have, in the
// catalogue's order. Every caller may.
func (s *Service) Privileges(
	ctx context.Context,
	o svcauth.ListOptions,
) (none svcauth.List[svcauth.Privilege], err error) {
	a, err := Caller(ctx, "")
	if err != nil {
		return none, err
	}
	all, err := s.read().Privileges(ctx)
	if err != nil {
		return none, Problem(err, svcauth.AuditTarget{Kind: "catalog"})
	}
	all = slices.DeleteFunc(all, func(p svcauth.Privilege) bool { return builtin.OperatorOnly(p.Name) && !a.Operator })
	return paging.After(all, o, func(p svcauth.Privilege) string { return p.Name })
}
