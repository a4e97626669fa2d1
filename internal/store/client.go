package store

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ClientRow is a client as it is made.
type ClientRow struct {
	ID, OrgID, Kind            string
	MemberID                   *string // of an application key only
	Name, Description          string  // an application key has no name
	TTLSeconds                 int64
	CreatedAt                  time.Time
	CreatedByID, CreatedByName string
}

// InsertClient adds one. [ErrConflict]: the name is taken in its organization.
func (q *Q) InsertClient(ctx context.Context, c ClientRow) error {
	var key *string
	if c.Kind == ClientServiceAccount {
		k := NameKey(c.Name)
		key = &k
	}
	_, err := q.exec(ctx, `INSERT INTO client (id, org_id, kind, member_id, name, name_key, description, disabled, ttl_s, epoch, created_at_ms,
		created_by_id, created_by_name, version) VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, $8, 0, $9, $10, $11, 1)`,
		c.ID, c.OrgID, c.Kind, c.MemberID, c.Name, key, c.Description, c.TTLSeconds, c.CreatedAt.UnixMilli(), c.CreatedByID, c.CreatedByName)
	return err
}

// SecretRow is a secret as it is made. The hash is the keyring's.
type SecretRow struct {
	ID, ClientID, OrgID, Scheme string
	Hash                        []byte
	Hint, Description           string
	CreatedAt                   time.Time
	CreatedByID, CreatedByName  string
	ExpiresAt                   *time.Time
}

// InsertSecret adds one.
func (q *Q) InsertSecret(ctx context.Context, s SecretRow) error {
	_, err := q.exec(ctx, `INSERT INTO secret (id, client_id, org_id, scheme, hash, hint, description, created_at_ms, created_by_id,
		created_by_name, expires_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, s.ID, s.ClientID, s.OrgID, s.Scheme, s.Hash, s.Hint,
		s.Description, s.CreatedAt.UnixMilli(), s.CreatedByID, s.CreatedByName, milliseconds(s.ExpiresAt))
	return err
}

// MemberRow is a member.
type MemberRow struct {
	ID, OrgID, Email, FirstName, LastName string
	PasswordHash                          string // empty: no password lets it in
	CreatedAt                             time.Time
	CreatedByID, CreatedByName            string
	ActivatedAt                           *time.Time // nil: invited

	// What InsertMember begins with: false, 0, never, 1.
	Suspended    bool
	SessionEpoch int64
	LastSignInAt *time.Time
	Version      int64
}

// InsertMember adds one. [ErrConflict]: the organization has a member with this address.
func (q *Q) InsertMember(ctx context.Context, m MemberRow) error {
	_, err := q.exec(ctx, `INSERT INTO member (id, org_id, email, email_key, first_name, last_name, suspended, password_hash, session_epoch, created_at_ms,
		created_by_id, created_by_name, activated_at_ms, version) VALUES ($1, $2, $3, $4, $5, $6, FALSE, $7, 0, $8, $9, $10, $11, 1)`,
		m.ID, m.OrgID, m.Email, svcauth.EmailKey(m.Email), m.FirstName, m.LastName, m.PasswordHash, m.CreatedAt.UnixMilli(), m.CreatedByID, m.CreatedByName,
		milliseconds(m.ActivatedAt))
	return err
}
