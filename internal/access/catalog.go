package access

import (
	"context"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ApplyCatalog makes the database's catalogue the given one, with this server's own API and privileges, and says whether that changed
// anything. A privilege that a role holds and that is no longer there is refused, unless allowRemoval: then it is taken off those roles, and the tokens that
// carry it die. Nodes that start at once agree.
func (s *Service) ApplyCatalog(ctx context.Context, apis []svcauth.API, privileges []svcauth.Privilege, allowRemoval bool) (changed bool, err error) {
	apis = append([]svcauth.API{{Audience: s.cfg.Issuer, Name: "svcauth", Description: "This authorization server itself"}}, apis...)
	privileges = append(svcauth.BuiltinPrivileges(s.cfg.Issuer), privileges...)
	err = s.cfg.Store.Write(ctx, func(q *store.Q) error {
		hadAPIs, err := q.APIs(ctx)
		if err != nil {
			return err
		}
		had, err := q.Privileges(ctx)
		if err != nil {
			return err
		}
		if slices.Equal(hadAPIs, apis) && slices.Equal(had, privileges) {
			return nil
		}
		t := &tx{Q: q, s: s, now: s.now(), actor: System("")}
		for _, p := range had {
			if slices.ContainsFunc(privileges, func(n svcauth.Privilege) bool { return n.Name == p.Name }) {
				continue
			}
			if err := s.dropPrivilege(ctx, t, p.Name, allowRemoval); err != nil {
				return err
			}
		}
		if err := q.ReplaceCatalog(ctx, apis, privileges); err != nil {
			return err
		}
		changed = true
		return t.touch(ctx, "", store.ChangeCatalog, "")
	})
	if err == nil && changed {
		s.cfg.Committed(ctx)
	}
	return changed, s.problem(err, svcauth.AuditTarget{Kind: "catalog"})
}

func (s *Service) dropPrivilege(ctx context.Context, t *tx, privilege string, allowRemoval bool) error {
	roles, err := t.RolesWithPrivilege(ctx, privilege)
	if err != nil || len(roles) == 0 {
		return err
	}
	if !allowRemoval {
		var names []string
		for _, r := range roles[:min(10, len(roles))] {
			names = append(names, r.Name)
		}
		return svcauth.NewProblem(svcauth.CodeConflict, "The catalogue no longer has the privilege %s, but %d roles hold it (%s). Put it back, take it off these roles, or set catalog_allow_removal.",
			privilege, len(roles), strings.Join(names, ", "))
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
	}
	return nil
}
