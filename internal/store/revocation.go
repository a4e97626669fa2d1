package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Every live revocation is in the memory of every node and of every resource
// server, whoever made it. So their number is bounded: instead of one too many,
// a revocation of all older tokens replaces all of them.
const (
	// MaxClientRevocations is how many live entries about one client there
	// can be. Beyond it the client's epoch rises instead.
	MaxClientRevocations = 1000
	// MaxPolicyRevocations is how many live entries about an organization's
	// roles there can be. Beyond it the organization's pol rises instead.
	MaxPolicyRevocations = 1000
	// MaxOrgRevocations is how many live entries of any kind there can be in
	// one organization. Beyond it the organization's pol rises instead.
	MaxOrgRevocations = 20_000
)

// KeepChange is how long entries of the change log are kept that are not
// revocations. A node that was away for longer starts afresh.
const KeepChange = 24 * time.Hour

// Wider is how much more than it was asked to [Q.AddRevocation] has revoked.
type Wider string

// What a revocation can grow to.
const (
	WiderNot          Wider = ""             // what was asked for
	WiderClient       Wider = "client"       // all tokens of the client so far
	WiderOrganization Wider = "organization" // all tokens of the organization so far
)

// AddRevocation appends a revocation in an organization to the change log and
// deletes those that it makes superfluous. It must run inside [Store.Write].
//
// It sets Exp unless it is set: only an entry that names a token knows when
// that expires. For an entry about a client (ClientID and, if they are known,
// Epoch and Pol of the token) it sets what tells subscribers which other
// entries cover it. If the client, or the organization, would have too many
// live entries, it revokes all of its older tokens instead, and wider says so.
func (q *Q) AddRevocation(ctx context.Context, now time.Time, orgID string, r svcauth.Revocation,
) (wider Wider, err error) {
	if r.ClientID != "" {
		if gone, err := q.setEpochs(ctx, orgID, &r); gone || err != nil {
			return WiderNot, err
		}
		if r.JTI+r.Cred+r.Role+r.Spares() != "" {
			wider, err = q.boundClient(ctx, now, orgID, &r)
		}
	} else {
		wider, err = q.boundPolicy(ctx, now, orgID, &r)
	}
	if err == nil && wider != WiderOrganization {
		var over bool
		if over, err = q.tooMany(ctx, orgID, "", MaxOrgRevocations); err == nil && over {
			wider, err = WiderOrganization, q.widenToOrganization(ctx, now, orgID, &r)
		}
	}
	if err == nil {
		err = q.supersede(ctx, orgID, r)
	}
	if err == nil {
		err = q.insertRevocation(ctx, now, orgID, r)
	}
	return wider, err
}

// setEpochs completes an entry about a client with the organization, the epoch
// and the policy epoch up to which tokens can be among those that it denies. It
// reports gone if there is no such client: its removal has denied its tokens.
func (q *Q) setEpochs(ctx context.Context, orgID string, r *svcauth.Revocation) (gone bool, err error) {
	r.OrgID = orgID
	if r.JTI != "" {
		return r.Epoch < q.raised[r.ClientID], nil // this very transaction has denied it already
	}
	now, err := single(ctx, q, func(row row) (e [2]int64, err error) { return e, row.Scan(&e[0], &e[1]) },
		`SELECT c.epoch, o.pol FROM client c JOIN organization o ON o.id = c.org_id WHERE c.id = $1 AND c.org_id = $2`,
		r.ClientID, orgID)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	r.Epoch, r.Pol = now[0], now[1]
	return false, err
}

// boundClient makes *r a revocation of all the client's older tokens if the
// client has too many entries.
func (q *Q) boundClient(ctx context.Context, now time.Time, orgID string, r *svcauth.Revocation) (Wider, error) {
	over, err := q.tooMany(ctx, orgID, r.ClientID, MaxClientRevocations)
	if err != nil || !over {
		return WiderNot, err
	}
	epoch, err := q.RaiseEpoch(ctx, orgID, r.ClientID)
	if errors.Is(err, ErrNotFound) {
		return WiderNot, nil
	}
	if err != nil {
		return WiderNot, err
	}
	if q.raised == nil {
		q.raised = map[string]int64{}
	}
	q.raised[r.ClientID] = epoch
	*r = svcauth.Revocation{ClientID: r.ClientID, MinEpoch: epoch}
	if _, err := q.setEpochs(ctx, orgID, r); err != nil {
		return WiderNot, err
	}
	return WiderClient, q.touched(ctx, now, orgID, ChangeClient, r.ClientID)
}

// boundPolicy makes *r a revocation of all the organization's older tokens if
// there are too many entries about its roles.
func (q *Q) boundPolicy(ctx context.Context, now time.Time, orgID string, r *svcauth.Revocation) (Wider, error) {
	if r.Role == "" {
		return WiderNot, nil
	}
	over, err := q.tooMany(ctx, orgID, orgID, MaxPolicyRevocations)
	if err != nil || !over {
		return WiderNot, err
	}
	return WiderOrganization, q.widenToOrganization(ctx, now, orgID, r)
}

