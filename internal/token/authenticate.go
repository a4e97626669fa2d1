package token

import (
	"context"
	"crypto/subtle"
	"net/netip"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Credential is what a client authenticates with, and from where.
type Credential struct {
	ClientID string
	Secret   svcauth.Secret
	IP       netip.Addr // for counting wrong ones
}

// Authenticated is a client whose secret was right and may be used.
type Authenticated struct {
	*Client
	SecretID string
	Until    time.Time // when the secret expires; zero: never
	IP       netip.Addr
}

// recheckAfter is how long a wrong secret leads to no new look at its client
// after one from the same network has. A secret made on another node a moment
// ago must work here at once, whatever others send; and a network's guesses may
// cost the database one read a client and second.
const recheckAfter = time.Second

// Authenticate checks a client's credential (RFC 6749 §2.3.1). Unknown and wrong
// ones get the same answer after the same work; only a caller that knew the
// secret learns that the client is disabled or the secret expired, and only for
// such a caller its roles are read. Wrong ones are counted, by client and address
// and by address, and beyond the limit answered by 429; a right one is always
// served.
func (s *Service) Authenticate(ctx context.Context, cred Credential) (Authenticated, *Error) {
	began, hash := s.cfg.Clock(), s.cfg.Keyring.HashSecret(cred.Secret)
	found, err := s.account(ctx, cred.ClientID)
	if err != nil {
		return Authenticated{}, storeError(err)
	}
	secret := s.match(found, hash)
	if secret < 0 && svcauth.ValidClientID(cred.ClientID) && found.olderThan(began, cred.IP) {
		if found, err = s.clients.again(ctx, cred.ClientID, limits.NetworkOf(cred.IP)); err != nil {
			return Authenticated{}, storeError(err)
		}
		secret = s.match(found, hash)
	}
	if secret < 0 {
		return Authenticated{}, s.wrong(found, cred)
	}
	if refusal := s.usable(found, secret); refusal != nil {
		return Authenticated{}, refusal
	}
	client, err := s.withRights(ctx, found)
	if err != nil {
		return Authenticated{}, storeError(err)
	}
	used, until := found.Secrets[secret], time.Time{}
	if used.ExpiresAtMS != 0 {
		until = time.UnixMilli(used.ExpiresAtMS)
	}
	return Authenticated{Client: client, SecretID: used.ID, Until: until, IP: cred.IP}, nil
}

// olderThan reports whether an account was read before a wrong secret came at a
// moment, and not because of another one of the same network just before.
func (a *account) olderThan(began time.Time, ip netip.Addr) bool {
	return a.read.Before(began) && (a.asker != limits.NetworkOf(ip) || began.Sub(a.read) > recheckAfter)
}

// match gives the place of the secret with this hash, or -1. It compares with all five that there can be, whether there are or not.
func (s *Service) match(client *account, hash []byte) int {
	found := -1
	for i := range svcauth.MaxSecrets {
		stored := s.dummy
		if i < len(client.Secrets) {
			stored = client.Secrets[i].Hash
		}
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(stored, hash), i, found)
	}
	return found
}

// wrong counts a wrong secret and says which answer it gets.
func (s *Service) wrong(client *account, cred Credential) *Error {
	reason := "wrong_secret"
	if !client.known {
		reason = "unknown_client"
	}
	s.noteWrong(client, cred)
	if retryAfter, limited := s.cfg.Cache.Fail(cred.ClientID, cred.IP); limited {
		e := Refuse(CodeSlowDown, "too_many_requests", "too many wrong client secrets; wait as Retry-After says, and correct the secret before trying again")
		e.RetryAfter = retryAfter
		return e
	}
	return badCredential(reason)
}

// usable tells a caller who knew the secret why it can't be used, where it can't.
func (s *Service) usable(client *account, secret int) *Error {
	used, now := client.Secrets[secret], s.cfg.Clock()
	if err := expiredSecret(used, now); err != nil {
		return err
	}
	if err := switchedOff(client.Credentials); err != nil {
		return err
	}
	s.used.note(client.ClientID, used.ID, now)
	return nil
}

func expiredSecret(used store.SecretHash, now time.Time) *Error {
	if used.ExpiresAtMS == 0 || used.ExpiresAtMS > now.UnixMilli() {
		return nil
	}
	return Refuse(CodeInvalidClient, "expired_secret", "secret expired on %s; make a new one for this client", time.UnixMilli(used.ExpiresAtMS).UTC().Format(time.RFC3339))
}

func switchedOff(client *store.Credentials) *Error {
	switch {
	case client.Disabled:
		return Refuse(CodeInvalidClient, "disabled", "service account is disabled; an administrator can enable it")
	case client.Suspended:
		return Refuse(CodeInvalidClient, "suspended", "the member that this application key belongs to is suspended")
	}
	return nil
}
