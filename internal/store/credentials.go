package store

import (
	"context"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"
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

// Credentials is all that authenticating a client needs, and which roles it
// holds, read at one moment. What the roles give is kept by organization, see
// [Q.RolesOf].
type Credentials struct {
	ClientID, Kind, OrgID, Name string
	Operator                    bool   // the organization is the operator's own
	MemberID                    string // of an application key
	Disabled                    bool
	Suspended                   bool // the member of an application key
	TTLSeconds                  int64
	TokenBinding                string // [svcauth.TokenBindingNone] …
	DefaultResource             string // the audience of the API that a token is for by default; empty: all
	Claims                      string // the client's own, a JSON object; empty: none
	Epoch, Policy               int64
	SharedSecrets               string // the organization's setting: [svcauth.SharedSecretsAllowed] …
	ApplicationKeys             string // the organization's setting
	Secrets                     []StoredCredential
	Keys                        []StoredCredential
	Federated                   []StoredCredential
	Certificates                []StoredCredential
	Grants                      []HeldGrant // of the principal, expired or not
	removed                     bool        // the organization is being deleted

	// Used is when each credential was last used, as it was noted. It changes
	// nothing of what the client is or may do.
	Used []CredentialUse
}

// CredentialUse is when a credential was last used.
type CredentialUse struct {
	CredentialID string
	MS           int64 // 0: never
}

// Same reports whether nothing has changed but when credentials were used.
func (c *Credentials) Same(other *Credentials) bool {
	a, b := *c, *other
	a.Used, b.Used = nil, nil
	return reflect.DeepEqual(a, b)
}

// HeldGrant is a grant of a role that a principal holds.
type HeldGrant struct {
	RoleID      string
	ExpiresAtMS int64 // 0: never
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

	RequiresBinding bool // it is given by bound tokens only
}

// Same reports whether two are the same in all respects.
func (r HeldRole) Same(other HeldRole) bool {
	if r.ID != other.ID || r.Name != other.Name || r.Kind != other.Kind || r.ExpiresAtMS != other.ExpiresAtMS ||
		r.RequiresBinding != other.RequiresBinding || len(r.Privileges) != len(other.Privileges) {
		return false
	}
	return len(r.Privileges) == 0 || &r.Privileges[0] == &other.Privileges[0] || // read once
		slices.Equal(r.Privileges, other.Privileges)
}

// credentialsQuery reads some clients, and for an id that nobody has the client
// before it (for one before the first, that), so that the database has the same
// to do, and how long it takes tells a stranger nothing. The caller sees by the
// row's id that it is not the client meant.
func (q *Q) credentialsQuery(ids []string) (text string, args []any) {
	// PostgreSQL looks a client up once for this, and twice for the other. An
	// array costs it less than parameters.
	list, args := `UNNEST(CAST($1 AS TEXT[])) AS v (column1)`, []any{ids}
	client := `JOIN LATERAL (SELECT k.* FROM client k
      WHERE k.id <= GREATEST(v.column1, (SELECT MIN(id) FROM client)) ORDER BY k.id DESC LIMIT 1) c ON TRUE`
	if !q.onPostgres() {
		list, args = valuesListed(ids)
		client = `JOIN client c ON c.id = COALESCE((SELECT k.id FROM client k WHERE k.id <= v.column1 ORDER BY k.id DESC LIMIT 1),
      (SELECT k.id FROM client k WHERE k.id > v.column1 AND v.column1 <> '' ORDER BY k.id LIMIT 1))`
	}
	return `
SELECT v.column1, c.id, c.kind, c.org_id, COALESCE(c.member_id, ''), c.name, c.disabled, COALESCE(m.suspended, FALSE),
       o.operator, o.removed, c.ttl_s, c.token_binding, c.default_resource,
       c.claims, c.epoch, o.pol, o.shared_secrets, o.application_keys,
       COALESCE((SELECT STRING_AGG(g.role_id || ' ' || COALESCE(g.expires_at_ms, 0), ',') FROM role_grant g
           WHERE g.principal_id = COALESCE(c.member_id, c.id) AND g.org_id = c.org_id), ''),
       COALESCE(p.id, ''), COALESCE(p.kind, ''), COALESCE(p.material, ''), COALESCE(p.expires_at_ms, 0),
       COALESCE(p.last_used_ms, 0)
  FROM ` + list + `
` + client + `
  JOIN organization o ON o.id = c.org_id
  LEFT JOIN member m ON m.id = c.member_id
  LEFT JOIN credential p ON p.client_id = c.id`, args
}

// valuesListed is a list of ids for SQLite: as [in] of a length of which there
// are few, with the empty id, which reads nothing, for what is left over.
func valuesListed(ids []string) (list string, args []any) {
	args = make([]any, 1<<bits.Len(uint(len(ids)-1)))
	for i := range args {
		args[i] = ""
		if i < len(ids) {
			args[i] = ids[i]
		}
	}
	return `(VALUES (` + strings.ReplaceAll(placeholders(1, len(args)), ",", "),(") + `)) AS v`, args
}

// CredentialsOfClients reads some clients alone, each as it was at one moment,
// by one indexed query that does the same work for an id that nobody has. It
// leaves out those that there are not.
func (q *Q) CredentialsOfClients(ctx context.Context, ids []string) (map[string]*Credentials, error) {
	text, args := q.credentialsQuery(ids)
	found := make(map[string]*Credentials, len(ids))
	_, err := many(ctx, q, func(r row) (struct{}, error) {
		return struct{}{}, scanCredentials(r, found)
	}, text, args...)
	for id, c := range found {
		if c.ClientID != id || c.removed {
			delete(found, id)
			continue
		}
		c.order()
		found[id] = c.packed()
	}
	return found, err
}

// Credentials is [Q.CredentialsOfClients] for one: [ErrNotFound] if there is
// none.
func (q *Q) Credentials(ctx context.Context, clientID string) (*Credentials, error) {
	found, err := q.CredentialsOfClients(ctx, []string{clientID})
	if err == nil && found[clientID] == nil {
		err = nameQuery(ErrNotFound, []any{clientID})
	}
	return found[clientID], err
}

// scanCredentials reads one of a client's credentials, and the client unless it
// was found before. It leaves out those of a kind that this program does not
// know.
func scanCredentials(r row, found map[string]*Credentials) error {
	var c Credentials
	var p StoredCredential
	var asked, grants, kind string
	var used int64
	if err := r.Scan(
		&asked, &c.ClientID, &c.Kind, &c.OrgID, &c.MemberID, &c.Name, &c.Disabled, &c.Suspended, &c.Operator,
		&c.removed, &c.TTLSeconds, &c.TokenBinding, &c.DefaultResource, &c.Claims, &c.Epoch, &c.Policy,
		&c.SharedSecrets, &c.ApplicationKeys, &grants,
		&p.ID, &kind, &p.Material, &p.ExpiresAtMS, &used,
	); err != nil {
		return err
	}
	if found[asked] == nil {
		var err error
		if c.Grants, err = heldGrants(grants); err != nil {
			return err
		}
		c.shareTexts()
		found[asked] = &c
	}
	found[asked].add(kind, p)
	if p.ID != "" {
		found[asked].Used = append(found[asked].Used, CredentialUse{p.ID, used})
	}
	return nil
}

func (c *Credentials) add(kind string, p StoredCredential) {
	switch kind {
	case CredentialSecret:
		c.Secrets = append(c.Secrets, p)
	case CredentialKey:
		c.Keys = append(c.Keys, p)
	case CredentialFederated:
		c.Federated = append(c.Federated, p)
	case CredentialCertificate:
		c.Certificates = append(c.Certificates, p)
	}
}

// order puts credentials and grants in an order that no plan of the database
// changes, for [Credentials.Same].
func (c *Credentials) order() {
	slices.SortFunc(c.Grants, func(a, b HeldGrant) int { return strings.Compare(a.RoleID, b.RoleID) })
	for _, kind := range [][]StoredCredential{c.Secrets, c.Keys, c.Federated, c.Certificates} {
		slices.SortFunc(kind, func(a, b StoredCredential) int { return strings.Compare(a.ID, b.ID) })
	}
	slices.SortFunc(c.Used, func(a, b CredentialUse) int { return strings.Compare(a.CredentialID, b.CredentialID) })
}

// heldGrants reads the grants as the query joins them: "role expiry,role
// expiry".
func heldGrants(text string) (all []HeldGrant, err error) {
	if text == "" {
		return nil, nil
	}
	all = make([]HeldGrant, 0, strings.Count(text, ",")+1)
	for one := range strings.SplitSeq(text, ",") {
		role, expires, _ := strings.Cut(one, " ")
		ms, err := strconv.ParseInt(expires, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the expiry of a grant: %w", err)
		}
		all = append(all, HeldGrant{role, ms})
	}
	return all, nil
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
		err := r.Scan(&h.ID, &h.Name, &h.Kind, &h.RequiresBinding, &h.ExpiresAtMS, &privilege)
		if err == nil {
			held = addHeld(held, roles, h, privilege)
		}
		return struct{}{}, err
	}, `SELECT r.id, r.name, r.kind, r.requires_binding, COALESCE(g.expires_at_ms, 0), COALESCE(p.privilege, '')
		FROM role_grant g JOIN role r ON r.id = g.role_id LEFT JOIN role_privilege p ON p.role_id = r.id
		WHERE g.principal_id = $1 AND g.org_id = $2
		UNION ALL
		SELECT r.id, r.name, r.kind, r.requires_binding, 0, COALESCE(p.privilege, '')
		FROM role r LEFT JOIN role_privilege p ON p.role_id = r.id
		WHERE r.org_id = $2 AND r.name_key = 'public' AND r.kind = 'public'`,
		principalID, orgID)
	return held, err
}

