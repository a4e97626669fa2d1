package access

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// SecretUsers says whom it would stop if the caller's organization refused
// secrets and application keys. It needs settings:manage. Without members:read
// it names nobody.
func (s *Service) SecretUsers(ctx context.Context) (svcauth.SecretUsers, error) {
	a, err := Caller(ctx, svcauth.SettingsManage)
	if err != nil {
		return svcauth.SecretUsers{}, err
	}
	return s.secretUsers(ctx, a, a.OrgID)
}

// secretUsers is [Service.SecretUsers] for any organization. Its names are for
// its own members alone.
func (s *Service) secretUsers(ctx context.Context, a Actor, orgID string) (users svcauth.SecretUsers, err error) {
	accounts, err := s.read().SecretUsers(ctx, orgID, s.now(), svcauth.MaxSecretUsersCount+1)
	if err != nil {
		return users, err
	}
	users.AccountsCount, users.Accounts = len(accounts), []svcauth.SecretUser{}
	if a.OrgID == orgID && a.Has(svcauth.MembersRead) {
		users.Accounts = append(users.Accounts, accounts[:min(len(accounts), svcauth.MaxSecretUsers)]...)
	}
	if users.ApplicationKeys, users.KeysLastUsedAt, err = s.read().ApplicationKeyUse(ctx, orgID); err != nil {
		return users, err
	}
	if a.OrgID == orgID {
		users.OwnCredential, err = s.ownSecret(ctx, a)
	}
	return users, err
}

// ownSecret returns by which kind of secret the caller got its token.
func (s *Service) ownSecret(ctx context.Context, a Actor) (string, error) {
	switch {
	case svcauth.ValidID(svcauth.PrefixApplicationKey, a.ClientID):
		return "application_key", nil
	case !svcauth.ValidID(svcauth.PrefixServiceAccount, a.ClientID):
		return "", nil
	}
	only, err := s.read().OnlySecrets(ctx, a.OrgID, a.ClientID, s.now())
	if only {
		return store.CredentialSecret, err
	}
	return "", err
}

// mayRefuseSecrets refuses a change that would take its last credential from
// somebody, unless the caller has confirmed it. It reads before the change, so
// that no other change waits for that.
func (s *Service) mayRefuseSecrets(
	ctx context.Context, op Operation, id string, patch svcauth.OrganizationPatch,
) error {
	if patch.Confirm || patch.SharedSecrets == nil && patch.ApplicationKeys == nil {
		return nil
	}
	a, err := Caller(ctx, op.Requires)
	if err != nil || op.Operator && !a.Operator {
		return nil // the change refuses it, and its audit event says so
	}
	was, err := organizationRow(ctx, s.read(), id)
	if err != nil {
		return Problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	org := was
	if err := setSecretPolicy(&org, patch); err != nil || !refuses(was, org) {
		return err
	}
	users, err := s.secretUsers(ctx, a, id)
	if err != nil {
		return err
	}
	return stopped(users,
		org.SharedSecrets == svcauth.SharedSecretsRefused && was.SharedSecrets != org.SharedSecrets,
		org.ApplicationKeys == svcauth.ApplicationKeysRefused && was.ApplicationKeys != org.ApplicationKeys)
}

// stopped returns a conflict that says whom it stops to refuse secrets, or
// application keys, or both; nil if that is nobody.
func stopped(users svcauth.SecretUsers, secrets, keys bool) error {
	p := svcauth.NewProblem(svcauth.CodeConflict, "Nothing was changed.")
	say := func(location, text string) {
		p.Detail += " " + text
		p.Errors = append(p.Errors, svcauth.ProblemField{Location: location, Message: text})
	}
	if n := users.AccountsCount; secrets && n > 0 {
		say("body.shared_secrets", fmt.Sprintf("To refuse secrets takes their last credential from %s%s. First give "+
			"each a key, a federated credential or a certificate.", atMost(n, "service account"), named(users)))
	}
	if n := users.ApplicationKeys; keys && n > 0 {
		say("body.application_keys", fmt.Sprintf("To refuse application keys stops %s (%s). What uses them needs a "+
			"service account.", atMost(n, "application key"), lastUsed(users.KeysLastUsedAt)))
	}
	if len(p.Errors) == 0 {
		return nil
	}
	switch {
	case keys && users.OwnCredential == "application_key":
		p.Detail += " This request came by an application key: it stops too, and the way back is the console."
	case secrets && users.OwnCredential == store.CredentialSecret:
		p.Detail += " This request came from a service account that has only secrets: it stops too, and the way " +
			"back is the console."
	}
	p.Detail += " To go ahead nevertheless, confirm it: in a request, add ?confirm=true."
	return p
}

func atMost(n int, noun string) string {
	switch {
	case n > svcauth.MaxSecretUsersCount:
		return fmt.Sprintf("more than %d %ss", svcauth.MaxSecretUsersCount, noun)
	case n == 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// named lists accounts for a sentence: those that were used last.
func named(users svcauth.SecretUsers) string {
	if len(users.Accounts) == 0 {
		return ""
	}
	names := make([]string, len(users.Accounts))
	for i, one := range users.Accounts {
		names[i] = one.Name + " (" + lastUsed(one.LastUsedAt) + ")"
	}
	more := ""
	if users.AccountsCount > len(names) {
		more = " and others"
	}
	return ": " + strings.Join(names, ", ") + more
}

func lastUsed(at *time.Time) string {
	if at == nil {
		return "never used"
	}
	return "last used " + at.UTC().Format(time.RFC3339)
}
