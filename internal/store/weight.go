package store

import "context"

// Heavy asks for principals whose roles may fill a token beyond a bound.
type Heavy struct {
	OrgID  string // empty for all organizations
	RoleID string // only its holders; empty for the holders of any role
	All    int    // the weight of all privileges, which Administrator gives
	Bound  int
	Limit  int
}

// HeavyPrincipal is one that [Q.HeavyPrincipals] finds.
type HeavyPrincipal struct{ OrgID, ID string }

// roleWeight estimates from above what a role adds to the text of a token: its
// name, whose characters have up to four bytes, and its privileges. $1 is the
// weight of all privileges.
const roleWeight = `SELECT r.id, r.org_id, r.kind, 4 * LENGTH(r.name) + 3 +
	CASE WHEN r.kind = 'administrator' THEN CAST($1 AS BIGINT) ELSE COALESCE(SUM(LENGTH(p.privilege) + 1), 0) END AS n
	FROM role r LEFT JOIN role_privilege p ON p.role_id = r.id`

// HeavyPrincipals reads the principals whose roles together, with Public, are
// heavier than the bound, the heaviest first. A privilege that two roles give
// counts twice, so the caller looks closer at those that it finds. It misses
// none.
func (q *Q) HeavyPrincipals(ctx context.Context, h Heavy) ([]HeavyPrincipal, error) {
	args := []any{h.All, h.Bound, h.Limit}
	weights, holders := roleWeight, ""
	if h.OrgID != "" {
		args = append(args, h.OrgID)
		weights += ` WHERE r.org_id = $4`
	}
	if h.RoleID != "" {
		args = append(args, h.RoleID)
		holders = ` WHERE ` + holds("$5")
	}
	return many(ctx, q, func(r row) (p HeavyPrincipal, err error) { return p, r.Scan(&p.OrgID, &p.ID) },
		`WITH weight AS (`+weights+` GROUP BY r.id, r.org_id, r.kind, r.name)
		SELECT g.org_id, g.principal_id FROM role_grant g JOIN weight w ON w.id = g.role_id
			LEFT JOIN weight public ON public.org_id = g.org_id AND public.kind = 'public'`+holders+`
		GROUP BY g.org_id, g.principal_id HAVING SUM(w.n) + COALESCE(MAX(public.n), 0) > $2
		ORDER BY SUM(w.n) DESC, g.principal_id LIMIT $3`, args...)
}

// holds is the condition that the principal of a grant g holds a role, which is
// an argument. All hold Public.
func holds(role string) string {
	return `(g.principal_id IN (SELECT principal_id FROM role_grant WHERE role_id = ` + role + `)
		OR 'public' = (SELECT kind FROM role WHERE id = ` + role + `))`
}

// HeaviestNames returns what the names of the given number of an organization's
// roles add to a token at most.
func (q *Q) HeaviestNames(ctx context.Context, orgID string, roles int) (int64, error) {
	return count(ctx, q, `SELECT COALESCE(SUM(n), 0) FROM
		(SELECT 4 * LENGTH(name) + 3 AS n FROM role WHERE org_id = $1 ORDER BY 1 DESC LIMIT $2) AS names`, orgID, roles)
}
