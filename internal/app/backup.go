package app

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Backup writes one archive of the whole database to w, without sessions, as it
// is at one moment, while nodes run. The archive is sealed under the master
// key: it tells nothing by itself and can't be changed unnoticed. Backup
// returns the number of rows in it.
func Backup(ctx context.Context, cfg config.Config, w io.Writer) (rows int64, err error) {
	db, keys, err := openForArchive(ctx, cfg, false)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	sealed, err := newSealer(w, keys)
	if err != nil {
		return 0, err
	}
	packed := gzip.NewWriter(sealed)
	lines := json.NewEncoder(packed)
	err = db.Dump(ctx, func(r store.DumpedRow) error {
		rows++
		for i, v := range r.Values {
			if raw, ok := v.([]byte); ok {
				r.Values[i] = map[string]string{"bytes": base64.StdEncoding.EncodeToString(raw)}
			}
		}
		return lines.Encode(r)
	})
	if err != nil {
		return 0, err
	}
	return rows, errors.Join(packed.Close(), sealed.Close())
}

// skippedBy is how far a restore moves the change log forward: more changes
// than were ever made between a backup and its restore.
const skippedBy = 1 << 32

// Restore fills an empty database, of either kind, with an archive that
// [Backup] made: all of it, or nothing. It returns the number of rows.
//
// What was revoked after the backup is not in the archive, so all tokens that
// were issued before the restore die: Restore leaves out the signing keys, and
// the next start makes new ones. keepTokens takes the keys over, to move a
// database whose server has been stopped since the backup. Members sign in
// again in any case, and clients make new assertions: which were used is not in
// the archive either.
func Restore(ctx context.Context, cfg config.Config, r io.Reader, keepTokens bool) (rows int64, err error) {
	db, keys, err := openForArchive(ctx, cfg, true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	opened, err := newOpener(r, keys)
	if err != nil {
		return 0, err
	}
	unpacked, err := gzip.NewReader(opened)
	if err != nil {
		return 0, archiveError(err)
	}
	lines := json.NewDecoder(unpacked)
	lines.UseNumber()
	next := func() (store.DumpedRow, bool, error) {
		var row store.DumpedRow
		if err := lines.Decode(&row); err != nil {
			if errors.Is(err, io.EOF) {
				return row, false, nil
			}
			return row, false, archiveError(err)
		}
		rows++
		return row, true, plainValues(row.Values)
	}
	err = db.Fill(ctx, next, func(q *store.Q) error {
		if !keepTokens {
			if err := q.ForgetSigningKeys(ctx); err != nil {
				return err
			}
		}
		if err := q.SkipChanges(ctx, skippedBy); err != nil {
			return err
		}
		if err := q.NoteRestore(ctx, time.Now()); err != nil {
			return err
		}
		return auditRestore(ctx, q, keepTokens)
	})
	if errors.Is(err, store.ErrNotEmpty) {
		err = fmt.Errorf("nothing was restored: %w; name another database in database.url", err)
	}
	return rows, err
}

func archiveError(err error) error {
	if errors.Is(err, errTornSealed) || errors.Is(err, keyring.ErrOtherMasterKey) {
		return err
	}
	return fmt.Errorf("%w: %w", errTornSealed, err)
}

// plainValues turns what JSON made of the values back into what the database
// takes.
func plainValues(values []any) error {
	for i, v := range values {
		switch v := v.(type) {
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return errTornSealed
			}
			values[i] = n
		case map[string]any:
			text, _ := v["bytes"].(string)
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return errTornSealed
			}
			values[i] = raw
		}
	}
	return nil
}

func auditRestore(ctx context.Context, q *store.Q, keepTokens bool) error {
	org, err := q.OperatorOrganization(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("the backup has no organization: it was made before the server was bootstrapped; " +
			"run `svcauth bootstrap` instead")
	}
	if err != nil {
		return err
	}
	after, _ := json.Marshal(map[string]bool{"tokens_kept": keepTokens})
	now := time.Now().UTC()
	return q.InsertAuditEvent(ctx, svcauth.AuditEvent{
		ID:             typeid.New(svcauth.PrefixEvent, now),
		Time:           now,
		OrganizationID: org.ID,
		Actor:          svcauth.AuditActor{ID: svcauth.KindSystem, Kind: svcauth.KindSystem, Name: "svcauth"},
		Action:         "database.restore",
		Target:         svcauth.AuditTarget{ID: org.ID, Kind: "organization", Name: org.Name},
		Outcome:        svcauth.OutcomeDone,
		After:          after,
	})
}

// openForArchive opens the database and the master key alone. A backup must
// find a schema; a restore makes one.
func openForArchive(ctx context.Context, cfg config.Config, migrate bool) (*store.Store, *keyring.Keyring, error) {
	master, previous, err := masterKeys(cfg, false)
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(store.Config{URL: cfg.Database.URL.Reveal(), MaxConns: 2})
	if err != nil {
		return nil, nil, err
	}
	keys, err := keyring.New(keyringConfig(cfg, db, master, previous))
	if err == nil && migrate {
		_, err = db.Migrate(ctx)
	}
	if err == nil && !migrate {
		var pending int
		if pending, err = db.Pending(ctx); err == nil && pending > 0 {
			err = errors.New("the database has no schema of this release; " +
				"run `svcauth migrate`, or look at database.url")
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, keys, nil
}
