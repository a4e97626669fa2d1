package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// MemberRow is a member.
type MemberRow struct {
	ID, OrgID, Email, FirstName, LastName string
	PasswordHash                          string // empty if it can't sign in with a password
	CreatedAt                             time.Time
	CreatedByID, CreatedByName            string
	ActivatedAt                           *time.Time // nil if it is only invited

	// InsertMember ignores these and begins with false, 0, never, none and 1.
	Suspended    bool
	SessionEpoch int64
	LastSignInAt *time.Time
	SSOIssuer    string // of the provider by which it signed in last; empty if it never did
	Version      int64
}

// InsertMember adds a member. It returns [ErrConflict] if the organization has
// a member with this address.
func (q *Q) InsertMember(ctx context.Context, m MemberRow) error {
	_, err := q.exec(ctx, `INSERT INTO member (id, org_id, email, email_key, first_name, last_name,
		suspended, password_hash, session_epoch,
		created_at_ms, created_by_id, created_by_name, activated_at_ms, version)
		VALUES ($1, $2, $3, $4, $5, $6, FALSE, $7, 0, $8, $9, $10, $11, 1)`,
		m.ID, m.OrgID, m.Email, svcauth.EmailKey(m.Email), m.FirstName, m.LastName, m.PasswordHash,
		m.CreatedAt.UnixMilli(), m.CreatedByID, m.CreatedByName, milliseconds(m.ActivatedAt))
	return err
}

const memberSelect = `SELECT id, org_id, email, first_name, last_name, suspended, password_hash, session_epoch,
	created_at_ms, created_by_id, created_by_name, activated_at_ms, last_sign_in_ms, sso_issuer, version
	FROM member`

func scanMember(r row) (m MemberRow, err error) {
	var created int64
	var activated, signedIn sql.NullInt64
	err = r.Scan(&m.ID, &m.OrgID, &m.Email, &m.FirstName, &m.LastName, &m.Suspended, &m.PasswordHash, &m.SessionEpoch,
		&created, &m.CreatedByID, &m.CreatedByName, &activated, &signedIn,
		&m.SSOIssuer, &m.Version)
	m.CreatedAt, m.ActivatedAt, m.LastSignInAt = at(created), moment(activated), moment(signedIn)
	return m, err
}

// Member reads one member of the organization.
func (q *Q) Member(ctx context.Context, orgID, id string) (MemberRow, error) {
	return single(ctx, q, scanMember, memberSelect+` WHERE org_id = $1 AND id = $2`, orgID, id)
}

// MemberOfSession reads a member by its id alone. It is for what proves by
// itself whose it is: a session, an invitation.
func (q *Q) MemberOfSession(ctx context.Context, id string) (MemberRow, error) {
	return single(ctx, q, scanMember, memberSelect+` WHERE id = $1`+ofLiving, id)
}

// MemberByEmail reads the organization's member with an address.
func (q *Q) MemberByEmail(ctx context.Context, orgID, email string) (MemberRow, error) {
	return single(ctx, q, scanMember, memberSelect+` WHERE org_id = $1 AND email_key = $2`+ofLiving,
		orgID, svcauth.EmailKey(email))
}

// MembersByEmail reads up to limit members with an address, of all
// organizations, beginning with the one who signed in last.
func (q *Q) MembersByEmail(ctx context.Context, email string, limit int) ([]MemberRow, error) {
	return many(ctx, q, scanMember, memberSelect+` WHERE email_key = $1`+ofLiving+`
		ORDER BY COALESCE(last_sign_in_ms, 0) DESC, id LIMIT $2`, svcauth.EmailKey(email), limit)
}

// Members reads a page, newest first, of those with an id below before, which
// is empty for the first page.
func (q *Q) Members(ctx context.Context, orgID, before string, limit int) ([]MemberRow, error) {
	return many(ctx, q, scanMember, memberSelect+` WHERE org_id = $1 AND ($2 = '' OR id < $2)
		ORDER BY id DESC LIMIT $3`, orgID, before, limit)
}

// UpdateMember writes names and suspension. It returns [ErrStale] if the
// version is no longer the given one.
func (q *Q) UpdateMember(ctx context.Context, m MemberRow) error {
	return q.mustBeFresh(ctx, `UPDATE member
		SET first_name = $1, last_name = $2, suspended = $3, version = version + 1
		WHERE org_id = $4 AND id = $5 AND version = $6`,
		m.FirstName, m.LastName, m.Suspended, m.OrgID, m.ID, m.Version)
}

