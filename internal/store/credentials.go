package store

import (
	"context"
	"database/sql"
)

// The kinds of clients and of roles, as they stand in their rows.
const (
	ClientServiceAccount = "sa"
	ClientApplicationKey = "ak"

	RoleCustom        = "custom"
	RoleAdministrator = "administrator"
	RolePublic        = "public"
)

// Credentials is all that authenticating a client and issuing its token needs, read at one moment. For an application key the roles are its
// member's.
type Credentials struct {
	ClientID, Kind, OrgID, Name string
	Operator                    bool   // the organization is the operator's own
	MemberID                    string // of an application key
	Disabled                    bool
	Suspended                   bool // the member of an application key
	TTLSeconds                  int64
	Epoch, Policy               int64
	Secrets                     []SecretHash
	Roles                       []HeldRole // the granted ones, expired or not, and Public
}

// SecretHash is what is stored of a secret.
type SecretHash struct {
	ID, Scheme  string
	Hash        []byte
	ExpiresAtMS int64 // 0: never
}

// HeldRole is a role that a principal holds.
type HeldRole struct {
	ID, Name, Kind string
	ExpiresAtMS    int64 // of the grant; 0: never
	Privileges     []string
}

const credentialsQuery = `
WITH me AS (
  SELECT c.*, o.pol AS pol, o.operator AS operator, COALESCE(c.member_id, c.id) AS principal, COALESCE(m.suspended, FALSE) AS suspended
  FROM client c JOIN organization o ON o.id = c.org_id AND NOT o.removed LEFT JOIN member m ON m.id = c.member_id WHERE c.id = $1)
SELECT 'secret' AS part, s.id AS id, s.scheme AS kind, '' AS org, '' AS member, '' AS name, COALESCE(s.expires_at_ms, 0) AS expires,
       0 AS flags, 0 AS ttl, 0 AS epoch, 0 AS pol, s.hash AS hash
  FROM secret s WHERE s.client_id = $1
UNION ALL
SELECT 'client', id, kind, org_id, COALESCE(member_id, ''), name, 0,
       CASE WHEN disabled THEN 1 ELSE 0 END + CASE WHEN suspended THEN 2 ELSE 0 END + CASE WHEN operator THEN 4 ELSE 0 END,
       ttl_s, epoch, pol, NULL
  FROM me
UNION ALL
SELECT 'role', r.id, r.kind, '', COALESCE(p.privilege, ''), r.name, COALESCE(g.expires_at_ms, 0), 0, 0, 0, 0, NULL
  FROM me JOIN role_grant g ON g.principal_id = me.principal JOIN role r ON r.id = g.role_id LEFT JOIN role_privilege p ON p.role_id = r.id
UNION ALL
SELECT 'role', r.id, r.kind, '', COALESCE(p.privilege, ''), r.name, 0, 0, 0, 0, 0, NULL
  FROM me JOIN role r ON r.org_id = me.org_id AND r.name_key = 'public' AND r.kind = 'public' LEFT JOIN role_privilege p ON p.role_id = r.id`

// Credentials reads one client, in one query. [ErrNotFound] where there is none.
func (q *Q) Credentials(ctx context.Context, clientID string) (*Credentials, error) {
	c := new(Credentials)
	roles := map[string]int{}
	_, err := many(ctx, q, func(r row) (struct{}, error) { return struct{}{}, c.scan(r, roles) }, credentialsQuery, clientID)
	if err != nil {
		return nil, err
	}
	if c.ClientID == "" {
		return nil, ErrNotFound
	}
	return c, nil
}

func (c *Credentials) scan(r row, roles map[string]int) error {
	var part, id, kind, org, member, name string
	var expires, flags, ttl, epoch, pol int64
	var hash sql.RawBytes
	if err := r.Scan(&part, &id, &kind, &org, &member, &name, &expires, &flags, &ttl, &epoch, &pol, &hash); err != nil {
		return err
	}
	switch part {
	case "secret":
		c.Secrets = append(c.Secrets, SecretHash{ID: id, Scheme: kind, Hash: append([]byte(nil), hash...), ExpiresAtMS: expires})
	case "client":
		c.ClientID, c.Kind, c.OrgID, c.MemberID, c.Name = id, kind, org, member, name
		c.Disabled, c.Suspended, c.Operator = flags&1 != 0, flags&2 != 0, flags&4 != 0
		c.TTLSeconds, c.Epoch, c.Policy = ttl, epoch, pol
	case "role":
		c.Roles = addHeld(c.Roles, roles, HeldRole{ID: id, Name: name, Kind: kind, ExpiresAtMS: expires}, member)
	}
	return nil
}

// addHeld adds a privilege to a role, and the role where it is new. A role that is held twice (Public, also granted) counts as held for ever.
func addHeld(held []HeldRole, at map[string]int, r HeldRole, privilege string) []HeldRole {
	i, known := at[r.ID]
	if !known {
		i, at[r.ID] = len(held), len(held)
		held = append(held, r)
	} else if r.ExpiresAtMS == 0 {
		held[i].ExpiresAtMS = 0
	}
	if privilege != "" {
		held[i].Privileges = append(held[i].Privileges, privilege)
	}
	return held
}

// HeldRoles reads the roles of a principal of the organization (a member's or a service account's id), and Public.
func (q *Q) HeldRoles(ctx context.Context, orgID, principalID string) ([]HeldRole, error) {
	var held []HeldRole
	roles := map[string]int{}
	_, err := many(ctx, q, func(r row) (struct{}, error) {
		var h HeldRole
		var privilege string
		err := r.Scan(&h.ID, &h.Name, &h.Kind, &h.ExpiresAtMS, &privilege)
		if err == nil {
			held = addHeld(held, roles, h, privilege)
		}
		return struct{}{}, err
	}, `SELECT r.id, r.name, r.kind, COALESCE(g.expires_at_ms, 0), COALESCE(p.privilege, '')
		FROM role_grant g JOIN role r ON r.id = g.role_id LEFT JOIN role_privilege p ON p.role_id = r.id
		WHERE g.principal_id = $1 AND g.org_id = $2
		UNION ALL
		SELECT r.id, r.name, r.kind, 0, COALESCE(p.privilege, '')
		FROM role r LEFT JOIN role_privilege p ON p.role_id = r.id WHERE r.org_id = $2 AND r.name_key = 'public' AND r.kind = 'public'`,
		principalID, orgID)
	return held, err
}