// OrganizationRoles reads some roles of an organization, and Public, with what
// they give: Administrator what the catalogue has. Those that are not there are
// left out. policy is what the organization's pol was at that moment.
func (q *Q) OrganizationRoles(ctx context.Context, orgID string, ids []string) (
	policy int64, held []HeldRole, err error,
) {
	roles := map[string]int{}
	list, args := in([]any{orgID}, append(slices.Clone(ids), "")) // none has the empty id
	all, err := many(ctx, q, func(r row) (pol int64, err error) {
		var h HeldRole
		var privilege string
		err = r.Scan(&pol, &h.ID, &h.Name, &h.Kind, &h.RequiresBinding, &privilege)
		if err == nil && h.ID != "" {
			held = addHeld(held, roles, h, privilege)
		}
		return pol, err
	}, `SELECT o.pol, '', '', '', FALSE, '' FROM organization o WHERE o.id = $1
		UNION ALL
		SELECT 0, r.id, r.name, r.kind, r.requires_binding, COALESCE(p.privilege, '')
		FROM role r LEFT JOIN role_privilege p ON p.role_id = r.id
		WHERE r.org_id = $1 AND r.name_key = 'public' AND r.kind = 'public'
		UNION ALL
		SELECT 0, r.id, r.name, r.kind, r.requires_binding, COALESCE(p.privilege, '')
		FROM role r LEFT JOIN role_privilege p ON p.role_id = r.id
		WHERE r.org_id = $1 AND r.kind = 'custom' AND r.id IN (`+list+`)
		UNION ALL
		SELECT 0, r.id, r.name, r.kind, r.requires_binding, COALESCE(p.name, '')
		FROM role r LEFT JOIN privilege p ON TRUE
		WHERE r.org_id = $1 AND r.kind = 'administrator' AND r.id IN (`+list+`)`, args...)
	for _, pol := range all {
		policy = max(policy, pol)
	}
	if err == nil && len(all) == 0 {
		err = nameQuery(ErrNotFound, args)
	}
	return policy, held, err
}
