package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Torn says which principals [Q.TornPrincipals] looks at: those of one
// organization, or with none of all; those that hold a role, or with none all.
// Forms has for each privilege the number of its form, and is not empty.
type Torn struct {
	OrgID, RoleID string
	Forms         map[string]int
	Now           time.Time
	Limit         int
}

// TornPrincipals reads the principals whose roles, with Public, give privileges
// of different forms, which no token has together, and that have no default
// resource. Administrator gives all. Privileges without a form don't count. It
// leaves out those who hold no role beside Public.
func (q *Q) TornPrincipals(ctx context.Context, t Torn) ([]HeavyPrincipal, error) {
	args := []any{t.Now.UnixMilli(), t.Limit}
	var forms []string
	for _, name := range slices.Sorted(maps.Keys(t.Forms)) {
		args = append(args, name)
		forms = append(forms, fmt.Sprintf("($%d,%d)", len(args), t.Forms[name]))
	}
	where := ""
	if t.OrgID != "" {
		args = append(args, t.OrgID)
		where += fmt.Sprintf(` AND g.org_id = $%d`, len(args))
	}
	if t.RoleID != "" {
		args = append(args, t.RoleID)
		where += ` AND ` + holds(fmt.Sprintf("$%d", len(args)))
	}
	return many(ctx, q, func(r row) (p HeavyPrincipal, err error) { return p, r.Scan(&p.OrgID, &p.ID) },
		`WITH form AS (SELECT column1 AS privilege, column2 AS n FROM (VALUES `+strings.Join(forms, ",")+`) AS v),
		given AS (SELECT p.role_id, MIN(f.n) AS low, MAX(f.n) AS high FROM role_privilege p
				JOIN form f ON f.privilege = p.privilege GROUP BY p.role_id
			UNION ALL SELECT r.id, MIN(f.n), MAX(f.n) FROM role r, form f WHERE r.kind = 'administrator' GROUP BY r.id)
		SELECT g.org_id, g.principal_id FROM role_grant g
			LEFT JOIN given ON given.role_id = g.role_id
			LEFT JOIN role public ON public.org_id = g.org_id AND public.kind = 'public'
			LEFT JOIN given everybody ON everybody.role_id = public.id
			LEFT JOIN client c ON c.id = g.principal_id
		WHERE (g.expires_at_ms IS NULL OR g.expires_at_ms > $1) AND COALESCE(c.default_resource, '') = ''`+where+`
		GROUP BY g.org_id, g.principal_id
		HAVING MIN(given.low) <> MAX(given.high) OR MIN(everybody.low) <> MAX(everybody.high)
			OR MIN(given.low) <> MIN(everybody.low)
		ORDER BY g.org_id, g.principal_id LIMIT $2`, args...)
}

// LostDefaults reads the service accounts whose default resource is not among
// the known APIs.
func (q *Q) LostDefaults(ctx context.Context, known []string, limit int) ([]HeavyPrincipal, error) {
	args, text := []any{limit}, "''"
	if len(known) > 0 {
		var more string
		more, args = in(args, known)
		text += "," + more
	}
	return many(ctx, q, func(r row) (p HeavyPrincipal, err error) { return p, r.Scan(&p.OrgID, &p.ID) },
		`SELECT org_id, id FROM client WHERE default_resource NOT IN (`+text+`) ORDER BY id LIMIT $1`, args...)
}