func (q *Q) widenToOrganization(ctx context.Context, now time.Time, orgID string, r *svcauth.Revocation) error {
	pol, err := q.RaisePolicy(ctx, orgID)
	if err != nil {
		return err
	}
	*r = svcauth.Revocation{OrgID: orgID, MinPol: pol}
	// Without it, tokens by what nodes remember of its clients would be born
	// revoked.
	return q.touched(ctx, now, orgID, ChangeOrg, orgID)
}

// touched appends an entry that tells every node that what it remembers of a
// subject is stale.
func (q *Q) touched(ctx context.Context, now time.Time, orgID, kind, subject string) error {
	_, err := q.AddChange(ctx, Change{OrgID: orgID, Kind: kind, Subject: subject, ExpiresAt: now.Add(KeepChange)})
	return err
}

// about returns whose tokens an entry denies: a client's or an organization's
// id. It is empty for a token or a secret of which only the id is known.
func about(orgID string, r svcauth.Revocation) string {
	switch {
	case r.ClientID != "":
		return r.ClientID
	case r.JTI != "" || r.Cred != "":
		return ""
	}
	return orgID
}

// supersede deletes the entries that deny nothing which r does not deny.
func (q *Q) supersede(ctx context.Context, orgID string, r svcauth.Revocation) (err error) {
	of := `DELETE FROM change WHERE kind = 'revocation' AND org_id = $1`
	switch {
	case r.JTI != "" || r.Cred != "":
	case r.Spares() != "": // what any denies, the others deny too
		_, err = q.exec(ctx, of+` AND subject = $2 AND role = $3 AND privilege = '' AND unless_bound IN ($4, $5)`,
			orgID, about(orgID, r), r.Role, r.Spares(), svcauth.TokenBindingAny)
	case r.ClientID == "" && r.Role == "":
		_, err = q.exec(ctx, of, orgID)
	case r.Role == "":
		_, err = q.exec(ctx, of+` AND subject = $2`, orgID, r.ClientID)
	case r.Privilege == "":
		_, err = q.exec(ctx, of+` AND subject = $2 AND role = $3`, orgID, about(orgID, r), r.Role)
	default:
		_, err = q.exec(ctx, of+` AND subject = $2 AND role = $3 AND privilege = $4`, orgID, orgID, r.Role, r.Privilege)
	}
	return err
}

// TokenRevoked reports whether the log has the entry r already, which names a
// token of a client in an organization. It reads the client's entries only.
func (q *Q) TokenRevoked(ctx context.Context, orgID string, r svcauth.Revocation) (bool, error) {
	r.OrgID = orgID
	payload, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("write a revocation: %w", err)
	}
	n, err := count(ctx, q, `SELECT COUNT(*) FROM change
		WHERE kind = 'revocation' AND org_id = $1 AND subject = $2 AND payload = $3`,
		orgID, about(orgID, r), string(payload))
	return n > 0, err
}

func (q *Q) insertRevocation(ctx context.Context, now time.Time, orgID string, r svcauth.Revocation) error {
	if r.Exp == 0 {
		r.Exp = verify.LastExpiry(now).Unix()
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write a revocation: %w", err)
	}
	_, err = q.AddChange(ctx, Change{
		OrgID: orgID, Kind: ChangeRevocation, Subject: about(orgID, r), role: r.Role, privilege: r.Privilege,
		unlessBound: r.Spares(),
		Payload:     string(payload), ExpiresAt: verify.KeptUntil(time.Unix(r.Exp, 0)),
	})
	return err
}

// tooMany reports whether an organization (or, if subject is not empty, one
// client or the policy of it) has bound live entries.
func (q *Q) tooMany(ctx context.Context, orgID, subject string, bound int64) (bool, error) {
	key := orgID + " " + subject
	if q.counter < q.room.until(key) {
		return false, nil
	}
	text := `SELECT COUNT(*) FROM (SELECT 1 FROM change WHERE kind = 'revocation' AND org_id = $1`
	args := []any{orgID, bound}
	if subject != "" {
		text, args = text+` AND subject = $3`, append(args, subject)
	}
	live, err := count(ctx, q, text+` LIMIT $2) AS live`, args...)
	if err == nil {
		q.room.set(key, q.locked+bound-live) // what this transaction has written may be rolled back
	}
	return live >= bound, err
}

// room remembers from which entry of the log on a subject may have too many
// revocations: it can't have n more before the log has. It saves counting, and
// counts too often rather than too rarely.
type room struct {
	mu   sync.Mutex
	from map[string]int64
}

// roomFor is how many subjects are remembered, about 150 bytes each.
const roomFor = 20_000

func (r *room) until(key string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from[key]
}

func (r *room) set(key string, seq int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from == nil || len(r.from) >= roomFor {
		r.from = map[string]int64{}
	}
	r.from[key] = seq
}
