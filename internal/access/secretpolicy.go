package access

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// mayMakeSecret refuses a new secret of a service account if the organization
// makes none any more. instead says what to do.
func (t *Tx) mayMakeSecret(ctx context.Context, instead string) error {
	org, err := t.Organization(ctx, t.Actor.OrgID)
	if err != nil || org.SharedSecrets == svcauth.SharedSecretsAllowed {
		return err
	}
	return svcauth.NewProblem(svcauth.CodeConflict,
		"This organization makes no secrets (its setting shared_secrets is %s). %s", org.SharedSecrets, instead)
}

// mayMakeApplicationKey refuses an application key if the organization has
// none.
func (t *Tx) mayMakeApplicationKey(ctx context.Context) error {
	org, err := t.Organization(ctx, t.Actor.OrgID)
	if err != nil || org.ApplicationKeys == svcauth.ApplicationKeysAllowed {
		return err
	}
	return svcauth.NewProblem(svcauth.CodeConflict, "This organization has no application keys (its setting "+
		"application_keys is refused). Use a service account with a key, a federated credential or a certificate.")
}

// setSecretPolicy changes what the patch says of secrets and application keys.
func setSecretPolicy(org *svcauth.Organization, patch svcauth.OrganizationPatch) error {
	if want := patch.SharedSecrets; want != nil {
		switch *want {
		case svcauth.SharedSecretsAllowed, svcauth.SharedSecretsNoNew, svcauth.SharedSecretsRefused:
			org.SharedSecrets = *want
		default:
			return svcauth.InvalidField("body.shared_secrets", "Expected allowed, no_new or refused.")
		}
	}
	if want := patch.ApplicationKeys; want != nil {
		switch *want {
		case svcauth.ApplicationKeysAllowed, svcauth.ApplicationKeysRefused:
			org.ApplicationKeys = *want
		default:
			return svcauth.InvalidField("body.application_keys", "Expected allowed or refused.")
		}
	}
	return nil
}

// endRefusedSecrets revokes what secrets or application keys have obtained, if
// the change refuses them. It is one entry about all older tokens of the
// organization, however many clients it has: it also denies what was obtained
// with a secret that is gone by now, and what a node mints that has not heard
// of the change. Clients that prove themselves otherwise get a new token with
// their next request.
func (t *Tx) endRefusedSecrets(ctx context.Context, was, org svcauth.Organization) error {
	if !refuses(was, org) {
		return nil
	}
	if err := t.countPolicy(org.ID); err != nil {
		return err
	}
	pol, err := t.RaisePolicy(ctx, org.ID)
	if err != nil {
		return err
	}
	return t.revoke(ctx, org.ID, svcauth.Revocation{OrgID: org.ID, MinPol: pol})
}

// refuses reports whether a change refuses what was not refused before.
func refuses(was, org svcauth.Organization) bool {
	return org.SharedSecrets == svcauth.SharedSecretsRefused && was.SharedSecrets != svcauth.SharedSecretsRefused ||
		org.ApplicationKeys == svcauth.ApplicationKeysRefused && was.ApplicationKeys != svcauth.ApplicationKeysRefused
}
