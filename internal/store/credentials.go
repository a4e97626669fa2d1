package store

import (
	"context"
	"time"
)

// The kinds of clients and of roles, as they stand in their rows.
const (
	ClientServiceAccount = "sa"
	ClientApplicationKey = "ak"

	RoleCustom        = "custom"
	RoleAdministrator = "administrator"
	RolePublic        = "public"
)

// The kinds of credentials, as they stand in their rows. An application key has
// a secret, too.
const (
	CredentialSecret      = "secret"
	CredentialKey         = "key"
	CredentialFederated   = "federated"
	CredentialCertificate = "certificate"
)

// Credentials is all that authenticating a client needs, read at one moment,
// and with Roles all that its token needs.
type Credentials struct {
	ClientID, Kind, OrgID, Name string
	Operator                    bool   // the organization is the operator's own
	MemberID                    string // of an application key
	Disabled                    bool
	Suspended                   bool // the member of an application key
	TTLSeconds                  int64
	Epoch, Policy               int64
	SharedSecrets               string // the organization's setting: [svcauth.SharedSecretsAllowed] …
	ApplicationKeys             string // the organization's setting
	Secrets                     []StoredCredential
	Keys                        []StoredCredential
	Federated                   []StoredCredential
	Certificates                []StoredCredential
	// Roles are the granted ones, expired or not, and Public. It is nil unless
	// they were read, see [Q.HeldRoles].
	Roles []HeldRole
}

// Principal is who holds the roles: the client itself, or the member of an
// application key.
func (c *Credentials) Principal() string {
	if c.MemberID != "" {
		return c.MemberID
	}
	return c.ClientID
}

// StoredCredential is what a proof is checked against.
type StoredCredential struct {
	ID, Material string // see [CredentialRow]
	ExpiresAtMS  int64  // 0: never
}

// ExpiresAt returns when the credential expires, or the zero time for one that
// never does.
func (s StoredCredential) ExpiresAt() time.Time {
	if s.ExpiresAtMS == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.ExpiresAtMS)
}

// HeldRole is a role that a principal holds.
type HeldRole struct {
	ID, Name, Kind string
	ExpiresAtMS    int64 // of the grant; 0: never
	Privileges     []string
}

// credentialsQuery reads the client before it if there is none with the id, so
// that the database has the same to do, and how long it takes tells a stranger
// nothing. The caller sees by the row's id that it is not the client meant.
const credentialsQuery = `
SELECT c.id, c.kind, c.org_id, COALESCE(c.member_id, ''), c.name, c.disabled, COALESCE(m.suspended, FALSE),
       o.operator, o.removed, c.ttl_s, c.epoch, o.pol, o.shared_secrets, o.application_keys,
       COALESCE(p.id, ''), COALESCE(p.kind, ''), COALESCE(p.material, ''), COALESCE(p.expires_at_ms, 0)
  FROM client c
  JOIN organization o ON o.id = c.org_id
  LEFT JOIN member m ON m.id = c.member_id
  LEFT JOIN credential p ON p.client_id = c.id
  WHERE c.id = COALESCE((SELECT id FROM client WHERE id <= $1 ORDER BY id DESC LIMIT 1), (SELECT MIN(id) FROM client))`

// Credentials reads one client without its roles, by one indexed query that
// does the same work for an id that nobody has: [ErrNotFound] then.
func (q *Q) Credentials(ctx context.Context, clientID string) (*Credentials, error) {
	c := new(Credentials)
	removed := false
	_, err := many(ctx, q, func(r row) (struct{}, error) {
		return struct{}{}, c.scan(r, &removed)
	}, credentialsQuery, clientID)
	if err != nil {
		return nil, err
	}
	if c.ClientID != clientID || removed {
		return nil, ErrNotFound
	}
	return c, nil
}

// scan reads the client and one of its credentials. It leaves out those of a
// kind that this program does not know.
func (c *Credentials) scan(r row, removed *bool) error {
	var s StoredCredential
	var kind string
	if err := r.Scan(
		&c.ClientID, &c.Kind, &c.OrgID, &c.MemberID, &c.Name, &c.Disabled, &c.Suspended, &c.Operator, removed,
		&c.TTLSeconds, &c.Epoch, &c.Policy, &c.SharedSecrets, &c.ApplicationKeys,
		&s.ID, &kind, &s.Material, &s.ExpiresAtMS,
	); err != nil {
		return err
	}
	switch kind {
	case CredentialSecret:
		c.Secrets = append(c.Secrets, s)
	case CredentialKey:
		c.Keys = append(c.Keys, s)
	case CredentialFederated:
		c.Federated = append(c.Federated, s)
	case CredentialCertificate:
		c.Certificates = append(c.Certificates, s)
	}
	return nil
}

// addHeld adds a privilege to a role, and the role too if it is new. A role
// that is held twice (Public, also granted) counts as held for ever.
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

// HeldRoles reads the roles of a principal of the organization, and Public. The
// principal is a member's or a service account's id.
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
		FROM role r LEFT JOIN role_privilege p ON p.role_id = r.id
		WHERE r.org_id = $2 AND r.name_key = 'public' AND r.kind = 'public'`,
		principalID, orgID)
	return held, err
}