// SetPassword writes a member's password hash. With an empty one it can't sign
// in with a password.
func (q *Q) SetPassword(ctx context.Context, orgID, id, hash string) error {
	return q.must(ctx, `UPDATE member SET password_hash = $1, version = version + 1 WHERE org_id = $2 AND id = $3`,
		hash, orgID, id)
}

// ActivateMember records that a member has accepted its invitation. It keeps
// the first time.
func (q *Q) ActivateMember(ctx context.Context, orgID, id string, now time.Time) error {
	return q.must(ctx, `UPDATE member SET activated_at_ms = COALESCE(activated_at_ms, $1)
		WHERE org_id = $2 AND id = $3`,
		now.UnixMilli(), orgID, id)
}

// EndSessions ends all sessions of a member.
func (q *Q) EndSessions(ctx context.Context, orgID, id string) error {
	return q.must(ctx, `UPDATE member SET session_epoch = session_epoch + 1 WHERE org_id = $1 AND id = $2`,
		orgID, id)
}

// NoteSignIn records when a member signed in last, and by which provider of
// single sign-on. If ssoIssuer is empty it was by its password.
func (q *Q) NoteSignIn(ctx context.Context, orgID, id, ssoIssuer string, now time.Time) error {
	return q.must(ctx, `UPDATE member SET last_sign_in_ms = $1, sso_issuer = COALESCE(NULLIF($2, ''), sso_issuer)
		WHERE org_id = $3 AND id = $4`, now.UnixMilli(), ssoIssuer, orgID, id)
}

// DeleteMember deletes a member with its invitations, grants and application
// keys.
func (q *Q) DeleteMember(ctx context.Context, orgID, id string) error {
	if err := q.DeleteGrantsOf(ctx, orgID, id); err != nil {
		return err
	}
	return q.must(ctx, `DELETE FROM member WHERE org_id = $1 AND id = $2`, orgID, id)
}

// OtherHolders counts the active members, except one, who hold a role at least
// until the given moment, or for good if until is nil. If ssoIssuer is not
// empty it counts only those who signed in by that provider last.
func (q *Q) OtherHolders(
	ctx context.Context,
	orgID, roleID, exceptID, ssoIssuer string,
	until *time.Time,
) (int64, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM role_grant g JOIN member m ON m.id = g.principal_id
		WHERE g.role_id = $1 AND g.org_id = $2 AND m.org_id = $2 AND m.id <> $3
		AND NOT m.suspended AND m.activated_at_ms IS NOT NULL
		AND (g.expires_at_ms IS NULL OR g.expires_at_ms >= $4) AND ($5 = '' OR m.sso_issuer = $5)`,
		roleID, orgID, exceptID, milliseconds(until), ssoIssuer)
}

// ApplicationKeyIDs reads the ids of a member's application keys.
func (q *Q) ApplicationKeyIDs(ctx context.Context, orgID, memberID string) ([]string, error) {
	return many(ctx, q, scanText, `SELECT id FROM client WHERE org_id = $1 AND member_id = $2 ORDER BY id`,
		orgID, memberID)
}

// PrincipalRow is what a request needs to know of the principal that made it.
type PrincipalRow struct {
	Name     string // a member's address or a service account's name
	Off      bool   // suspended or disabled
	Operator bool   // the organization is the operator's own
}

// MemberPrincipal reads a member that acts through an application key of its
// own. It returns [ErrNotFound] if the member or the key is gone.
func (q *Q) MemberPrincipal(ctx context.Context, orgID, memberID, clientID string) (PrincipalRow, error) {
	return single(ctx, q, scanPrincipal, `SELECT m.email, m.suspended, o.operator
		FROM client c JOIN member m ON m.id = c.member_id JOIN organization o ON o.id = m.org_id AND NOT o.removed
		WHERE c.org_id = $1 AND c.id = $2 AND m.id = $3`, orgID, clientID, memberID)
}

// AccountPrincipal reads a service account.
func (q *Q) AccountPrincipal(ctx context.Context, orgID, id string) (PrincipalRow, error) {
	return single(ctx, q, scanPrincipal, `SELECT c.name, c.disabled, o.operator
		FROM client c JOIN organization o ON o.id = c.org_id AND NOT o.removed
		WHERE c.org_id = $1 AND c.id = $2 AND c.kind = $3`, orgID, id, ClientServiceAccount)
}

func scanPrincipal(r row) (p PrincipalRow, err error) {
	return p, r.Scan(&p.Name, &p.Off, &p.Operator)
}
