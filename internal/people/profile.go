package people

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// myself runs a change that a member makes to itself.
func (s *Service) myself(
	ctx context.Context,
	action string,
	do func(context.Context, *access.Tx, store.MemberRow, svcauth.Member) error,
) error {
	a, _ := access.ActorFrom(ctx)
	op := access.Operation{Action: action, Target: svcauth.AuditTarget{Kind: "member", ID: a.ID, Name: a.Name}}
	return s.access.Change(ctx, op, func(ctx context.Context, t *access.Tx) error {
		if t.Actor.Kind != svcauth.KindMember {
			return svcauth.NewProblem(
				svcauth.CodeForbidden,
				"Only a member has a profile, a password and sessions; a service account has none.",
			)
		}
		row, was, err := s.targetMember(ctx, t, t.Actor.ID)
		if err != nil {
			return err
		}
		return do(ctx, t, row, was)
	})
}

// UpdateProfile changes the caller's own names.
func (s *Service) UpdateProfile(ctx context.Context, firstName, lastName string) (changed svcauth.Member, err error) {
	err = s.myself(ctx, "member.update", func(
		ctx context.Context,
		t *access.Tx,
		row store.MemberRow,
		was svcauth.Member,
	) error {
		if err := patchNames(&row, &firstName, &lastName); err != nil {
			return err
		}
		changed, err = s.saveMember(ctx, t, row, was)
		return err
	})
	return changed, err
}

// signedOut is what the log says of a sign-out: of one session, or of all.
type signedOut struct {
	Everywhere bool `json:"everywhere"`
}

// SignOut ends the session that the caller asks with, aside from what others
// change, and writes that down with it: each session that has ended is one
// event, however often it is asked for.
func (s *Service) SignOut(ctx context.Context, session string) error {
	actor, err := access.Caller(ctx, "")
	if err != nil {
		return err
	}
	t := access.Record{
		Now:    s.now(),
		Actor:  actor,
		Target: svcauth.AuditTarget{Kind: "member", ID: actor.ID, Name: actor.Name},
		After:  signedOut{},
	}
	err = s.cfg.Store.WriteAside(ctx, func(q *store.Q) error {
		ended, err := q.EndSession(ctx, session)
		if err != nil || !ended {
			return err
		}
		return q.InsertAuditEvent(ctx, t.Event("member.sign_out", svcauth.OutcomeDone, ""))
	})
	return access.Problem(err, t.Target)
}

// SignOutEverywhere ends all sessions of the caller, this one too. If they have
// ended since the caller was let in, nothing is left to do.
func (s *Service) SignOutEverywhere(ctx context.Context) error {
	return s.myself(ctx, "member.sign_out", func(
		ctx context.Context,
		t *access.Tx,
		row store.MemberRow,
		_ svcauth.Member,
	) error {
		if t.Silent = t.Actor.ClientID == "" && row.SessionEpoch != t.Actor.SessionEpoch; t.Silent {
			return nil
		}
		t.Before, t.After = nil, signedOut{Everywhere: true}
		return t.EndSessions(ctx, row.OrgID, row.ID)
	})
}

// TakesPasswords reports whether the caller's organization lets members in by
// password.
func (s *Service) TakesPasswords(ctx context.Context) (bool, error) {
	a, err := access.Caller(ctx, "")
	if err != nil {
		return false, err
	}
	org, err := s.read().Organization(ctx, a.OrgID)
	return org.PasswordMayEnter(), access.Problem(err, svcauth.AuditTarget{Kind: "organization"})
}

// ChangePassword changes the caller's own password and ends its application
// keys and all its sessions, this one too: sign in with the new one. A wrong
// current password is counted like one at sign-in: [svcauth.CodeTooMany] beyond
// the limit, else [svcauth.CodeInvalid]. Problem: [svcauth.CodeConflict] if the
// organization takes no passwords.
func (s *Service) ChangePassword(ctx context.Context, current, next svcauth.Secret) error {
	a, err := access.Caller(ctx, "")
	if err != nil {
		return err
	}
	m, err := s.read().Member(ctx, a.OrgID, a.ID)
	if err != nil {
		return access.Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	org, err := s.read().Organization(ctx, a.OrgID)
	if err != nil {
		return access.Problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	if !org.PasswordMayEnter() {
		return svcauth.NewProblem(svcauth.CodeConflict,
			"Your organization takes no passwords (password_sign_in is off), so there is none to change.")
	}
	ip, _ := netip.ParseAddr(a.IP)
	attempt, err := s.beginAttempt(m.Email, ip)
	if err != nil {
		return err
	}
	began := time.Now()
	hash, err := s.rehash(ctx, attempt, m, org.Name, current, next)
	wrong := errors.Is(err, errWrongPassword)
	attempt.end(wrong)
	if wrong {
		noted := access.Record{
			Now:    s.now(),
			Actor:  a,
			Target: svcauth.AuditTarget{Kind: "member", ID: m.ID, Name: m.Email},
		}
		s.cfg.Audit.Note(noted.Event("member.set_password", svcauth.OutcomeRefused, "The current password was wrong."))
		s.pause(ctx, began)
		return svcauth.InvalidField("body.current_password", "The current password is wrong.")
	}
	if err != nil {
		return err
	}
	return s.myself(ctx, "member.set_password", func(
		ctx context.Context,
		t *access.Tx,
		row store.MemberRow,
		_ svcauth.Member,
	) error {
		if row.PasswordHash != m.PasswordHash {
			return store.ErrStale
		}
		t.Before = nil
		return s.setPassword(ctx, t, row, hash)
	})
}

var errWrongPassword = errors.New("the current password is wrong")

// rehash returns the hash of a member's next password, if the current one is
// right and the next one fit.
func (s *Service) rehash(
	ctx context.Context,
	a *passwordAttempt,
	m store.MemberRow,
	organization string,
	current, next svcauth.Secret,
) (string, error) {
	right, err := a.check(ctx, current, m.PasswordHash)
	if err != nil {
		return "", err
	}
	if !right {
		return "", errWrongPassword
	}
	if err := s.validPassword("body.password", next, m.Email, m.FirstName, m.LastName, organization); err != nil {
		return "", err
	}
	return a.hash(ctx, next)
}
