package access

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// SigningKeys lists them, newest first; the operator's (keys:manage).
func (s *Service) SigningKeys(
	ctx context.Context,
	o svcauth.ListOptions,
) (none svcauth.List[svcauth.SigningKey], err error) {
	if err := mustBeOperator(ctx, svcauth.KeysManage); err != nil {
		return none, err
	}
	keys, err := s.cfg.Keyring.List(ctx)
	if err != nil {
		return none, Problem(err, svcauth.AuditTarget{Kind: "signing_key"})
	}
	return paging.After(keys, o, func(k svcauth.SigningKey) string { return k.KID })
}

// SigningAlgorithms returns those that [Service.RotateSigningKeys] takes; the
// operator's (keys:manage).
func (s *Service) SigningAlgorithms(ctx context.Context) ([]string, error) {
	if err := mustBeOperator(ctx, svcauth.KeysManage); err != nil {
		return nil, err
	}
	inUse, err := s.cfg.Keyring.InUse(ctx)
	return inUse, Problem(err, svcauth.AuditTarget{Kind: "signing_key"})
}

func keyOperation(action, kid string) Operation {
	return Operation{
		Requires: svcauth.KeysManage,
		Operator: true,
		Action:   action,
		Target:   svcauth.AuditTarget{Kind: "signing_key", ID: kid, Name: kid},
	}
}

// RotateSigningKeys lets the next key of an algorithm sign from now on, or that
// of each in use, and returns the keys as they then are; the operator's
// (keys:manage). Tokens live on. A problem of [svcauth.CodeConflict] if as many
// keys are published as may be.
func (s *Service) RotateSigningKeys(
	ctx context.Context, r svcauth.KeyRotation,
) (svcauth.List[svcauth.SigningKey], error) {
	err := s.Change(ctx, keyOperation("signing_key.rotate", ""), func(ctx context.Context, t *Tx) error {
		if r.Algorithm != "" {
			t.After = r
		}
		err := s.cfg.Keyring.Rotate(ctx, t.Q, r.Algorithm)
		var unused *keyring.NotInUseError
		if errors.As(err, &unused) {
			return svcauth.InvalidField("body.algorithm", "%s", unused)
		}
		var full *keyring.FullError
		if errors.As(err, &full) {
			refusal := svcauth.NewProblem(svcauth.CodeConflict, "%s", full)
			if !full.Next.IsZero() {
				refusal.RetryAfter = full.Next.Sub(t.Now)
			}
			return refusal
		}
		return err
	})
	if err != nil {
		return svcauth.List[svcauth.SigningKey]{}, err
	}
	return s.SigningKeys(ctx, svcauth.ListOptions{Limit: svcauth.MaxPageSize})
}

// RevokeSigningKey takes a key that is no longer trusted out of the key set. It
// is the operator's (keys:manage). This server refuses the key's tokens from
// now on. Resource servers on the feed's stream refuse them within moments,
// others as soon as they have read the key set again. The warning tells what
// that breaks. Problem: [svcauth.CodeNotFound].
func (s *Service) RevokeSigningKey(ctx context.Context, kid string) (warning string, err error) {
	err = s.Change(ctx, keyOperation("signing_key.revoke", kid), func(ctx context.Context, t *Tx) error {
		was, err := s.cfg.Keyring.Revoke(ctx, t.Q, kid)
		if err != nil {
			return err
		}
		t.Before, warning = was, revokedKeyWarning(was)
		return nil
	})
	if err != nil {
		return "", err
	}
	return warning, nil
}

func revokedKeyWarning(k svcauth.SigningKey) string {
	switch k.State {
	case svcauth.KeyNext:
		return "Nothing breaks: this key has not signed yet. Another one was made in its place."
	case svcauth.KeyRetired:
		return "Tokens that this key signed before it was retired are refused: by this server now, by resource " +
			"servers that follow the revocation stream within moments, by others when they have read the key " +
			"set again (jwks.max_age at the latest). Their clients need new tokens."
	}
	return "Every token that is out and signed with " + k.Algorithm + " is refused: by this server now, by resource " +
		"servers that follow the revocation stream within moments, by others when they have read the key set again " +
		"(jwks.max_age at the latest). Their clients need new tokens; " +
		"another key signs them already. Restart resource servers that follow no stream and must not wait."
}
